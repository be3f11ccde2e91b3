"""A running script/lab and what can be seen of it from outside."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from local_lab.keeper import descendants

CHECKOUT = Path(__file__).resolve().parents[2]
LAB = CHECKOUT / "script" / "lab"
START_SECONDS = 300.0
"""Enough for a first run with its installation; a later one takes a few seconds."""

END_SECONDS = 20.0

MACHINES_LIBVIRT = ("/etc/libvirt", "/run/libvirt", "/var/lib/libvirt", "~/.config/libvirt", "~/.cache/libvirt")
"""Where the machine's own libvirt, and this user's, keep things."""


def free_port() -> int:
    """A TCP port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run(*arguments: str, timeout: float = START_SECONDS, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run script/lab until it ends."""
    return subprocess.run(
        [str(LAB), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        **more,
    )


def eventually(condition: Callable[[], bool], what: str, seconds: float = END_SECONDS) -> None:
    """Wait until *condition* holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.05)


class Lab:
    """script/lab in a session of its own, as in a terminal.

    :ivar folder: its folder in /tmp
    """

    def __init__(self, *arguments: str, env: Mapping[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            # script/lab leaves a SIGHUP ignored that was ignored before, as it is when the tests run under nohup.
            ["env", "--default-signal=HUP", str(LAB), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=env,
        )
        self._line = ""

    @property
    def folder(self) -> Path | None:
        """Its folder in /tmp as its command line names it, or None before it has one."""
        with contextlib.suppress(OSError):
            found = re.search(r"/tmp/porthole-lab-\w+", Path(f"/proc/{self.process.pid}/cmdline").read_text())
            return Path(found[0]) if found else None
        return None

    def ready(self) -> dict[str, Any]:
        """Wait for the line of ``--json``."""
        assert self.process.stdout is not None
        watchdog = end_after(START_SECONDS, self.process)
        try:
            self._line = self._line or self.process.stdout.readline()
        finally:
            watchdog()
        if not self._line:
            _, errors = self.process.communicate(timeout=END_SECONDS)
            raise AssertionError(f"script/lab ended with {self.process.returncode}:\n{errors}")
        found: dict[str, Any] = json.loads(self._line)
        return found

    def descendants(self) -> dict[int, str]:
        """Its processes: id → command line."""
        found = {}
        for pid in descendants(self.process.pid):
            with contextlib.suppress(OSError):
                found[pid] = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
        return {pid: command for pid, command in found.items() if command}

    def find(self, part: str) -> int:
        """The process whose command line ends with a program of this name and its arguments; not its keeper."""
        pids = [pid for pid, line in self.descendants().items() if part in line and "local_lab.keeper" not in line]
        assert pids, f"no process with {part!r} among {self.descendants()}"
        return min(pids)

    def end(self, number: signal.Signals = signal.SIGINT) -> tuple[int, str, str]:
        """Send a signal as a terminal does, to the whole process group.

        :returns: the exit status, the rest of standard output, standard error
        """
        os.killpg(self.process.pid, number)
        return self.wait()

    def wait(self) -> tuple[int, str, str]:
        """Wait until it ends by itself."""
        output, errors = self.process.communicate(timeout=END_SECONDS)
        return self.process.returncode, output, errors

    def kill(self) -> None:
        """End it if it still runs, whatever it is doing; for fixtures."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


def end_after(seconds: float, process: subprocess.Popen[str]) -> Callable[[], None]:
    """End *process* after *seconds* unless the returned function is called before."""
    timer = threading.Timer(seconds, process.terminate)
    timer.daemon = True
    timer.start()
    return timer.cancel


def is_running(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def get(url: str, user: str, password: str) -> Any:
    """GET with http_basic; the JSON of the answer."""
    credentials = base64.b64encode(f"{user}:{password}".encode()).decode()
    request = urllib.request.Request(url, headers={"Authorization": f"Basic {credentials}"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=10) as answer:
        return json.load(answer)


def machines_libvirt() -> dict[str, tuple[int, int, int]]:
    """Every file of the machine's own libvirt: path → inode, size, time of change in ns."""
    return {path: status for root in MACHINES_LIBVIRT for path, status in _files_below(os.path.expanduser(root))}


def _files_below(root: str) -> Iterator[tuple[str, tuple[int, int, int]]]:
    for folder, folders, files in os.walk(root):
        for name in (".", *folders, *files):
            path = os.path.normpath(os.path.join(folder, name))
            with contextlib.suppress(OSError):
                status = os.lstat(path)
                yield path, (status.st_ino, status.st_size, status.st_ctime_ns)
