"""What the audit log gets to know of connects: their starts, their refusals and their ends."""

from __future__ import annotations

from collections.abc import Mapping

from porthole.audit import AuditUnavailable, Event, Recorder, Who
from porthole.audit.entry import Detail
from porthole.audit.recorder import Fields
from porthole.compute.model import ConnectInfo
from porthole.consoleauth.tokens import Claims
from porthole.proxy.ended import Ended
from porthole.proxy.errors import OriginRefused
from porthole.sessions.session import Session


class Start:
    """That a connection is about to show an instance's screen.

    :param resumed: whether it goes on with a session that another connection had
    """

    def __init__(
        self, audit: Recorder, claims: Claims, session_id: str, info: ConnectInfo, client: str, *, resumed: bool
    ) -> None:
        self._audit = audit
        self._is_told = False
        self._fields: Fields = {
            **_about(claims, session_id, info, client),
            "details": {"mode": claims.mode, "resumed": resumed, "shared": bool(claims.share_uses)},
        }

    def must_be_told(self) -> None:
        """Put it on record, once.

        :raises AuditUnavailable: it is not, so the screen must not be shown
        """
        if not self._is_told:
            self._audit.must(Event.SESSION_STARTED, **self._fields)
            self._is_told = True

    def tell_late(self) -> None:
        """It came to nothing before it was on record; its end is to have a beginning there."""
        if not self._is_told:
            self._is_told = True
            self._audit.happened(Event.SESSION_STARTED, **self._fields)


def tell_refusal(
    audit: Recorder, error: Exception, code: str, claims: Claims | None, client: str, origin: str | None
) -> None:
    """A connect is refused.

    :param code: of the problem
    :param claims: what the token says, when we signed it; whatever else is wrong with it
    :raises AuditUnavailable: this has to be the answer
    """
    if isinstance(error, AuditUnavailable):
        return
    audit.refused(
        Event.CONNECT_REFUSED,
        who=who(claims) if claims else Who(),
        client=client,
        instance=claims.instance_id if claims else "",
        token_id=claims.token_id if claims else "",
        reason=code,
        details={"origin": origin} if isinstance(error, OriginRefused) else {},
    )


def tell_end(audit: Recorder, session: Session, ended: Ended) -> None:
    """A connection is over, and its session too unless its browser comes back; never lost while the process lives."""
    session.start.tell_late()
    to_client, to_target = session.relayed
    details: Mapping[str, Detail] = {
        "by": ended.by,
        "shared": bool(session.claims.share_uses),
        "seconds": int(session.seconds),
        "bytes_to_browser": to_client,
        "bytes_to_instance": to_target,
    }
    fields: Fields = {
        **_about(session.claims, session.record.session_id, session.info, session.client),
        "reason": f"{int(ended.code)} {ended.reason}".rstrip(),
        "details": details,
    }
    audit.happened(Event.SESSION_ENDED, **fields)


def _about(claims: Claims, session_id: str, info: ConnectInfo, client: str) -> Fields:
    return {
        "who": who(claims),
        "client": client,
        "instance": claims.instance_id,
        "compute": info.instance.compute,
        "token_id": claims.token_id,
        "session_id": session_id,
    }


def who(claims: Claims) -> Who:
    """For whom a token was issued."""
    return Who(claims.user_id, claims.project_id)
