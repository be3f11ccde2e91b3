"""Where a chain goes on: its last line is looked for in the file, and what is odd at the end gets a mark."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from porthole.audit.entry import Detail, Entry, Event
from porthole.audit.errors import AuditUnavailable
from porthole.audit.files import LogFile, older_files
from porthole.audit.keys import AuditKeys
from porthole.audit.line import START, Head, Line, read

GLANCE = 8 * 1024
"""Bytes at a file's end that are looked at first: with several processes, each finds the others' lines all the time."""

WINDOW = 512 * 1024
"""Bytes at a file's end in which its last line is looked for; more than one write can leave half done."""


@dataclass(frozen=True, slots=True)
class Tail:
    """The end of a file.

    :ivar last: the last line that is genuine
    :ivar rest: the bytes after it
    :ivar whole: whether the file was read from its beginning
    :ivar needs_newline: whether the last byte is none
    """

    last: Line | None
    rest: bytes
    whole: bool
    needs_newline: bool

    @property
    def is_torn(self) -> bool:
        """Whether what follows the last line is the beginning of one line more."""
        return bool(self.rest) and b"\n" not in self.rest and (self.last is not None or self.whole)


def read_tail(descriptor: int, keys: AuditKeys, *, trust_unknown: bool = False) -> Tail:
    """Find a file's last line.

    :param trust_unknown: take a line that has our form and an unknown key for one of ours: a newer process may have
        a newer key. It is believed for nothing but its place in the chain.
    """
    tail = _read_tail(descriptor, keys, GLANCE, trust_unknown=trust_unknown)
    if tail.last is not None and not tail.rest:
        return tail
    return _read_tail(descriptor, keys, WINDOW, trust_unknown=trust_unknown)


def _read_tail(descriptor: int, keys: AuditKeys, window: int, *, trust_unknown: bool) -> Tail:
    size = os.fstat(descriptor).st_size
    begin = max(0, size - window)
    data = os.pread(descriptor, window, begin)
    if begin:
        data = data[data.find(b"\n") + 1 :]
    needs_newline = bool(data) and not data.endswith(b"\n")
    # What follows the last newline may be a whole line that lacks nothing but its own.
    end, after = len(data), len(data)
    while end > 0:
        start = data.rfind(b"\n", 0, end) + 1
        line = read(data[start:end], keys)
        if line and (line.genuine or (trust_unknown and not line.known_key)):
            return Tail(line, data[after:], not begin, needs_newline)
        end, after = start - 1, start
    return Tail(None, data, not begin, needs_newline)


def last_of(file: Path, keys: AuditKeys, *, trust_unknown: bool = False) -> Line | None:
    """The last line of a file that is full; nothing when it cannot be read or has none."""
    with contextlib.suppress(OSError):
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            return read_tail(descriptor, keys, trust_unknown=trust_unknown).last
        finally:
            os.close(descriptor)
    return None


@dataclass(frozen=True, slots=True)
class Continuation:
    """How the chain goes on.

    :ivar head: the line that the next one follows
    :ivar marks: what has to be written first
    :ivar needs_newline: whether the file ends within a line
    """

    head: Head
    marks: tuple[Entry, ...]
    needs_newline: bool


def take_up(path: Path, file: LogFile, keys: AuditKeys, known: Head | None, clock: Callable[[], float]) -> Continuation:
    """Find out where the chain goes on, in a file that others may have written to, or that was left in disorder.

    :param known: the head that this process knew last
    :raises AuditUnavailable: what is there is no log of ours, or its key is missing
    """
    tail = read_tail(file.descriptor, keys, trust_unknown=known is not None)
    _refuse_what_is_not_ours(path, tail, keys, known)
    found = tail.last
    marks: list[Entry] = []

    def mark(event: Event, reason: str, details: dict[str, Detail]) -> None:
        marks.append(Entry(event=event, time=clock(), reason=reason, details=details))

    if tail.rest:
        about: dict[str, Detail] = {"bytes": len(tail.rest), "sha256": hashlib.sha256(tail.rest).hexdigest()}
        if tail.is_torn:
            mark(Event.TORN_LINE, "the line before this one was half written", about)
        else:
            mark(Event.LOG_BROKEN, "what stands before this line was not written so", about)
    if found is None and (older := older_files(path)):
        found = last_of(older[-1], keys, trust_unknown=known is not None)
        mark(Event.LOG_ROTATED, "", {"after": older[-1].name, "removed_to": 0})
    head = found.head if found else START
    if known and (head.seq < known.seq or (head.seq == known.seq and head != known)):
        mark(Event.LOG_BROKEN, f"the log ended with line {head.seq}, and line {known.seq} had been written", {})
        head = known
    return Continuation(head, tuple(marks), tail.needs_newline)


def _refuse_what_is_not_ours(path: Path, tail: Tail, keys: AuditKeys, known: Head | None) -> None:
    """A process that has just started goes on only from a line that it can check."""
    if known is not None or not tail.rest or tail.is_torn:
        return
    ended = tail.rest[: tail.rest.rfind(b"\n")].rpartition(b"\n")[2]
    line = read(ended, keys)
    if line and not line.known_key:
        raise AuditUnavailable(
            f"{path}: its last line is signed with the key {line.key_id}, which the key file does not hold. "
            "Put that key below the new one, or move the log and its older files away"
        )
    if tail.last is None:
        raise AuditUnavailable(
            f"{path}: its last {len(tail.rest)} bytes hold no line that one of the keys has signed. "
            "Keep it as evidence: move it away with its older files, and a new log begins"
        )
