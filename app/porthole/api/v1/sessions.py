"""Sessions that can be listed, ended and renewed, and tokens that can be revoked."""

from __future__ import annotations

from apiflask import APIBlueprint
from flask import Response, g, make_response

from porthole.api.errors import RequestError
from porthole.api.opening import find_instance
from porthole.api.recording import address, who
from porthole.api.services import Services
from porthole.api.spec import problems
from porthole.api.v1.models import SessionList, SessionSummary
from porthole.api.v1.times import rfc3339
from porthole.audit import Event
from porthole.audit.recorder import Fields
from porthole.auth.policy import Action
from porthole.auth.principal import Principal
from porthole.proxy.errors import CloseCode
from porthole.state.rows import SessionRow

BY_ADMINISTRATOR = "An administrator ended this session."
BY_USER = "The user of this session ended it from elsewhere."
BY_SHARER = "The person who shared this console ended this session."
BY_ANOTHER = "Another user, who may do so, ended this session."
REVOKED = "The token of this session was revoked."
LINK_REVOKED = "The link to this console was revoked."

_NO_SESSION = "There is no such session now; GET /v1/sessions lists those that there are."
_NO_TOKEN = "There is no such token, or it has expired."  # noqa: S105 - a sentence


def add_routes(v1: APIBlueprint, services: Services) -> None:
    """Add ``/v1/sessions`` and ``/v1/tokens``."""

    @v1.get("/sessions")
    @v1.output(SessionList, description="Those that the caller may see: its own; everybody's for administrators.")
    @v1.doc(operation_id="listSessions", responses=problems(401, 403, 429, 503))
    def list_sessions() -> SessionList:
        """List open sessions"""
        caller: Principal = g.principal
        services.policy.enforce(caller, Action.LIST_SESSIONS)
        table = services.records.table
        users = services.policy.listed(caller, table.users(), Action.SHOW_SESSION, Action.LIST_ALL_SESSIONS)
        return SessionList(sessions=[summary(row) for row in table.listing(users)])

    @v1.get("/sessions/<session_id>")
    @v1.output(SessionSummary, description="The session.")
    @v1.doc(operation_id="getSession", responses=problems(401, 403, 404, 429, 503))
    def get_session(session_id: str) -> SessionSummary:
        """Show a session"""
        return summary(_find(services, session_id))

    @v1.delete("/sessions/<session_id>")
    @v1.doc(
        operation_id="endSession",
        responses={204: {"description": "It is ended; its page shows why."}, **problems(401, 403, 404, 429, 503)},
    )
    def end_session(session_id: str) -> Response:
        """End a session

        Its WebSocket is closed within a second, whichever process has it, and the browser cannot go on with it.
        """
        caller: Principal = g.principal
        services.policy.enforce(caller, Action.END_SESSION)
        row = _find(services, session_id)
        services.policy.enforce(caller, Action.END_SESSION, row)
        reason = ended_by(caller, row)
        if not services.records.table.end(row.session_id, CloseCode.ENDED_BY_ADMINISTRATOR, reason):
            raise RequestError(404, _NO_SESSION)
        services.audit.happened(Event.SESSION_KILLED, **_about(row, reason))
        return make_response("", 204)

    @v1.post("/sessions/<session_id>/renew")
    @v1.output(SessionSummary, description="The session, with its new end.")
    @v1.doc(operation_id="renewSession", responses=problems(401, 403, 404, 409, 413, 415, 429, 503))
    def renew_session(session_id: str) -> SessionSummary:
        """Renew a session that would end with its token

        Whoever may ask for a console of the instance now may do this, as often as he likes, until
        [consoleauth] session_timeout ends it.
        """
        row = _find(services, session_id)
        instance = find_instance(services, g.principal, row.instance_id)
        services.policy.enforce(g.principal, Action.CREATE_CONSOLE, instance)
        records = services.records
        expires = records.lifetime.renewed(records.table.now(), row.started)
        if row.share_uses:
            raise RequestError(409, "This session came from a share link and ends with it. A new link can be made.")
        if row.expires is None or expires is None:
            raise RequestError(409, "This session does not end with its token, so there is nothing to renew.")
        end = max(expires, row.expires)
        services.audit.must(Event.SESSION_RENEWED, **_about(row, f"until {rfc3339(end)}"))
        if not records.table.extend(row.session_id, end):
            raise RequestError(404, _NO_SESSION)
        return summary(_find(services, session_id))

    @v1.delete("/tokens/<token_id>")
    @v1.doc(
        operation_id="revokeToken",
        responses={
            204: {"description": "It opens nothing any more, and its sessions are ended."},
            **problems(401, 403, 404, 429, 503),
        },
    )
    def revoke_token(token_id: str) -> Response:
        """Revoke a console's URL or a share link

        By the token's id, which the call for the console gave; the token itself is not needed.
        """
        caller: Principal = g.principal
        services.policy.enforce(caller, Action.REVOKE_TOKEN)
        table = services.records.table
        user = table.token_user(token_id)
        # One that the caller may not revoke is as one that does not exist.
        if user is None or not services.policy.may(caller, Action.REVOKE_TOKEN, user):
            raise RequestError(404, _NO_TOKEN)
        share = services.shares.get(token_id)
        if not table.revoke(token_id, CloseCode.ENDED_BY_ADMINISTRATOR, LINK_REVOKED if share else REVOKED):
            raise RequestError(404, _NO_TOKEN)
        services.audit.happened(
            Event.TOKEN_REVOKED,
            who=who(caller),
            client=address(),
            instance=share.instance_id if share else "",
            token_id=token_id,
            details={"of": user.user_id, "shared": share is not None},
        )
        return make_response("", 204)


def ended_by(caller: Principal, row: SessionRow) -> str:
    """Who ended a session, a sentence for whoever sits in front of it."""
    if (caller.user_id, caller.project_id) == (row.user_id, row.project_id):
        return BY_SHARER if row.share_uses else BY_USER
    return BY_ADMINISTRATOR if caller.is_admin else BY_ANOTHER


def summary(row: SessionRow) -> SessionSummary:
    """A session as it is shown."""
    return SessionSummary(
        id=row.session_id,
        token_id=row.token_id,
        instance_id=row.instance_id,
        user_id=row.user_id,
        project_id=row.project_id,
        mode=row.mode,
        shared=bool(row.share_uses),
        client=row.client,
        connected=row.away_since is None,
        started_at=rfc3339(row.started),
        expires_at=None if row.expires is None else rfc3339(row.expires),
        bytes_to_browser=row.to_client,
        bytes_to_instance=row.to_target,
    )


def _find(services: Services, session_id: str) -> SessionRow:
    """A session that the caller may see; one it may not see is as one that does not exist.

    :raises Forbidden: it may see none at all
    :raises RequestError: there is none
    """
    services.policy.enforce(g.principal, Action.SHOW_SESSION)
    row = services.records.table.get(session_id)
    if row is None or not services.policy.may(g.principal, Action.SHOW_SESSION, row):
        raise RequestError(404, _NO_SESSION)
    return row


def _about(row: SessionRow, reason: str) -> Fields:
    """What the audit log gets to know when somebody does something to a session."""
    return {
        "who": who(g.principal),
        "client": address(),
        "instance": row.instance_id,
        "token_id": row.token_id,
        "session_id": row.session_id,
        "reason": reason,
        "details": {"of": row.user_id},
    }
