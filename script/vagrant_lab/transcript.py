"""What is shown and kept of a run: the lines that say how far it is, each with its time."""

from __future__ import annotations

import re
import time
from pathlib import Path

from provision.progress import Progress

SHOWN = re.compile(
    r"""
      (?:==>\ )?\w+:\ (?:Creating\ domain\ with|Starting\ domain|Machine\ booted|Running\ provisioner
          |Running\ local\ script|Removing\ domain).*
    | PLAY\ .*
    | \S+\s+:\ ok=.*
    | .*\b(?:fatal|FAILED|[Ee]rror|ERROR)\b.*
    | failed:\ \[.*
    """,
    re.VERBOSE,
)
QUIET_SECONDS = 60.0
"""When nothing was shown for so long, the line that came last is."""


class Transcript:
    """Shows the lines that matter, and keeps them and all others in two files.

    :ivar output: what was shown
    :ivar log: everything
    """

    def __init__(self, output: Path, log: Path, progress: Progress) -> None:
        self.output = output
        self.log = log
        self._progress = progress
        self._started = self._shown = time.monotonic()
        output.write_text("")
        log.write_text("")

    def say(self, text: str) -> None:
        """Show a line and keep it."""
        self._shown = time.monotonic()
        seconds = int(self._shown - self._started)
        line = f"{seconds // 60:3}:{seconds % 60:02}  {text}"
        self._progress.say(line)
        for file in (self.output, self.log):
            with file.open("a") as stream:
                stream.write(f"{line}\n")

    def take(self, line: str) -> None:
        """A line that a command printed."""
        line = line.rstrip()
        if SHOWN.fullmatch(line):
            # A row of asterisks fills a line of Ansible's up to the width of the terminal.
            self.say(line.removeprefix("==> ").rstrip("* "))
            return
        with self.log.open("a") as stream:
            stream.write(f"{line}\n")
        if line and time.monotonic() - self._shown > QUIET_SECONDS:
            self._shown = time.monotonic()
            self._progress.say(f"        {line.rstrip('* ')} ...")

    def minutes(self) -> str:
        """How long it took until now."""
        seconds = int(time.monotonic() - self._started)
        return f"{seconds // 60} min {seconds % 60} s"
