"""A small init for one service: ``python -m local_lab.keeper PROGRAM ARGUMENTS...``.

It is the reaper of all the service's descendants (PR_SET_CHILD_SUBREAPER,
prctl(2)). libvirtd starts each guest detached; without a reaper nearby a killed
QEMU stays a zombie wherever process 1 does not reap, as in many containers, and
libvirtd waits for it. When the service ends, the keeper ends whatever is left of
its descendants and exits as the service did; when the keeper is told to end
(SIGTERM, which it gets too when the lab dies), it ends the service first.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
GRACE_SECONDS = 3.0
"""How long the service may take to end by itself."""

KILL_SECONDS = 3.0
"""How long killed processes may take to go."""

_SIGNALS = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_libc = ctypes.CDLL(None, use_errno=True)


def end_with_parent() -> None:
    """Have the kernel send SIGTERM to this process when its parent ends."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def keep(argv: Sequence[str]) -> int:
    """Run a service until it ends or SIGTERM comes.

    :returns: its return code as in :attr:`subprocess.Popen.returncode`, negative for a signal
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    if _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
    try:
        service = subprocess.Popen(argv, preexec_fn=_in_child)  # noqa: PLW1509 - there is no other thread
    except OSError as error:
        print(f"{argv[0]} cannot be started: {error.strerror}.", file=sys.stderr)
        return 127
    try:
        return _reap_until_end(service)
    finally:
        _kill_descendants()


def _in_child() -> None:
    end_with_parent()
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _reap_until_end(service: subprocess.Popen[bytes]) -> int:
    deadline: float | None = None
    while True:
        status = _reap(service.pid)
        if status is not None:
            service.returncode = status  # or its destructor would look for it
            return status
        wait = 60.0 if deadline is None else deadline - time.monotonic()
        if wait <= 0:
            with contextlib.suppress(ProcessLookupError):
                os.kill(service.pid, signal.SIGKILL)
            wait = KILL_SECONDS
        got = signal.sigtimedwait(_SIGNALS, wait)
        if got is not None and got.si_signo != signal.SIGCHLD and deadline is None:
            deadline = time.monotonic() + GRACE_SECONDS
            with contextlib.suppress(ProcessLookupError):
                os.kill(service.pid, signal.SIGTERM)


def _reap(service: int) -> int | None:
    """Reap all that has ended; the return code of *service* if it is among them."""
    found = None
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid == service:
                found = os.waitstatus_to_exitcode(status)
    return found


def _kill_descendants() -> None:
    end = time.monotonic() + KILL_SECONDS
    while (left := descendants(os.getpid())) and time.monotonic() < end:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _reap(0)
        time.sleep(0.02)


def descendants(ancestor: int) -> list[int]:
    """Every process below *ancestor*, from /proc, zombies included."""
    children: dict[int, list[int]] = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            # proc(5): pid (comm) state ppid; comm may have blanks and brackets in it
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(process.name))
    found: list[int] = []
    queue = [ancestor]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found


def main() -> int:
    """The exit status for the shell: 128 and the signal's number when a signal ended the service."""
    code = keep(sys.argv[1:])
    return 128 - code if code < 0 else code


if __name__ == "__main__":
    sys.exit(main())
