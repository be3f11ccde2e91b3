"""Check a log: each line's own mac, its place in the chain, and the heads that were announced."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from porthole.audit import explain
from porthole.audit.entry import Event
from porthole.audit.finding import Finding, Kind, Report
from porthole.audit.keys import AuditKeys
from porthole.audit.line import START, Head, Line, read
from porthole.audit.order import Times
from porthole.audit.reading import Raw, log_files, open_lines

_FIRST_IN_A_FILE = (Event.LOG_ROTATED, Event.TORN_LINE, Event.LOG_BROKEN)


def verify_log(path: Path, keys: AuditKeys, heads: Iterable[Head] = ()) -> Report:
    """Check a log with all its older files, which the service may write to meanwhile.

    :param heads: that were announced; without them nobody can say whether lines at the end are missing
    :raises porthole.audit.reading.LogUnreadable: there is none, or a file cannot be read
    """
    check = _Check(keys, heads, whole=True, last_file=path)
    with open_lines([path.parent], lambda: log_files(path)) as lines:
        finding = check.walk(lines) or check.missing_at_the_ends()
    return check.report(finding)


def verify(paths: Sequence[Path], keys: AuditKeys, heads: Iterable[Head] = ()) -> Report:
    """Check some files of a log, or copies of them; that older lines are missing is no finding then.

    :param paths: the files, oldest first; at least one
    :raises porthole.audit.reading.LogUnreadable: a file cannot be read
    """
    check = _Check(keys, heads, whole=False, last_file=paths[-1])
    with open_lines([path.absolute().parent for path in paths], lambda: paths) as lines:
        finding = check.walk(lines) or check.missing_at_the_ends()
    return check.report(finding)


class _Check:
    """A walk along the chain: where it is, and what was seen."""

    def __init__(self, keys: AuditKeys, heads: Iterable[Head], *, whole: bool, last_file: Path) -> None:
        self._keys = keys
        self._whole = whole
        self._announced: dict[int, set[str]] = {}
        for head in heads:
            self._announced.setdefault(head.seq, set()).add(head.mac)
        self._compared = 0
        self._agreed = 0
        self._head = START
        self._first: tuple[Line, Raw] | None = None
        self._last_place = (last_file, 0)
        self._lines = 0
        self._removed_to = 0
        self._times = Times()
        self._notes: list[str] = []

    def walk(self, lines: Iterator[Raw]) -> Finding | None:
        """Take line after line, until one is not as it was written."""
        finding: Finding | None = None
        while finding is None and (raw := next(lines, None)) is not None:
            line = read(raw.data, self._keys)
            if line and line.genuine and raw.ended:
                finding = self._take(raw, line, lines)
            else:
                finding = self._take_bad(raw, line, lines)
        return finding

    def missing_at_the_ends(self) -> Finding | None:
        """Lines that are missing before the first one or after the last one."""
        if self._first and self._first[0].seq > 1:
            line, raw = self._first
            if self._whole and line.seq > self._removed_to + 1:
                return _missing_before(raw, self._removed_to + 1, line)
            self._notes.append(f"The lines before line {line.seq} of the chain are not here; they were not checked.")
        newest = max(self._announced, default=0)
        if newest > self._head.seq:
            file, number = self._last_place
            what = explain.missing(self._head.seq + 1, newest, "are missing at the end, and perhaps more.")
            return Finding(file, number + 1, Kind.CUT, what)
        if self._announced:
            self._notes.append(f"{len(self._announced)} heads are of lines that are not here; they were not compared.")
        if not self._compared:
            self._notes.append("No head was compared, so nobody can say whether lines are missing at the end.")
        return None

    def report(self, finding: Finding | None) -> Report:
        """What was seen."""
        first = self._first[0].seq if self._first else 0
        notes = (*self._notes, *self._times.notes())
        return Report(finding, self._lines, first, self._head, self._compared, notes)

    def _take(self, raw: Raw, line: Line, rest: Iterator[Raw]) -> Finding | None:
        """Take a line that is as it was written, if this is its place."""
        fields = line.fields()
        if self._first is None and line.seq > 1:
            if self._whole and fields["event"] not in _FIRST_IN_A_FILE:
                return _missing_before(raw, 1, line)
        elif line.seq != self._head.seq + 1 or line.prev != self._head.mac:
            return explain.wrong_place(raw, line, self._head, rest, self._keys)
        if finding := self._compare(raw, line):
            return finding
        self._first = self._first or (line, raw)
        self._head, self._last_place = line.head, (raw.file, raw.number)
        self._lines += 1
        self._times.take(raw, fields["time"])
        self._note(raw, fields["event"], fields)
        return None

    def _take_bad(self, raw: Raw, line: Line | None, rest: Iterator[Raw]) -> Finding | None:
        """A line that is not as it was written is forgiven when the next one, a good one, marks it as torn."""
        following = next(rest, None)
        mark = read(following.data, self._keys) if following else None
        if following and mark and raw.ended and mark.genuine and _marks(mark, raw):
            finding = self._take(following, mark, rest)
            if finding is None:
                self._notes.append(f"{raw.file}, line {raw.number}: it is half written, and the next line marks it so.")
            return finding
        if line and line.genuine:
            return explain.unended_line(raw, is_last=following is None)
        remaining = itertools.chain([following] if following else [], rest)
        return explain.bad_line(raw, line, self._head, remaining, self._keys)

    def _note(self, raw: Raw, event: str, fields: dict[str, object]) -> None:
        details = fields["details"]
        if event == Event.LOG_ROTATED and isinstance(details, dict):
            self._removed_to = max(self._removed_to, details["removed_to"])
        elif event in (Event.LOG_BROKEN, Event.RECORDING_RESUMED):
            said = "found the log broken" if event == Event.LOG_BROKEN else "could not record for a time"
            self._notes.append(f"{raw.file}, line {raw.number}: the service {said}: {fields['reason']}.")

    def _compare(self, raw: Raw, line: Line) -> Finding | None:
        announced = self._announced.pop(line.seq, None)
        if announced is None:
            return None
        self._compared += len(announced)
        if announced == {line.mac}:
            self._agreed = line.seq
            return None
        what = (
            f"another line {line.seq} of the chain was announced. After line {self._agreed} the chain was written anew "
            "by somebody who has the key, or lines were cut off and the service went on, or the head is of another log."
        )
        return Finding(raw.file, raw.number, Kind.RECOMPUTED, what)


def _missing_before(raw: Raw, first: int, line: Line) -> Finding:
    what = explain.missing(first, line.seq - 1, "are missing before this one, and not because the service made room.")
    return Finding(raw.file, raw.number, Kind.REMOVED, what)


def _marks(mark: Line, raw: Raw) -> bool:
    fields = mark.fields()
    wanted = {"bytes": len(raw.data), "sha256": hashlib.sha256(raw.data).hexdigest()}
    return bool(fields["event"] == Event.TORN_LINE and fields["details"] == wanted)
