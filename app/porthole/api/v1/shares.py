"""Share links: anybody who has one can watch an instance's console, without an account, until it expires."""

from __future__ import annotations

from apiflask import APIBlueprint
from flask import g

from porthole.api.errors import RequestError
from porthole.api.limits import TooManyShares
from porthole.api.opening import find_instance, share_console
from porthole.api.recording import console_refusals
from porthole.api.services import ApiSettings, Services
from porthole.api.spec import problems
from porthole.api.v1.models import InstanceName, Share, ShareList, ShareRequest, ShareSummary, Sharing
from porthole.api.v1.times import rfc3339
from porthole.auth.policy import Action
from porthole.auth.principal import Principal
from porthole.state.rows import ShareRow, User

SHARING_OFF = "Share links are switched off here ([consoleauth] share_ttl_max is 0)."


def add_routes(v1: APIBlueprint, services: Services) -> None:
    """Add ``/v1/shares``."""

    @v1.post("/shares")
    @v1.input(ShareRequest, arg_name="wanted")
    @v1.output(Share, status_code=201, description="The link.")
    @v1.doc(operation_id="createShare", responses=problems(400, 401, 403, 404, 409, 413, 415, 429, 503))
    def create_share(wanted: ShareRequest) -> Share:
        """Make a link with which anybody can watch an instance's console

        It is for viewing only, and its sessions end with it. They run with the rights of whoever makes it, so they end
        when that user may not open the console any more. DELETE /v1/tokens/ID revokes it.
        """
        with console_refusals(services, wanted.instance):
            for action in (Action.CREATE_CONSOLE, Action.SHARE_CONSOLE):
                services.policy.enforce(g.principal, action)
            seconds = _lifetime(services.settings, wanted.expires_in)
            _check_number(services, g.principal)
            instance = find_instance(services, g.principal, wanted.instance)
            shared = share_console(services, g.principal, instance, seconds, wanted.uses)
        return Share(
            url=shared.url,
            token_id=shared.claims.token_id,
            expires_at=rfc3339(shared.claims.expires),
            uses=shared.claims.share_uses,
            instance=InstanceName(id=shared.instance.id, name=shared.instance.name),
        )

    @v1.get("/shares")
    @v1.output(ShareList, description="Those that the caller has made; everybody's for administrators.")
    @v1.doc(operation_id="listShares", responses=problems(401, 403, 429, 503))
    def list_shares() -> ShareList:
        """List the share links that work now

        Without the links themselves, which nobody can be shown again.
        """
        caller: Principal = g.principal
        policy, shares = services.policy, services.shares
        policy.enforce(caller, Action.LIST_SESSIONS)
        users = policy.listed(caller, shares.users(), Action.SHOW_SESSION, Action.LIST_ALL_SESSIONS)
        return ShareList(shares=[_summary(row) for row in shares.listing(users)])


def sharing(services: Services, principal: Principal) -> Sharing | None:
    """What a person's share links can be like; None when it can make none."""
    longest = services.settings.share_ttl_max
    actions = (Action.CREATE_CONSOLE, Action.SHARE_CONSOLE)
    if not longest or not all(services.policy.may(principal, action) for action in actions):
        return None
    return Sharing(expires_in=min(services.settings.share_ttl, longest), longest=longest)


def _lifetime(settings: ApiSettings, wanted: int | None) -> int:
    """Seconds for which a link works.

    :raises RequestError: nobody can make any, or none that works so long
    """
    longest = settings.share_ttl_max
    if not longest:
        raise RequestError(403, SHARING_OFF, "forbidden")
    if wanted is not None and wanted > longest:
        raise RequestError(
            400, f'The key "expires_in" is not right: a share link works for {longest} seconds at most here.'
        )
    return wanted or min(settings.share_ttl, longest)


def _check_number(services: Services, principal: Principal) -> None:
    """Refuse what is one too many; of requests at the same moment, some more may pass.

    :raises TooManyShares: the user has as many as it may have
    """
    limit = services.settings.shares_per_user
    if limit and services.shares.count(User(principal.user_id, principal.project_id)) >= limit:
        raise TooManyShares(limit)


def _summary(row: ShareRow) -> ShareSummary:
    return ShareSummary(
        token_id=row.token_id,
        instance_id=row.instance_id,
        user_id=row.user_id,
        project_id=row.project_id,
        expires_at=rfc3339(row.expires),
        uses=row.uses,
        used=row.used,
    )
