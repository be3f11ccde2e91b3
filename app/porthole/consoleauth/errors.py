"""Why a token does not open a console.

TokenError
├── TokenMissing   none was sent
├── TokenExpired   it was good, and its time is over
├── TokenUsed      it was good, and has opened as many sessions as it may
├── TokenInvalid   it is none of ours, was changed, or was revoked
└── TokenOfAnotherConsole  Nova issued it, and not for the VNC console that the instance has now
AuthorityUnavailable   Nova cannot be asked
"""

from __future__ import annotations

_ASK_SENDER = "Ask whoever sent it for another one."


class TokenError(Exception):
    """Base of this package's errors; ``str()`` is for the person who holds the token."""


class TokenMissing(TokenError):
    """The request carries no token."""

    def __init__(self) -> None:
        super().__init__(
            "This address lacks its token. Open the console from the list of instances, or ask for a new URL."
        )


class TokenExpired(TokenError):
    """The token's time is over (Nova: ``expires <= now``).

    :param instance_id: whose console it opened
    :param shared: whether it was a share link's: whoever has that can ask this service for nothing
    """

    def __init__(self, instance_id: str, *, shared: bool = False) -> None:
        super().__init__(
            f"This link has expired. {_ASK_SENDER}" if shared else "This console URL has expired. Ask for a new one."
        )
        self.instance_id = instance_id
        self.shared = shared


class TokenInvalid(TokenError):
    """The token is not one that this service issued, was altered, or was revoked."""

    def __init__(self) -> None:
        super().__init__("This console URL is not valid here. Check that it is complete, or ask for a new one.")


class TokenUsed(TokenError):
    """The token has opened as many sessions as ``[consoleauth] token_uses`` says, and this browser's is none of them.

    :param instance_id: whose console it opened
    :param shared: whether it was a share link's, as for :class:`TokenExpired`
    """

    def __init__(self, instance_id: str, *, shared: bool = False) -> None:
        super().__init__(
            f"This link has been used already. {_ASK_SENDER}"
            if shared
            else "This console URL has been used already. Ask for a new one."
        )
        self.instance_id = instance_id
        self.shared = shared


class TokenOfAnotherConsole(TokenError):
    """Nova issued the token for a console of another type, or for a port that the instance's VNC server had before."""

    def __init__(self) -> None:
        super().__init__(
            "This URL is not for the VNC console that the instance has now: it is for another type of console, or from "
            "before the instance was started anew or moved. Ask Nova for a new one, of type novnc."
        )


class AuthorityUnavailable(Exception):
    """Nova, which has to say what its token opens, cannot be asked. ``why`` is for the log.

    :param why: what happened, without the token
    """

    def __init__(self, why: str) -> None:
        super().__init__(
            "Nova, which issued this console URL, cannot be asked about it at the moment. Try again in a few seconds; "
            "if it lasts, tell your administrator."
        )
        self.why = why
