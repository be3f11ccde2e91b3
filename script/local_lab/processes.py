"""The processes the lab starts, each under a keeper of its own, and their end.

Nothing is ever ended by its name: services by the process id they were started
with, and what a crash left behind by the lab's folder, whose random name is on
its command line.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from local_lab import keeper
from provision.progress import StepFailed, exit_words, last_lines

STOP_SECONDS = keeper.GRACE_SECONDS + keeper.KILL_SECONDS + 1.0


@dataclass(frozen=True, slots=True)
class Service:
    """A long-running process with its output in a file.

    :ivar name: as people call it
    """

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def check(self) -> None:
        """See that it runs.

        :raises StepFailed: it has ended; with the last lines of its output
        """
        status = self.process.poll()
        if status is not None:
            code = 128 - status if status > 128 else status  # a signal, as the keeper tells it
            raise StepFailed(f"{self.name} ended by itself ({exit_words(code)}).", details=last_lines(self.output()))

    def output(self) -> list[str]:
        """Its output so far, in lines."""
        return self.log.read_text(errors="replace").splitlines()


def start(name: str, argv: Sequence[str], log: Path) -> Service:
    """Start a service in a session of its own, so that Ctrl-C reaches the lab alone."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "local_lab.keeper", *argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=keeper.end_with_parent,  # noqa: PLW1509 - one system call, and no lock
        )
    return Service(name, process, log)


def wait_for(condition: Callable[[], bool], what: str, seconds: float, services: Sequence[Service]) -> None:
    """Wait until *condition* is true while the services run.

    :raises StepFailed: it took longer than *seconds*, or a service ended
    """
    end = time.monotonic() + seconds
    while not condition():
        for service in services:
            service.check()
        if time.monotonic() > end:
            lines = services[0].output() if services else []
            raise StepFailed(f"{what} did not come about within {seconds:.0f} s.", details=last_lines(lines))
        time.sleep(0.05)


def end(services: Sequence[Service]) -> None:
    """End the services, the one given first before the next."""
    for service in services:
        if service.process.poll() is None:
            service.process.terminate()
            try:
                service.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                service.process.kill()
                service.process.wait()


def those_of(folder: Path) -> list[int]:
    """The processes that name something in *folder* on their command line, this one excepted."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"{folder}/".encode() in (process / "cmdline").read_bytes() and int(process.name) != os.getpid():
                found.append(int(process.name))
    return found


def kill_those_of(folder: Path, uid: int) -> None:
    """Kill the user's processes that name something in *folder* on their command line; within a second or so."""
    for _ in range(50):
        left = False
        for pid in those_of(folder):
            with contextlib.suppress(OSError):
                if os.stat(f"/proc/{pid}").st_uid == uid:
                    os.kill(pid, signal.SIGKILL)
                    left = True
        if not left:
            return
        time.sleep(0.02)
