"""What the service records acts with: before they happen, as refusals, or after they could not be helped.

Whether the act may happen when it cannot be recorded is what tells the three apart:

- :meth:`Recorder.must`: it gives somebody something, so without its record it does not happen
- :meth:`Recorder.refused`: it gives nobody anything, and strangers can have as many of them as they like
- :meth:`Recorder.happened`: it takes something away, or is over; it happens anyway, and is recorded as soon as possible
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypedDict, Unpack

import gevent
import structlog
from gevent.event import Event as Signal

from porthole.audit.allowance import Allowance
from porthole.audit.entry import Detail, Entry, Event, Result, Who
from porthole.audit.errors import AuditUnavailable
from porthole.audit.log import AuditLog

MAX_LATE = 10_000
"""Acts that wait to be recorded while the log does not work; what comes then is only in the journal."""

LATE_AT_ONCE = 200
"""Acts that are handed to the log together, far fewer than it lets wait."""

LATE_WAIT = 1.0
"""Seconds that whoever reports an act waits for its record; it is written afterwards otherwise."""

RETRY_EVERY = 2.0
"""Seconds between two attempts to record what could not be recorded."""

TELL_EVERY = 60.0
"""Seconds for which refusals are counted that were too many to record each."""

CLOSE_TIMEOUT = 3.0
"""Seconds for what still waits when the service stops."""

log = structlog.get_logger("porthole.audit")


class Fields(TypedDict, total=False):
    """Those of :class:`porthole.audit.entry.Entry` without event and time."""

    who: Who
    client: str
    instance: str
    compute: str
    token_id: str
    session_id: str
    reason: str
    result: Result | None
    details: Mapping[str, Detail]


@dataclass(slots=True, eq=False)
class _Act:
    """One that has happened.

    :ivar tried: set when it is written, or could not be at the first attempt
    """

    entry: Entry
    tried: Signal = field(default_factory=Signal)


class Recorder:
    """Records acts in a log, or nothing when ``[audit] enabled`` is false. To be made in the process that uses it.

    :param audit_log: the log; None records nothing
    :param clock: Unix time in seconds
    :ivar clock: the same
    """

    def __init__(self, audit_log: AuditLog | None, clock: Callable[[], float] = time.time) -> None:
        self._log = audit_log
        self.clock = clock
        self._allowance = Allowance()
        self._passed_over: Counter[str] = Counter()
        self._teller: gevent.Greenlet[[], None] | None = None
        self._late: deque[_Act] = deque()
        self._writing: gevent.Greenlet[[], None] | None = None
        self._failing = False
        self._refusing = False
        self._closing = Signal()

    @property
    def is_failing(self) -> bool:
        """Whether the last attempt to record something failed; nothing is tried here."""
        return self._failing or self._refusing

    def must(self, event: Event, **fields: Unpack[Fields]) -> None:
        """Record an act that is about to happen.

        :raises AuditUnavailable: it is not on the disk, so the act must not happen
        """
        if self._log is None:
            return
        try:
            self._log.write(Entry(event=event, time=self.clock(), **fields))
        except AuditUnavailable:
            self._refusing = True
            raise
        self._refusing = False

    def refused(self, event: Event, **fields: Unpack[Fields]) -> None:
        """Record a refusal; those beyond an address's allowance are counted, and their number is recorded.

        :raises AuditUnavailable: it is not on the disk, so this has to be the answer, which says nothing else
        """
        if self._log is None:
            return
        if self._allowance.take(fields.get("client", "")):
            self.must(event, **fields)
            return
        self._passed_over[event.value] += 1
        if self._teller is None or self._teller.dead:
            self._teller = gevent.spawn_later(TELL_EVERY, self._tell_passed_over)

    def happened(self, event: Event, at: float | None = None, **fields: Unpack[Fields]) -> None:
        """Record an act that has happened, now or as soon as the log works again. Never raises.

        :param at: when, Unix time in seconds; None for this moment
        """
        if self._log is None:
            return
        act = _Act(Entry(event=event, time=self.clock() if at is None else at, **fields))
        if self._closing.is_set() or len(self._late) >= MAX_LATE:
            _lose(act)
            return
        self._late.append(act)
        if self._writing is None or self._writing.dead:
            self._writing = gevent.spawn(self._write_late)
        if not self.is_failing:
            act.tried.wait(LATE_WAIT)

    def problem(self) -> str:
        """What keeps the log from being written, a sentence; empty when it works."""
        return self._log.problem() if self._log is not None else ""

    def close(self) -> None:
        """Write what waits, if it can be, and announce the chain's last head."""
        if self._log is None:
            return
        if self._teller is not None:
            self._teller.kill()
        self._tell_passed_over()
        self._closing.set()
        if self._writing is not None:
            self._writing.join(CLOSE_TIMEOUT)
        while self._late:
            _lose(self._late.popleft())
        self._log.close()

    def _tell_passed_over(self) -> None:
        if not self._passed_over:
            return
        counted, self._passed_over = dict(self._passed_over), Counter()
        self.happened(Event.REFUSALS_PASSED_OVER, reason="too many to record each of them", details=counted)

    def _write_late(self) -> None:
        """Write what waits, many at once, which costs the disk no more than one; what fails is first again."""
        while self._late:
            is_last = self._closing.is_set()
            batch = [self._late.popleft() for _ in range(min(len(self._late), LATE_AT_ONCE))]
            attempts = [gevent.spawn(self._is_written, act) for act in batch]
            gevent.joinall(attempts)
            failed = [act for act, attempt in zip(batch, attempts, strict=True) if not attempt.value]
            self._failing = bool(failed)
            if failed:
                self._late.extendleft(reversed(failed))
                if is_last:
                    return
                self._closing.wait(RETRY_EVERY)

    def _is_written(self, act: _Act) -> bool:
        try:
            if self._log is not None:
                self._log.write(act.entry)
        except AuditUnavailable as error:
            if not self._failing:
                log.error("acts are not in the audit log yet", why=error.why)
            self._failing = True
            return False
        finally:
            act.tried.set()
        return True


def _lose(act: _Act) -> None:
    """The journal is the last place where it can be found."""
    log.error("act is not in the audit log", act=act.entry.fields(), time=act.entry.time)
