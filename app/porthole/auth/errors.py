"""Why somebody is not let in.

AuthError
├── NotAuthenticated  nobody has proved who is asking (401)
├── TooBusy           more passwords wait to be checked than can be checked soon (503)
├── IdentityUnavailable  Keystone cannot be asked who asks (503)
├── WrongScope        it is known who asks, and not for which project (403)
├── CrossSite         a page of another site made the browser ask (403)
└── Forbidden         it is known who asks, and the policy says no (403)
"""

from __future__ import annotations


class AuthError(Exception):
    """Base of this package's errors; ``str()`` is for the person who asks."""


class NotAuthenticated(AuthError):
    """Nobody has proved who is asking.

    :param why: what would help, a sentence; it must not say whether the user exists
    """

    def __init__(self, why: str = "The user name or the password is wrong.") -> None:
        super().__init__(why)


class TooBusy(AuthError):
    """The queue of passwords to check is full, or one address has its part of it.

    :param retry_after: whole seconds after which trying again makes sense
    :param whose: what follows "passwords" when only some of them are too many, with a space before it
    """

    def __init__(self, retry_after: int, whose: str = "") -> None:
        others = "" if whose else "; the browser's sign-in and a password that was just used need no check"
        super().__init__(
            f"Too many passwords{whose} are being checked at the moment. Try again in {retry_after} seconds{others}."
        )
        self.retry_after = retry_after


class IdentityUnavailable(AuthError):
    """Keystone cannot be reached, or does not answer as it should; open sessions go on.

    :param why: what it was, for the log
    """

    def __init__(self, why: str) -> None:
        super().__init__(
            "The identity service (Keystone) cannot be asked who you are. Open consoles go on, and console URLs that "
            "were given out work. Try again in a few seconds."
        )
        self.why = why


class WrongScope(AuthError):
    """A token that is good, and not one with which consoles can be had.

    :param what: what it is, and what would be right, a sentence
    """


class CrossSite(AuthError):
    """A request that changes something came from a page of another site, or could have."""

    def __init__(self) -> None:
        super().__init__(
            "This request was refused because it may come from a page of another site. Programs send a user name "
            "and password with each request; a page of this service sends its Origin."
        )


class Forbidden(AuthError):
    """The policy does not allow it.

    :param action: Nova's rule name
    :param hint: a sentence that says who could
    """

    def __init__(self, action: str, hint: str = "") -> None:
        super().__init__(f"Policy doesn't allow {action} to be performed. {hint}".rstrip())
        self.action = action
