"""What the audit log gets to know of connects: their refusals and their ends (their starts: :mod:`.start`)."""

from __future__ import annotations

from collections.abc import Mapping

from porthole.audit import AuditUnavailable, Event, Recorder, Who
from porthole.audit.entry import Detail
from porthole.audit.recorder import Fields
from porthole.consoleauth.tokens import Claims
from porthole.proxy.ended import Ended
from porthole.proxy.errors import OriginRefused
from porthole.sessions.session import Session
from porthole.sessions.start import about, who


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
        **about(session.claims, session.record.session_id, session.info, session.client),
        "reason": f"{int(ended.code)} {ended.reason}".rstrip(),
        "details": details,
    }
    audit.happened(Event.SESSION_ENDED, **fields)
