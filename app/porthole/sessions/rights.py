"""What the user of a token has to be allowed, at its connect and for as long as its session lasts."""

from __future__ import annotations

from porthole.auth.policy import Action
from porthole.consoleauth.tokens import Claims


def needed(claims: Claims) -> tuple[Action, ...]:
    """What it takes besides seeing the instance; the sharer has to be allowed it when it is a share link's."""
    if claims.share_uses:
        return Action.CREATE_CONSOLE, Action.SHARE_CONSOLE
    return (Action.CREATE_CONSOLE,)
