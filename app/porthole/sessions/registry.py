"""Who is connected to this process now."""

from __future__ import annotations

import time

import structlog
from gevent.event import Event

from porthole.metrics import Metrics
from porthole.proxy.errors import CloseCode, ServiceStopping, TooManySessions
from porthole.proxy.relay import Ended
from porthole.sessions.session import Session

_OUR_CODES = frozenset(CloseCode)
"""A browser may send any of some 2,000 codes; they share one label."""

log = structlog.get_logger("porthole.sessions")


class Sessions:
    """The live sessions, and the places for those to come.

    :param limit: sessions at once, those being admitted included
    :param metrics: where sessions and their bytes are counted
    """

    def __init__(self, limit: int, metrics: Metrics) -> None:
        self._limit = limit
        self._metrics = metrics
        self._places = 0
        self._live: set[Session] = set()
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
        if self._places >= self._limit:
            raise TooManySessions
        self._places += 1

    def release(self) -> None:
        """Give back a place whose session did not come about."""
        self._places -= 1

    def add(self, session: Session) -> None:
        """A session has begun, in a place that was reserved."""
        self._live.add(session)
        self._nobody.clear()
        self._metrics.sessions.inc()
        self._metrics.sessions_started.inc()
        security = session.target.opened.security.name.lower()
        log.info("session admitted", **_described(session), vnc_security=security)

    def forget(self, session: Session, ended: Ended | None) -> None:
        """A session is over; its place is free."""
        self._live.discard(session)
        if not self._live:
            self._nobody.set()
        self._places -= 1
        to_client, to_target = session.relayed
        ended = ended or _untold(session)
        code = ended.code
        self._metrics.sessions.dec()
        self._metrics.sessions_ended.labels(str(code) if code in _OUR_CODES else "other").inc()
        self._metrics.relayed_bytes.labels("to_browser").inc(to_client)
        self._metrics.relayed_bytes.labels("to_instance").inc(to_target)
        log.info(
            "session ended",
            **_described(session),
            code=code,
            reason=ended.reason,
            by=ended.by,
            seconds=round(time.time() - session.started_at, 3) if session.started_at else 0,
            bytes_to_client=to_client,
            bytes_to_target=to_target,
        )

    def end_all(self, code: int, reason: str) -> None:
        """End every session and admit no more."""
        self._stopping = True
        for session in list(self._live):
            session.end(code, reason)

    def wait_until_over(self) -> None:
        """Wait until there is no session; the caller limits the time."""
        self._nobody.wait()


def _untold(session: Session) -> Ended:
    """The end of a session whose relay has told none: it never ran, or was cut off when the service's time was over."""
    if session.started_at is None:
        return Ended(CloseCode.INTERNAL_ERROR, "The session did not start.", "service")
    return Ended(CloseCode.GOING_AWAY, "The session was cut off.", "service")


def _described(session: Session) -> dict[str, str]:
    return {
        "token_id": session.claims.token_id,
        "instance": session.claims.instance_id,
        "compute": session.info.instance.compute,
        "user": session.claims.user_id,
        "client": session.client,
    }
