"""What a check of the log finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from porthole.audit.line import Head


class Kind(StrEnum):
    """What was done to a line."""

    CHANGED = "changed"
    REMOVED = "removed"
    INSERTED = "inserted"
    REORDERED = "reordered"
    RECOMPUTED = "recomputed"
    """The chain from here on is of another key, of another log, or differs from an announced head."""
    CUT = "cut"
    """Lines at the end are missing."""
    HALF_WRITTEN = "half-written"
    """The last line has no end: its writer was killed, or somebody cut it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The first line that is not as it was written.

    :ivar line: its number in the file, from 1; of lines that are missing, where they should be
    :ivar what: a sentence
    """

    file: Path
    line: int
    kind: Kind
    what: str

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}: {self.kind}: {self.what}"


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a check.

    :ivar lines: how many lines were found good, up to the first that is not
    :ivar first: the number in the chain of the first one, 0 without any
    :ivar head: the last good line
    :ivar heads: how many announced heads were compared
    :ivar notes: sentences about what could not be checked, or is odd and explained
    """

    finding: Finding | None
    lines: int
    first: int
    head: Head
    heads: int
    notes: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether every line is as it was written, as far as could be checked."""
        return self.finding is None

    def sentences(self) -> list[str]:
        """The report in words, the worst first."""
        said = [str(self.finding)] if self.finding else []
        if not self.lines and self.ok:
            said.append("The log has no lines.")
        if self.lines:
            good = "are as they were written" if self.ok else "before it are as they were written"
            said.append(f"{self.lines} lines, {self.first} to {self.head.seq} of the chain, {good}.")
            said.append(f"The chain's head is {self.head.seq} {self.head.mac}." if self.ok else "")
        return [sentence for sentence in (*said, *self.notes) if sentence]
