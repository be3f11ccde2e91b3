"""http_basic: users from an htpasswd file, roles from a file beside it (Nova's name: ``http_basic``)."""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter
from pathlib import Path

from porthole.auth.authenticator import Login, Proved
from porthole.auth.errors import NotAuthenticated
from porthole.auth.files import UserFileError, WatchedFile, parse_roles, parse_users
from porthole.auth.passwords import PasswordChecker, password_problem
from porthole.auth.principal import Principal, Role
from porthole.auth.signin import SIGN_IN_AGAIN, SignIn
from porthole.config import AuthStrategy
from porthole.consoleauth.tokens import Claims

__all__ = ["HtpasswdAuthenticator", "UserFileError"]

DEFAULT_COST = 12
_BCRYPT_LETTERS = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


class HtpasswdAuthenticator:
    """Users and roles from two files, which are read again when they change.

    :param user_file: htpasswd form, bcrypt only
    :param role_file: ``role: user user`` lines
    :param project: the project all these users act for
    :param checker: checks the passwords; one of its own when None
    :raises UserFileError: one of the files cannot be used now
    """

    def __init__(self, user_file: Path, role_file: Path, project: str, checker: PasswordChecker | None = None) -> None:
        self._users = WatchedFile(user_file, parse_users)
        self._roles = WatchedFile(role_file, parse_roles)
        self._project = project
        self._checker = checker or PasswordChecker()
        self._nobody = "".join(secrets.choice(_BCRYPT_LETTERS) for _ in range(31))

    @property
    def strategy(self) -> AuthStrategy:
        """http_basic."""
        return AuthStrategy.HTTP_BASIC

    @property
    def challenge(self) -> str:
        """RFC 7617, with UTF-8 for names and passwords."""
        return 'Basic realm="Porthole", charset="UTF-8"'

    def counted_as(self, login: Login) -> str:
        """The name as it is, for the user file's names are exact."""
        return login.username

    def authenticate(self, username: str, password: str) -> Principal:
        """Who this is.

        A name that does not exist takes as long as a wrong password.

        :raises NotAuthenticated: the two do not belong together
        :raises TooBusy: too many passwords wait to be checked
        """
        try:
            name, secret = username.encode(), password.encode()
        except UnicodeEncodeError:
            raise NotAuthenticated("The user name or the password is not Unicode text.") from None
        if problem := password_problem(secret):
            raise NotAuthenticated(f"The password {problem}.")
        users = self._users.content()
        known = users.get(username)
        right = self._checker.matches(name, secret, known or self._dummy(users))
        # Looked up again: the file may have changed while bcrypt worked.
        if not right or known is None or self._users.content().get(username) != known:
            raise NotAuthenticated
        return self._principal(username)

    def validate(self, token: str) -> Principal:
        """Nobody: tokens are Keystone's."""
        raise NotAuthenticated("This service takes no tokens; send a user name and password (http_basic).")

    def sign_in(self, login: Login) -> Proved:
        """Who this is; a stamp that changes with the password keeps the sign-in to it."""
        principal = self.authenticate(login.username, login.password)
        return Proved(principal, self.stamp(principal.user_id))

    def still(self, sign_in: SignIn) -> Principal:
        """Who signed in, unless the user is gone or the password is another."""
        principal = self.lookup(sign_in.user_id)
        if principal is None or self.stamp(sign_in.user_id) != sign_in.stamp:
            raise NotAuthenticated(SIGN_IN_AGAIN)
        return principal

    def sign_out(self, sign_in: SignIn) -> None:
        """Nothing stands behind a sign-in."""

    def knows(self, username: str) -> bool:
        """Whether the user file has this name."""
        return self.lookup(username) is not None

    def recorded_roles(self, principal: Principal) -> str:
        """Nothing: the role file is read."""
        return ""

    def holder(self, claims: Claims) -> Principal | None:
        """The token's user with the roles of this moment; None when it is gone."""
        return self.lookup(claims.user_id)

    def problem(self) -> str:
        """Nothing: files that get a mistake leave the last good content in force."""
        return ""

    def lookup(self, user_id: str) -> Principal | None:
        """A user with the roles of this moment, None when it is gone."""
        return self._principal(user_id) if user_id in self._users.content() else None

    def stamp(self, user_id: str) -> str:
        """A short text that changes with the password.

        The hash has 128 random bits of salt that the stamp's reader does not
        know, so nothing can be guessed from it.
        """
        known = self._users.content().get(user_id)
        return hashlib.sha256(b"porthole.stamp:" + known).hexdigest()[:16] if known else ""

    def close(self) -> None:
        """End the threads."""
        self._checker.close()

    def _principal(self, name: str) -> Principal:
        roles: frozenset[Role] = self._roles.content().get(name, frozenset())
        return Principal(name, self._project, roles)

    def _dummy(self, users: dict[str, bytes]) -> bytes:
        """A hash that no password has, of the cost that most users' hashes have."""
        costs = Counter(int(password_hash[4:6]) for password_hash in users.values())
        cost = costs.most_common(1)[0][0] if costs else DEFAULT_COST
        return f"$2b${cost:02}${'.' * 22}{self._nobody}".encode("ascii")
