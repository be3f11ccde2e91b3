"""The audit log for greenlets: they wait until their record is on the disk, many of them for one write.

Greenlets put records into a queue. One greenlet at a time hands the queue to the writer, on a
native thread, and wakes those whose records are written. What comes meanwhile is the next batch.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import gevent
import structlog
from gevent.event import AsyncResult
from gevent.threadpool import ThreadPool

from porthole.audit.entry import NOBODY, Detail, Entry, Event, Result, Who
from porthole.audit.errors import AuditUnavailable
from porthole.audit.keys import AuditKeys
from porthole.audit.line import Head
from porthole.audit.writer import ChainWriter, Written

MAX_WAITING = 1000
"""Records that may wait to be written; beyond it :class:`AuditUnavailable`."""

MAX_BATCH = 256
"""Records that are written together."""

WAIT = 10.0
"""Seconds a record may take to the disk: other processes have their turns, and a disk may hang."""

MAX_BYTES = 64 * 1024 * 1024
BACKUPS = 10
ANNOUNCE_EVERY = 60.0

log = structlog.get_logger("porthole.audit")


@dataclass(slots=True, eq=False)
class _Waiting:
    """A record on its way; without an entry, the question whether the log works.

    :ivar result: why it is not on the disk, empty when it is
    :ivar abandoned: nobody waits for it any more, and it has been refused
    """

    entry: Entry | None
    result: AsyncResult[str] = field(default_factory=AsyncResult)
    abandoned: bool = False


def check(path: Path, keys: AuditKeys, clock: Callable[[], float] = time.time) -> None:
    """Open or create the log and see that it can be gone on with, in the calling thread: for the start.

    :raises AuditUnavailable: it cannot; ``why`` says what would be right
    """
    writer = ChainWriter(path, keys, max_bytes=MAX_BYTES, backups=BACKUPS, clock=clock)
    try:
        writer.check()
    finally:
        writer.close()


class AuditLog:
    """Records acts. To be made in the process and on the thread that use it; several processes may have one each.

    :param path: the log; its folder has to exist, and be one that this user may write to
    :param max_bytes: of a file; a full one gets the number of its last line as the end of its name
    :param backups: how many full files are kept
    :param announce: called with the chain's head after the first record, then at most every ``announce_every``
        seconds when there is a new one, and at the close; it has to take it to where the log's writer cannot change it
    :param clock: Unix time in seconds
    """

    def __init__(
        self, path: Path, keys: AuditKeys, *, announce: Callable[[Head], None], max_bytes: int = MAX_BYTES,
        backups: int = BACKUPS, announce_every: float = ANNOUNCE_EVERY, clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self._writer = ChainWriter(path, keys, max_bytes=max_bytes, backups=backups, clock=clock)
        self._clock = clock
        self._pool = ThreadPool(1)
        self._waiting: deque[_Waiting] = deque()
        self._committing: gevent.Greenlet[[], None] | None = None
        self._closed = False
        self._announcer = _Announcer(announce, announce_every)

    def record(
        self, event: Event, *, who: Who = NOBODY, client: str = "", instance: str = "", compute: str = "",
        token_id: str = "", session_id: str = "", reason: str = "", result: Result | None = None,
        details: Mapping[str, Detail] | None = None,
    ) -> None:  # fmt: skip
        """Write a record and wait until it is on the disk. The arguments are those of :class:`Entry`.

        :raises AuditUnavailable: it is not, so what it is about must not happen
        """
        entry = Entry(
            event=event, time=self._clock(), who=who, client=client, instance=instance, compute=compute,
            token_id=token_id, session_id=session_id, reason=reason, result=result, details=details or {},
        )  # fmt: skip
        self.write(entry)

    def write(self, entry: Entry) -> None:
        """The same with a record that was made before.

        :raises AuditUnavailable: it is not on the disk
        """
        self._ask(_Waiting(entry))

    def problem(self) -> str:
        """What keeps the log from being written, a sentence; empty when it works.

        After a failure this tries to write, and what was not recorded is recorded as a number.
        """
        try:
            self._ask(_Waiting(None))
        except AuditUnavailable:
            return "The audit log cannot be written."
        return ""

    def close(self) -> None:
        """Wait for the records under way and announce the last head; the log is of no use afterwards."""
        self._closed = True
        if self._committing is not None:
            self._committing.join(WAIT)
        self._announcer.close()
        # A thread that hangs cannot be ended; it ends with the process.
        if self._committing is None or self._committing.dead:
            self._pool.apply(self._writer.close)
            self._pool.kill()

    def _ask(self, waiting: _Waiting) -> None:
        if self._closed:
            raise AuditUnavailable("it is closed")
        if len(self._waiting) >= MAX_WAITING:
            raise AuditUnavailable(f"{MAX_WAITING} records wait to be written already")
        self._waiting.append(waiting)
        if self._committing is None or self._committing.dead:
            self._committing = gevent.spawn(self._commit)
        waiting.result.wait(WAIT)
        if not waiting.result.ready():
            waiting.abandoned = True
            raise AuditUnavailable(f"the record was not on the disk after {WAIT:g} seconds")
        if why := waiting.result.get():
            raise AuditUnavailable(why)

    def _commit(self) -> None:
        """Have written what waits, batch after batch, and wake those that wait for it."""
        while self._waiting:
            batch, written = self._pool.apply(self._write)
            for index, waiting in enumerate(batch):
                waiting.result.set("" if index < written.count else written.why)
            if written.head is not None and not written.why:
                self._announcer.know(written.head)

    def _write(self) -> tuple[list[_Waiting], Written]:
        """On the thread: write a batch, which is taken when it is our turn."""
        batch: list[_Waiting] = []

        def take() -> list[Entry]:
            batch.extend(self._take())
            return [waiting.entry for waiting in batch if waiting.entry is not None]

        try:
            written = self._writer.append(take)
        except Exception as error:  # whatever it is, nobody may wait for nothing
            self._writer.close()
            written = Written(0, f"{type(error).__name__}: {error}", None)
            batch.extend([] if batch else self._take())
        questions = [waiting for waiting in batch if waiting.entry is None]
        records = [waiting for waiting in batch if waiting.entry is not None]
        if written.why:
            return records + questions, written
        return records + questions, Written(len(batch), "", written.head)

    def _take(self) -> list[_Waiting]:
        """The next batch, without those who have been refused by now. A deque is safe between threads."""
        batch: list[_Waiting] = []
        while self._waiting and len(batch) < MAX_BATCH:
            waiting = self._waiting.popleft()
            if not waiting.abandoned:
                batch.append(waiting)
        return batch


class _Announcer:
    """Tells heads, not too often."""

    def __init__(self, announce: Callable[[Head], None], every: float) -> None:
        self._announce = announce
        self._every = every
        self._known: Head | None = None
        self._told: Head | None = None
        self._next = 0.0
        self._timer: gevent.Greenlet[[], None] | None = None

    def know(self, head: Head) -> None:
        """There is a new head: tell it now, or when it is time."""
        self._known = head
        now = time.monotonic()
        if now >= self._next:
            self._tell()
        elif self._timer is None or self._timer.dead:
            self._timer = gevent.spawn_later(self._next - now, self._tell)

    def close(self) -> None:
        """Tell the last one."""
        if self._timer is not None:
            self._timer.kill()
        self._tell()

    def _tell(self) -> None:
        if self._known is None or self._known == self._told:
            return
        self._told = self._known
        self._next = time.monotonic() + self._every
        try:
            self._announce(self._known)
        except Exception:
            log.exception("the head of the audit log could not be announced")
