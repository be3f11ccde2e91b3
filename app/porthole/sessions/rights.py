"""What the user of a token has to be allowed, at its connect and for as long as its session lasts."""

from __future__ import annotations

from collections.abc import Callable

from porthole.auth.policy import Action
from porthole.auth.principal import Principal, Role
from porthole.consoleauth.nova import NOVA_USER
from porthole.consoleauth.tokens import Claims


def needed(claims: Claims) -> tuple[Action, ...]:
    """What it takes besides seeing the instance; the sharer has to be allowed it when it is a share link's."""
    if claims.share_uses:
        return Action.CREATE_CONSOLE, Action.SHARE_CONSOLE
    return (Action.CREATE_CONSOLE,)


def holder(claims: Claims, find_principal: Callable[[Claims], Principal | None]) -> Principal | None:
    """For whom a token stands, as that is now; None when there is nobody any more.

    Nova has asked its own rules before it issued a token, and does not say for whom: one of its tokens stands for a
    member of the instance's project. Where libvirt does not say whose the instance is, it stands for Nova itself.

    :param find_principal: a token's user as it is now, None when it is gone
    """
    if claims.user_id != NOVA_USER:
        return find_principal(claims)
    role = Role.MEMBER if claims.project_id else Role.ADMIN
    return Principal(NOVA_USER, claims.project_id, frozenset({role}))
