"""``porthole audit verify``: for the command line, which prints what comes back."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from porthole.audit.heads import HeadsError, read_heads
from porthole.audit.keys import AuditKeys
from porthole.audit.line import Head
from porthole.audit.reading import LogUnreadable
from porthole.audit.verify import verify, verify_log
from porthole.consoleauth.keys import KeyFileError

GOOD, BAD, NOT_CHECKED = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Outcome:
    """What to print, and the exit status.

    :ivar status: 0 when every line is as it was written, 1 when one is not, 2 when nothing could be checked
    """

    status: int
    sentences: tuple[str, ...]


def cli_verify(path: Path, key_file: Path, *, files: Sequence[Path] = (), heads: str = "") -> Outcome:
    """Check a log.

    :param path: the log of the configuration; its older files are found beside it
    :param files: check these instead, oldest first; they need not be all
    :param heads: a file of announced heads, ``-`` for standard input, empty for none
    """
    try:
        keys = AuditKeys.from_file(key_file)
        announced = _announced(heads)
        report = verify(files, keys, announced) if files else verify_log(path, keys, announced)
    except (KeyFileError, LogUnreadable, HeadsError) as error:
        return Outcome(NOT_CHECKED, (str(error),))
    return Outcome(GOOD if report.ok else BAD, tuple(report.sentences()))


def _announced(heads: str) -> list[Head]:
    if not heads:
        return []
    if heads == "-":
        return read_heads(sys.stdin)
    try:
        with Path(heads).open(encoding="utf-8", errors="replace") as lines:
            return read_heads(lines)
    except OSError as error:
        raise HeadsError(f"{heads}: cannot be read: {error.strerror}.") from None
