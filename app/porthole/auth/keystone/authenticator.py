"""keystone: users, projects and roles are Keystone's (``[api] auth_strategy``, ``[keystone_authtoken]``)."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import gevent
import structlog

from porthole.auth.authenticator import Login, Proved
from porthole.auth.errors import AuthError, NotAuthenticated, WrongScope
from porthole.auth.keystone.answers import Answer
from porthole.auth.keystone.identity import Identity
from porthole.auth.keystone.kept import Kept, Store
from porthole.auth.keystone.spelling import user_key
from porthole.auth.keystone.validated import Valid, Validated
from porthole.auth.principal import Principal, Role
from porthole.auth.signin import SIGN_IN_AGAIN, SignIn
from porthole.config import AuthStrategy, KeystoneSettings
from porthole.consoleauth.tokens import Claims
from porthole.state.database import StoreUnavailable

MAX_TOKEN_LENGTH = 2048
"""Characters; longer ones are refused before anybody is asked about them.

Fernet tokens have about 200: ``[DEFAULT] max_token_size`` is 255 (keystone/conf/default.py), and one beyond it is given
out with a line in the log. JWS tokens have some 500. Those of federated users grow with their groups, by 23 and 48 for
each. The question about a token has two tokens in its headers, and web servers in front of Keystone take few kilobytes
of these (uWSGI's ``buffer-size``: 4096 bytes); what they answer to more is none of Keystone's answers.
"""

NO_ROLES = "-"
"""What a token records of somebody who has none of our roles: rules of one's own may let him in."""

_TOKEN = re.compile(r"[!-~]+")
_NOT_OURS = "The token is not one that Keystone could have given."

log = structlog.get_logger("porthole.auth")


class KeystoneAuthenticator:
    """Asks Keystone who somebody is; what a user may do in which project is in the token's roles.

    :param settings: where Keystone is, and who we are there
    :param store: where the tokens behind sign-ins are kept
    :param clock: Unix time in seconds
    """

    def __init__(self, settings: KeystoneSettings, store: Store, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock
        self._identity = Identity(settings)
        self._validated = Validated(lambda token: _valid(self._identity.validate(token)), settings.token_cache_time)
        self._kept = Kept(store)

    @property
    def strategy(self) -> AuthStrategy:
        """keystone."""
        return AuthStrategy.KEYSTONE

    @property
    def challenge(self) -> str:
        """As keystonemiddleware has it: where tokens come from."""
        return f'Keystone uri="{self._settings.www_authenticate_uri}"'

    def counted_as(self, login: Login) -> str:
        """The user's name and domain, many spellings of which are one (:mod:`porthole.auth.keystone.spelling`)."""
        return user_key(login)

    def authenticate(self, username: str, password: str) -> Principal:
        """Nobody: a password with each request would be one more token of Keystone with each."""
        raise NotAuthenticated("No password is taken with a request; send a token of Keystone (X-Auth-Token).")

    def validate(self, token: str) -> Principal:
        """Whose token it is, and for which project.

        :raises NotAuthenticated: it is none, or not good any more
        :raises WrongScope: it is not for a project, or for some calls of other services alone
        :raises IdentityUnavailable: Keystone cannot be asked
        """
        if len(token) > MAX_TOKEN_LENGTH or not _TOKEN.fullmatch(token):
            raise NotAuthenticated(_NOT_OURS)
        valid = self._validated.get(token)
        if valid.expires <= self._clock():
            raise NotAuthenticated("The token has expired. Get a new one from Keystone.")
        return valid.principal

    def sign_in(self, login: Login) -> Proved:
        """Who this is. The token that Keystone gives for it is kept, so that what it says later counts.

        :raises NotAuthenticated: Keystone says no
        :raises WrongScope: no project was named, and the user has no default one
        :raises IdentityUnavailable: Keystone cannot be asked
        """
        token, answer = self._identity.password(login)
        try:
            valid = _valid(answer)
            stamp = self._kept.put(token, int(valid.expires))
        except BaseException:
            gevent.spawn(self._revoke, token)
            raise
        self._validated.remember(token, valid)
        return Proved(valid.principal, stamp, int(valid.expires))

    def still(self, sign_in: SignIn) -> Principal:
        """Who signed in, as Keystone says now or said a moment ago.

        :raises NotAuthenticated: the token is over, or was revoked: the password, the user or a role has changed
        :raises IdentityUnavailable: Keystone cannot be asked
        """
        token = self._kept.get(sign_in.stamp)
        if token is None:
            raise NotAuthenticated(SIGN_IN_AGAIN)
        try:
            principal = self.validate(token)
        except NotAuthenticated:
            raise NotAuthenticated(SIGN_IN_AGAIN) from None
        if principal.user_id != sign_in.user_id:
            raise NotAuthenticated(SIGN_IN_AGAIN)
        return principal

    def sign_out(self, sign_in: SignIn) -> None:
        """Forget the token, and have Keystone revoke it. Nobody waits for that: the cookie is worthless anyway."""
        try:
            token = self._kept.get(sign_in.stamp)
            self._kept.drop(sign_in.stamp)
        except StoreUnavailable as error:
            log.warning("a token of Keystone is not revoked", why=error.why)
            return
        if token is not None:
            self._validated.forget(token)
            gevent.spawn(self._revoke, token)

    def knows(self, username: str) -> None:
        """Keystone says of nobody whether he is."""

    def stamp(self, user_id: str) -> str:
        """Nothing: passwords are Keystone's."""
        return ""

    def recorded_roles(self, principal: Principal) -> str:
        """The roles of this moment: at the connect nobody has the user's token any more."""
        return ",".join(sorted(principal.roles)) or NO_ROLES

    def holder(self, claims: Claims) -> Principal | None:
        """The user of a token, with the roles that it was issued with."""
        if not claims.roles:
            return None  # issued while http_basic knew the users
        names = {role.value for role in Role}
        roles = frozenset(Role(name) for name in claims.roles.split(",") if name in names)
        return Principal(claims.user_id, claims.project_id, roles)

    def problem(self) -> str:
        """Why Keystone cannot be asked, as far as is known."""
        return self._identity.problem()

    def close(self) -> None:
        """Ask no more."""
        self._identity.close()

    def _revoke(self, token: str) -> None:
        try:
            self._identity.revoke(token)
        except AuthError as error:
            log.warning("a token of Keystone is not revoked", why=getattr(error, "why", ""))


def _valid(answer: Answer) -> Valid:
    """Who it is, for which project, and until when.

    :raises WrongScope: it cannot be used here
    """
    if answer.has_access_rules:
        raise WrongScope(
            "The application credential has access rules, which are for calls of other services. Make one without."
        )
    if not answer.project_id:
        raise WrongScope(
            f"The token is for {answer.scope}. Consoles belong to projects: name one (OS_PROJECT_NAME)."
        )  # fmt: skip
    principal = Principal(
        answer.user_id, answer.project_id, frozenset(role for role in Role if role.value in answer.roles),
        user_name=answer.user_name, project_name=answer.project_name,
    )  # fmt: skip
    return Valid(principal, answer.expires)
