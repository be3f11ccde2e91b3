"""What every way of proving who one is has to offer."""

from __future__ import annotations

from typing import Protocol

from porthole.auth.principal import Principal


class Authenticator(Protocol):
    """One back end: the htpasswd file now, others later."""

    @property
    def challenge(self) -> str:
        """The value of ``WWW-Authenticate`` (RFC 9110, 11.6.1)."""

    def authenticate(self, username: str, password: str) -> Principal:
        """Who this is. May take a while; the greenlet waits, the hub does not.

        :raises NotAuthenticated: the two do not belong together
        :raises TooBusy: there is no time to check
        """

    def lookup(self, user_id: str) -> Principal | None:
        """A user with the roles of this moment, None when it is gone."""

    def stamp(self, user_id: str) -> str:
        """A short text that changes when the user's password does; empty when the user is gone.

        It goes into the sign-in cookie, so it must not help anybody to guess the password.
        """
