"""What the audit log gets to know of connects: their starts, their refusals and their ends."""

from __future__ import annotations

from porthole.audit import AuditUnavailable, Event, Recorder, Who
from porthole.compute.model import ConnectInfo
from porthole.consoleauth.tokens import Claims
from porthole.proxy.ended import Ended
from porthole.proxy.errors import OriginRefused
from porthole.sessions.session import Session


def tell_start(
    audit: Recorder, claims: Claims, session_id: str, info: ConnectInfo, client: str, *, resumed: bool
) -> None:
    """A connection is about to show an instance's screen.

    :param resumed: whether it goes on with a session that another connection had
    :raises AuditUnavailable: it must not
    """
    audit.must(
        Event.SESSION_STARTED,
        who=who(claims),
        client=client,
        instance=claims.instance_id,
        compute=info.instance.compute,
        token_id=claims.token_id,
        session_id=session_id,
        details={"mode": claims.mode, "resumed": resumed, "shared": bool(claims.share_uses)},
    )


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
    to_client, to_target = session.relayed
    audit.happened(
        Event.SESSION_ENDED,
        who=who(session.claims),
        client=session.client,
        instance=session.claims.instance_id,
        compute=session.info.instance.compute,
        token_id=session.claims.token_id,
        session_id=session.record.session_id,
        reason=f"{int(ended.code)} {ended.reason}".rstrip(),
        details={
            "by": ended.by,
            "shared": bool(session.claims.share_uses),
            "seconds": int(session.seconds),
            "bytes_to_browser": to_client,
            "bytes_to_instance": to_target,
        },
    )


def who(claims: Claims) -> Who:
    """For whom a token was issued."""
    return Who(claims.user_id, claims.project_id)
