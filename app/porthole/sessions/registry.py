"""Who is connected to this process now."""

from __future__ import annotations

from collections import deque
from typing import Protocol

import structlog
from gevent.event import Event

from porthole.audit import Recorder
from porthole.metrics import Metrics
from porthole.proxy.ended import Ended
from porthole.proxy.errors import FINAL, CloseCode, ServiceStopping, TooManySessions
from porthole.sessions.records import TAKEN_OVER, Records
from porthole.sessions.session import Session
from porthole.sessions.telling import tell_end
from porthole.state.database import StoreUnavailable
from porthole.state.rows import Traffic

_OUR_CODES = frozenset(CloseCode)
"""A browser may send any of some 2,000 codes; they share one label."""

MAX_LATE = 10_000
"""Ends that wait to be recorded while the store does not work. Of one that is given up the record says nothing of its
end, and is passed over for want of a sign of life."""

MAX_ORDERS = 100
"""Orders to end a session that are kept although it is not here: it may be on record already and be added next."""

log = structlog.get_logger("porthole.sessions")


class Places(Protocol):
    """Places for sessions, those being admitted included."""

    def take(self) -> bool:
        """Take a place; False when there is none."""

    def give(self) -> None:
        """Give one back."""


class OwnPlaces:
    """Those of a process that shares them with no other.

    :param limit: how many there are
    """

    def __init__(self, limit: int) -> None:
        self._free = limit

    def take(self) -> bool:
        """Take a place; False when there is none."""
        if not self._free:
            return False
        self._free -= 1
        return True

    def give(self) -> None:
        """Give one back."""
        self._free += 1


class Sessions:
    """The live sessions of this process.

    :param places: for them and those to come
    :param metrics: where sessions and their bytes are counted
    :param records: where they are on record, with those of other processes
    :param audit: where their starts and ends are recorded for good
    """

    def __init__(self, places: Places, metrics: Metrics, records: Records, audit: Recorder) -> None:
        self.records = records
        self.audit = audit
        self._places = places
        self._metrics = metrics
        self._live: dict[str, Session] = {}  # by their connections' names
        self._carriers: dict[str, str] = {}  # by their sessions' ids: the connection that came last
        self._orders: dict[str, tuple[int, str]] = {}  # of connections that are not here, or not yet
        self._late: deque[tuple[Traffic, Ended]] = deque(maxlen=MAX_LATE)
        self._stopping = False
        self._nobody = Event()
        self._nobody.set()

    def __len__(self) -> int:
        return len(self._live)

    def reserve(self) -> None:
        """Take a place, before the work of admitting somebody is begun.

        :raises TooManySessions: there is none
        :raises ServiceStopping: nobody is admitted any more
        """
        if self._stopping:
            raise ServiceStopping
        if not self._places.take():
            raise TooManySessions

    def release(self) -> None:
        """Give back a place whose session did not come about."""
        self._places.give()

    def add(self, session: Session) -> None:
        """A session has begun, in a place that was reserved. Another connection that carries it is cut."""
        record = session.record
        if other := self._live.get(self._carriers.get(record.session_id, "")):
            other.end(CloseCode.TAKEN_OVER, TAKEN_OVER)
        self._live[record.connection] = session
        self._carriers[record.session_id] = record.connection
        if order := self._orders.pop(session.record.connection, None):
            session.end(*order)
        self._nobody.clear()
        self._metrics.sessions.inc()
        self._metrics.sessions_started.inc()

    def forget(self, session: Session, ended: Ended | None) -> None:
        """A session is over; its place is free."""
        record = session.record
        self._live.pop(record.connection, None)
        if self._carriers.get(record.session_id) == record.connection:
            del self._carriers[record.session_id]
        if not self._live:
            self._nobody.set()
        self._places.give()
        to_client, to_target = session.relayed
        ended = ended or _untold(session)
        code = ended.code
        self._metrics.sessions.dec()
        self._metrics.sessions_ended.labels(str(code) if code in _OUR_CODES else "other").inc()
        self._metrics.relayed_bytes.labels("to_browser").inc(to_client)
        self._metrics.relayed_bytes.labels("to_instance").inc(to_target)
        log.info(
            "session ended",
            **session.described,
            code=code,
            reason=ended.reason,
            by=ended.by,
            seconds=round(session.seconds, 3),
            bytes_to_client=to_client,
            bytes_to_target=to_target,
        )
        # Before anything waits: the service's stop goes on when nobody is left, and closes the audit log.
        tell_end(self.audit, session, ended)
        self._record_end(session.take_traffic(), ended)

    def end_all(self, code: int, reason: str) -> None:
        """End every session and admit no more."""
        self._stopping = True
        for session in self.live():
            session.end(code, reason)

    def live(self) -> list[Session]:
        """The sessions now, those whose 101 is still to come among them."""
        return list(self._live.values())

    def is_live(self, session: Session) -> bool:
        """Whether it has not ended."""
        return self._live.get(session.record.connection) is session

    def end(self, connection: str, code: int, reason: str) -> None:
        """End the session that this connection carries: now, or when it is added in a moment."""
        session = self._live.get(connection)
        if session is not None:
            session.end(code, reason)
            return
        self._orders[connection] = (code, reason)
        if len(self._orders) > MAX_ORDERS:
            self._orders.pop(next(iter(self._orders)))

    def wait_until_over(self) -> None:
        """Wait until there is no session; the caller limits the time."""
        self._nobody.wait()

    def tell_cut_off(self) -> None:
        """Have the audit log know of the sessions that did not end in time and are cut off now."""
        for session in self.live():
            tell_end(self.audit, session, _untold(session))

    def record_late(self) -> None:
        """Put on record what could not be before.

        :raises StoreUnavailable: it still cannot
        """
        while self._late:
            self._record(*self._late[0])
            self._late.popleft()

    def _record_end(self, traffic: Traffic, ended: Ended) -> None:
        try:
            self._record(traffic, ended)
        except StoreUnavailable:
            self._late.append((traffic, ended))

    def _record(self, traffic: Traffic, ended: Ended) -> None:
        if ended.by == "service" and ended.code in FINAL:
            self.records.table.close(traffic, ended.reason)
        else:
            self.records.table.leave(traffic, ended.reason)


def _untold(session: Session) -> Ended:
    """The end of a session whose relay has told none: it never ran, or was cut off when the service's time was over."""
    if session.started_at is None:
        return Ended(CloseCode.INTERNAL_ERROR, "The session did not start.", "service")
    return Ended(CloseCode.GOING_AWAY, "The session was cut off.", "service")
