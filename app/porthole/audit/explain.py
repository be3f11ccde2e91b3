"""Find words for the first bad line, from what stands after it."""

from __future__ import annotations

from collections.abc import Iterator

from porthole.audit.finding import Finding, Kind
from porthole.audit.keys import AuditKeys
from porthole.audit.line import Head, Line, read
from porthole.audit.reading import Raw


def bad_line(raw: Raw, line: Line | None, before: Head, rest: Iterator[Raw], keys: AuditKeys) -> Finding:
    """Explain a line whose mac is not right, or that has not our form.

    :param line: what could be read of it
    :param before: the last good line
    :param rest: the lines after it
    """
    following = next(rest, None)
    if following is None and not raw.ended:
        return Finding(raw.file, raw.number, Kind.HALF_WRITTEN, _HALF)
    after = read(following.data, keys) if following else None
    if line and after and not after.genuine and after.prev == line.mac:
        # This and the next fit each other, so somebody has computed macs, and not with our keys.
        missing = "" if line.known_key else f", or the key file lacks the key {line.key_id}"
        what = f"this line and the next are chained with a key that is none of ours: the chain was recomputed{missing}."
        return Finding(raw.file, raw.number, Kind.RECOMPUTED, what)
    while following is not None and not (after and after.genuine):
        following = next(rest, None)
        after = read(following.data, keys) if following else None
    if after and after.seq == before.seq + 1 and after.prev == before.mac:
        what = f"this was not written by the service; line {after.seq} of the chain, which is good, comes after it."
        return Finding(raw.file, raw.number, Kind.INSERTED, what)
    what = f"its content and its mac do not fit; it should be line {before.seq + 1} of the chain."
    return Finding(raw.file, raw.number, Kind.CHANGED, what)


_HALF = (
    "it is half written: its writer was killed, or the disk was full, or somebody has cut it. When the service "
    "starts again, it marks the line; check again then, with the heads that were announced."
)


def unended_line(raw: Raw, is_last: bool) -> Finding:
    """Explain a good line without a newline."""
    if is_last:
        return Finding(raw.file, raw.number, Kind.HALF_WRITTEN, _HALF)
    return Finding(raw.file, raw.number, Kind.CHANGED, "the newline at its end is missing.")


def wrong_place(raw: Raw, line: Line, before: Head, rest: Iterator[Raw], keys: AuditKeys) -> Finding:
    """Explain a line that is as it was written, and does not follow the one before it."""
    wanted = before.seq + 1
    if line.seq == wanted:
        what = f"it is line {line.seq} of the chain, but was not written after the line {before.seq} before it."
        return Finding(raw.file, raw.number, Kind.RECOMPUTED, what)
    if line.seq <= before.seq:
        what = f"it is a copy: line {line.seq} of the chain came before."
        return Finding(raw.file, raw.number, Kind.INSERTED, what)
    has_wanted = has_itself = False
    for later in rest:
        found = read(later.data, keys)
        if found and found.genuine:
            has_wanted = has_wanted or found.seq == wanted
            has_itself = has_itself or found.mac == line.mac
    if has_wanted and has_itself:
        what = f"it is a copy of line {line.seq} of the chain, which comes later."
        return Finding(raw.file, raw.number, Kind.INSERTED, what)
    if has_wanted:
        what = f"it is line {line.seq} of the chain; line {wanted}, which should be here, comes later."
        return Finding(raw.file, raw.number, Kind.REORDERED, what)
    return Finding(raw.file, raw.number, Kind.REMOVED, missing(wanted, line.seq - 1, "are missing before this one."))


def missing(first: int, last: int, what: str) -> str:
    """Name lines of the chain."""
    if first == last:
        return f"line {first} of the chain {what.replace('are', 'is', 1)}"
    return f"lines {first} to {last} of the chain {what}"
