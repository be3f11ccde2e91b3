"""The writer: takes its turn with other processes, goes on from the last line, and has lines on the disk.

It blocks, so it runs on a native thread (:mod:`porthole.audit.log`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from porthole.audit.entry import Detail, Entry, Event
from porthole.audit.errors import AuditUnavailable
from porthole.audit.files import LogFile, locked, older_files, older_name, sync_folder
from porthole.audit.keys import AuditKeys
from porthole.audit.line import MAX_LINE, Head, encode
from porthole.audit.recovery import last_of, take_up

MAX_WRITE = 128 * 1024
"""Bytes that are written at once, with one fdatasync; a line more at most."""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a batch.

    :ivar count: so many of its entries are on the disk, the first ones
    :ivar why: why the others are not; empty when all are
    :ivar head: where the chain ends, as far as this process knows
    """

    count: int
    why: str
    head: Head | None


@dataclass(slots=True)
class _Failure:
    since: float
    why: str
    entries: int = 0


class ChainWriter:
    """Appends to the chain. One thread at a time calls it.

    :param path: the log; its folder has to exist
    :param max_bytes: of a file; beyond it a new one is begun
    :param backups: how many full files are kept
    :param clock: Unix time in seconds
    """

    def __init__(
        self, path: Path, keys: AuditKeys, *, max_bytes: int, backups: int, clock: Callable[[], float] = time.time
    ) -> None:
        if max_bytes < MAX_LINE:
            raise ValueError(f"max_bytes is {max_bytes}; it has to be {MAX_LINE} or more, so that each line fits")
        if backups < 1:
            raise ValueError(f"backups is {backups}; it has to be 1 or more")
        self._path = path
        self._keys = keys
        self._max_bytes = max_bytes
        self._backups = backups
        self._clock = clock
        self._file: LogFile | None = None
        self._head: Head | None = None
        self._failure: _Failure | None = None

    def append(self, take: Callable[[], Sequence[Entry]]) -> Written:
        """Wait for our turn, and write what there is then.

        :param take: gives the entries; called once, with the lock held, so that those go along which came meanwhile
        """
        entries: Sequence[Entry] | None = None
        done = 0
        try:
            with locked(self._path.parent):
                file = self._take_up()
                entries = take()
                while done < len(entries):
                    done += self._put(file, entries[done:])
                    file = self._file or self._rotate()
        except (OSError, AuditUnavailable) as error:
            why = error.why if isinstance(error, AuditUnavailable) else f"{self._path}: {error.strerror or error}"
            self.close()
            failure = self._failure = self._failure or _Failure(self._clock(), why)
            failure.entries += len(take() if entries is None else entries) - done
            return Written(done, why, self._head)
        return Written(done, "", self._head)

    def check(self) -> None:
        """Open or create the log and see that it can be gone on with.

        :raises AuditUnavailable: it cannot
        """
        written = self.append(lambda: ())
        if written.why:
            raise AuditUnavailable(written.why)

    def close(self) -> None:
        """Close the file; the next call opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _take_up(self) -> LogFile:
        """The file, as the last writer left it, with marks for what is odd."""
        file = self._file
        marks: list[Entry] = []
        newline = False
        if file is None or not file.is_as_left():
            self.close()
            file = self._file = LogFile(self._path)
            continuation = take_up(self._path, file, self._keys, self._head, self._clock)
            self._head, newline = continuation.head, continuation.needs_newline
            marks.extend(continuation.marks)
        if failure := self._failure:
            details: dict[str, Detail] = {"failed": failure.entries, "since": int(failure.since)}
            marks.append(Entry(event=Event.RECORDING_RESUMED, time=self._clock(), reason=failure.why, details=details))
        if marks or newline:
            self._write(file, marks, before=b"\n" if newline else b"")
        self._failure = None
        return file

    def _put(self, file: LogFile, entries: Sequence[Entry]) -> int:
        """Write as many entries as fit into the file and one write; when none does, close the file for rotation."""
        head = self._known
        lines: list[bytes] = []
        size = 0
        for entry in entries:
            line, next_head = encode(entry, head, self._keys)
            if file.end + size + len(line) > self._max_bytes or size >= MAX_WRITE:
                break
            lines.append(line)
            size += len(line)
            head = next_head
        if lines:
            file.append(b"".join(lines))
            self._head = head
        else:
            self.close()
        return len(lines)

    def _write(self, file: LogFile, entries: Sequence[Entry], before: bytes = b"") -> None:
        """Write marks, whatever the size of the file."""
        head = self._known
        lines = [before]
        for entry in entries:
            line, head = encode(entry, head, self._keys)
            lines.append(line)
        file.append(b"".join(lines))
        self._head = head

    def _rotate(self) -> LogFile:
        """Give the full file its name, begin a new one, and remove the oldest. It may be killed at any step."""
        full = older_name(self._path, self._known.seq)
        if full.exists():
            raise AuditUnavailable(f"{full}: it is in the way of the full log, which gets this name. Move it away")
        self._path.rename(full)
        sync_folder(self._path.parent)
        surplus = older_files(self._path)[: -self._backups]
        lasts = [line.seq for file in surplus if (line := last_of(file, self._keys))]
        file = self._file = LogFile(self._path)
        details: dict[str, Detail] = {"after": full.name, "removed_to": max(lasts, default=0)}
        self._write(file, [Entry(event=Event.LOG_ROTATED, time=self._clock(), details=details)])
        # Only now that it is recorded.
        for old in surplus:
            old.unlink(missing_ok=True)
        return file

    @property
    def _known(self) -> Head:
        if self._head is None:
            raise AuditUnavailable(f"{self._path}: nobody has looked where the chain ends")
        return self._head
