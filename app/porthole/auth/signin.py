"""The browser's sign-in: a signed cookie that says who, and nothing of what one may do.

Roles are looked up anew at each request. A sign-in ends when its time is over, when
the person signs out (recorded in the store), or when the user or the password changes.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from itsdangerous import BadData

from porthole.auth.errors import NotAuthenticated
from porthole.auth.principal import Principal

SIGN_IN_SALT = "porthole.sign-in"
LIFETIME = 12 * 3600
MAX_COOKIE_LENGTH = 4096
"""Characters, as browsers have it (RFC 6265, 6.1); longer ones are refused before any work is done on them."""

SIGN_IN_AGAIN = "The sign-in is over. Sign in again."


class Serializer(Protocol):
    """itsdangerous' part that is used here."""

    def dumps(self, obj: Any) -> str | bytes:
        """Signed text."""

    def loads(self, s: str | bytes) -> Any:
        """What was signed.

        :raises itsdangerous.BadData: it was not signed with one of our keys
        """


class Keys(Protocol):
    """:class:`porthole.consoleauth.keys.KeyRing`, or another one with the same method."""

    def serializer(self, salt: str) -> Serializer:
        """A signer for one kind of token."""


class SignInStore(Protocol):
    """Where ended sign-ins are recorded (:mod:`porthole.state`)."""

    def sign_out(self, sign_in_id: str, expires: int) -> None:
        """Record an end; ``expires`` is the Unix time after which nobody needs to know."""

    def is_signed_out(self, sign_in_id: str) -> bool:
        """Whether it was ended."""


@dataclass(frozen=True, slots=True)
class SignIn:
    """What a cookie says.

    :ivar id: 32 hexadecimal digits
    :ivar user_id: who signed in
    :ivar stamp: the authenticator's, by which it sees whether the sign-in still holds
    :ivar expires: Unix time in whole seconds; over at this second
    """

    id: str
    user_id: str
    stamp: str
    expires: int


class SignIns:
    """Issues and checks sign-in cookies.

    :param keys: signing keys; the sign-ins have a salt of their own
    :param store: record of ended sign-ins
    :param lifetime: seconds
    :param clock: Unix time in seconds
    :param era: counts how often that time had to go back; a sign-in is of one era
    """

    def __init__(
        self, keys: Keys, store: SignInStore, lifetime: int = LIFETIME, clock: Callable[[], float] = time.time,
        era: Callable[[], int] = lambda: 0,
    ) -> None:  # fmt: skip
        self._keys = keys
        self._era = era
        self._store = store
        self._clock = clock
        self.lifetime = lifetime

    def issue(self, principal: Principal, stamp: str = "", until: int | None = None) -> str:
        """A cookie's value for somebody who has just proved who it is.

        :param stamp: the authenticator's stamp for this sign-in
        :param until: Unix time at which it ends, if that is earlier than after the lifetime
        """
        expires = int(self._clock()) + self.lifetime
        expires = expires if until is None else min(expires, until)
        signed = self._serializer().dumps([secrets.token_hex(16), principal.user_id, stamp, expires])
        return signed.decode("ascii") if isinstance(signed, bytes) else signed

    def check(self, cookie: str) -> SignIn:
        """What a cookie says, if it is good now.

        :raises NotAuthenticated: it is not ours, was changed, is over or was ended
        """
        era = self._era()
        sign_in = self._verify(cookie)
        if self._store.is_signed_out(sign_in.id) or self._era() != era:
            raise NotAuthenticated(SIGN_IN_AGAIN)
        return sign_in

    def end(self, cookie: str) -> SignIn | None:
        """Sign out: no copy of the cookie works any more. One that is not good is no error.

        :returns: what was ended; None for a cookie that was not good
        """
        try:
            sign_in = self._verify(cookie)
        except NotAuthenticated:
            return None
        self._store.sign_out(sign_in.id, sign_in.expires)
        return sign_in

    def _serializer(self) -> Serializer:
        era = self._era()
        return self._keys.serializer(f"{SIGN_IN_SALT}.{era}" if era else SIGN_IN_SALT)

    def _verify(self, cookie: str) -> SignIn:
        if not cookie.isascii() or len(cookie) > MAX_COOKIE_LENGTH:
            raise NotAuthenticated(SIGN_IN_AGAIN)
        try:
            sign_in_id, user_id, stamp, expires = self._serializer().loads(cookie)
            over = expires <= int(self._clock())
        except (BadData, ValueError, TypeError):
            raise NotAuthenticated(SIGN_IN_AGAIN) from None
        if over:
            raise NotAuthenticated(SIGN_IN_AGAIN)
        return SignIn(sign_in_id, user_id, stamp, expires)
