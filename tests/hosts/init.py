"""The first process of a compute host: starts and stops libvirtd, collects what it leaves behind.

It runs as process 1 of a PID namespace, because libvirt waits for a QEMU it has
ended until somebody has collected it, and process 1 of a container often
collects late or never. When its standard input ends (so when the tests end,
in whatever way) it exits, and the kernel ends everything on the host with it.

Each line of input is a command (``start``, ``stop``, ``kill``, ``freeze``, ``thaw``) and is
answered by ``ok``, ``no libvirtd`` or ``unknown command``. ``start`` returns before
libvirtd answers, and does nothing when one runs.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time


class Init:
    """The state of the host: is there a libvirtd?"""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._libvirtd: subprocess.Popen[bytes] | None = None

    def obey(self, command: str) -> str:
        """Carry out one command and say how it went."""
        if command == "start":
            self._start()
            return "ok"
        if self._libvirtd is None:
            return "no libvirtd"
        if command == "stop":
            self._stop(self._libvirtd)
        elif command == "kill":
            self._libvirtd.kill()
            self._gone()
        elif command in ("freeze", "thaw"):
            self._libvirtd.send_signal(signal.SIGSTOP if command == "freeze" else signal.SIGCONT)
        else:
            return "unknown command"
        return "ok"

    def collect(self) -> None:
        """Collect processes that ended; most are QEMUs whose parent has gone."""
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                return
            if self._libvirtd is not None and ended.si_pid == self._libvirtd.pid:
                self._libvirtd.wait()
                self._libvirtd = None
            else:
                os.waitpid(ended.si_pid, 0)

    def _start(self) -> None:
        self.collect()
        if self._libvirtd is not None:
            return
        with open(f"{self._folder}/libvirtd.out", "ab") as out:
            self._libvirtd = subprocess.Popen(
                ["libvirtd", "--listen", "--pid-file", f"{self._folder}/libvirtd.pid"],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd="/",
            )

    def _stop(self, libvirtd: subprocess.Popen[bytes]) -> None:
        libvirtd.send_signal(signal.SIGCONT)
        libvirtd.terminate()
        end = time.monotonic() + 5
        while self._libvirtd is not None:
            if time.monotonic() > end:
                libvirtd.kill()
            time.sleep(0.01)
            self.collect()

    def _gone(self) -> None:
        """Wait until a libvirtd that was killed has been collected."""
        while self._libvirtd is not None:
            time.sleep(0.01)
            self.collect()


def main(folder: str) -> None:
    """Serve until standard input ends."""
    init = Init(folder)
    # A signal interrupts nothing in Python; a byte in this pipe wakes select.
    woken, waker = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    pending = b""
    while True:
        ready, _, _ = select.select([0, woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
            init.collect()
        if 0 in ready:
            data = os.read(0, 4096)
            if not data:
                return
            pending += data
            while b"\n" in pending:
                line, _, pending = pending.partition(b"\n")
                print(init.obey(line.decode()), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
