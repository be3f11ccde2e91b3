"""What every way of proving who one is has to offer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from porthole.auth.principal import Principal
from porthole.auth.signin import SignIn
from porthole.config import AuthStrategy
from porthole.consoleauth.tokens import Claims


@dataclass(frozen=True, slots=True)
class Login:
    """What somebody types in the page.

    :ivar user_domain: the domain of the user, by name; empty for Keystone's default domain
    :ivar project: the project to act for, by name; empty for the user's default project
    :ivar project_domain: the domain of the project, by name; empty for that of the user
    """

    username: str
    password: str = field(repr=False)
    user_domain: str = ""
    project: str = ""
    project_domain: str = ""


@dataclass(frozen=True, slots=True)
class Proved:
    """Somebody has proved who it is, for a sign-in that lasts.

    :ivar stamp: a short text for the cookie, by which :meth:`Authenticator.still` knows the sign-in again
    :ivar expires: Unix time in whole seconds at which it ends at the latest; None for any time
    """

    principal: Principal
    stamp: str = field(repr=False)
    expires: int | None = None


class Authenticator(Protocol):
    """One back end: the htpasswd file, or Keystone.

    Every method may take a while; the greenlet waits, the hub does not. Those about a connect answer at once.
    """

    @property
    def strategy(self) -> AuthStrategy:
        """Which one it is."""

    @property
    def challenge(self) -> str:
        """The value of ``WWW-Authenticate`` (RFC 9110, 11.6.1)."""

    def counted_as(self, login: Login) -> str:
        """A key for the user, under which wrong passwords are counted."""

    def authenticate(self, username: str, password: str) -> Principal:
        """Who this is, by what came with a request (http_basic).

        :raises NotAuthenticated: the two do not belong together
        :raises TooBusy: there is no time to check
        """

    def validate(self, token: str) -> Principal:
        """Who this is, by the token that came with a request (keystone).

        :raises NotAuthenticated: it is no token, or not good any more
        :raises WrongScope: it is not one of a project
        :raises IdentityUnavailable: nobody can say
        """

    def sign_in(self, login: Login) -> Proved:
        """Who this is, by what was typed in the page.

        :raises NotAuthenticated: it does not belong together
        :raises TooBusy, WrongScope, IdentityUnavailable: as above
        """

    def still(self, sign_in: SignIn) -> Principal:
        """Who signed in, with the roles of this moment.

        :raises NotAuthenticated: the user is gone, the password is another, or the token behind it is over
        :raises IdentityUnavailable: nobody can say
        """

    def sign_out(self, sign_in: SignIn) -> None:
        """A sign-in was ended: nothing that stands behind it works any more, if that can be had now. Never raises."""

    def knows(self, username: str) -> bool | None:
        """Whether there is a user of this name; None when that is not for this service to know."""

    def stamp(self, user_id: str) -> str:
        """A short text that changes when the user's password does, from memory; empty where that is not known.

        It goes into the sign-in cookie of http_basic, so it must not help anybody to guess the password.
        """

    # --- at a connect, and while a session lasts: from memory

    def recorded_roles(self, principal: Principal) -> str:
        """What a token has to say of the roles of whom it is for; empty when :meth:`holder` looks them up."""

    def holder(self, claims: Claims) -> Principal | None:
        """The user of a token, as far as that can be known at this moment; None when there is none any more."""

    # --- the service

    def problem(self) -> str:
        """Why nobody can sign in now, a sentence; empty when it works. Answers from memory."""

    def close(self) -> None:
        """Let go of threads and connections."""
