"""Steps on the screen: what is being done, for how long, and what failed.

Everything goes to standard error, so that standard output stays for results.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

LINES_SHOWN = 15
"""How much of a failed command's output is shown."""

LINE_LENGTH = 400

QUIET_SECONDS = 2.0
"""A step that is done sooner leaves no line behind."""

STOP_SECONDS = 5.0
"""How long an interrupted command may take to end before it is killed."""


class StepFailed(Exception):
    """A step did not work.

    :ivar reason: one sentence
    :ivar details: further lines, such as the end of a command's output
    :ivar advice: what to do about it, or ""
    :ivar step: the step's name; filled in by :meth:`Progress.step` when empty
    """

    def __init__(self, reason: str, *, details: Sequence[str] = (), advice: str = "", step: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.details = list(details)
        self.advice = advice
        self.step = step

    def __str__(self) -> str:
        head = f"{self.step}: {self.reason}" if self.step else self.reason
        return "\n".join([head, *(f"    {line}" for line in self.details), *([self.advice] if self.advice else [])])


class Progress:
    """Shows steps: a moving line on a terminal, a line when it begins and one when it is done elsewhere."""

    def __init__(self, stream: TextIO = sys.stderr) -> None:
        self._stream = stream
        self._moving = stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"

    def say(self, line: str) -> None:
        """Print a line."""
        with contextlib.suppress(OSError):  # the terminal may be gone; the work is not to end for that
            print(line, file=self._stream, flush=True)

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Show *name* while the block runs.

        :raises StepFailed: what the block raised, with the step's name
        """
        started = time.monotonic()
        done = threading.Event()
        show = threading.Thread(target=self._show, args=(name, started, done), daemon=True)
        show.start()
        try:
            yield
        except StepFailed as failure:
            failure.step = failure.step or name
            raise
        finally:
            done.set()
            show.join()
            self._finish(name, time.monotonic() - started, failed=sys.exc_info()[0] is not None)

    def _show(self, name: str, started: float, done: threading.Event) -> None:
        if not self._moving:
            if not done.wait(QUIET_SECONDS / 2):
                self.say(f"{name} ...")
            return
        while not done.wait(0.2):
            seconds = time.monotonic() - started
            mark = "|/-\\"[int(seconds * 5) % 4]
            with contextlib.suppress(OSError):
                print(f"\r\033[K{mark} {name} ... {seconds:.0f} s", end="", file=self._stream, flush=True)

    def _finish(self, name: str, seconds: float, *, failed: bool) -> None:
        clear = "\r\033[K" if self._moving else ""
        if failed or seconds > QUIET_SECONDS:
            self.say(f"{clear}{name}: {'stopped after ' if failed else ''}{seconds:.1f} s")
        elif clear:
            with contextlib.suppress(OSError):
                print(clear, end="", file=self._stream, flush=True)


def run(
    argv: Sequence[str], log: Path, *, advice: str = "", env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> None:
    """Run a command with its output in a file; when this process is interrupted, the command is ended too.

    :param log: the file its output is appended to
    :raises StepFailed: it did not exit with 0; with the last lines of its output
    """
    with log.open("a+b") as output:
        output.write(f"\n$ {' '.join(argv)}\n".encode())
        output.flush()
        begin = output.tell()
        try:
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=env, cwd=cwd
            )
        except OSError as error:
            raise StepFailed(f"{argv[0]} cannot be started: {error.strerror}.", advice=advice) from None
        try:
            status = process.wait()
        except BaseException:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            raise
        if status:
            output.seek(begin)
            lines = output.read().decode(errors="replace").splitlines()
            raise StepFailed(
                f"'{' '.join(argv[:3])} ...' failed ({exit_words(status)}). All of its output is in {log}.",
                details=last_lines(lines),
                advice=advice,
            )


def last_lines(lines: Sequence[str]) -> list[str]:
    """The last lines that are not empty, each cut where it gets unreadable."""
    shown = [line.rstrip() for line in lines if line.strip()][-LINES_SHOWN:]
    return [line if len(line) <= LINE_LENGTH else f"{line[:LINE_LENGTH]} ..." for line in shown]


def exit_words(status: int) -> str:
    """A process's return code in words; negative is a signal, as in :attr:`subprocess.Popen.returncode`."""
    return f"signal {-status}" if status < 0 else f"exit status {status}"
