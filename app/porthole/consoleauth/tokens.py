"""Authorise a console and check its token: nova-consoleauth's job.

A token names an instance, a mode and a person, never a host or a port: where the
instance's VNC server is gets looked up anew at every connect.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Protocol

from itsdangerous import BadData

from porthole.consoleauth.errors import TokenExpired, TokenInvalid, TokenMissing
from porthole.consoleauth.keys import KeyRing

CONSOLE_SALT = "porthole.console-token"
MAX_TOKEN_LENGTH = 2048
"""Characters; longer ones are refused before any work is done on them. Ours have about 300."""

FULL = "full"
"""The mode of a console that takes input."""

VIEW = "view"
"""The mode of a console that shows the screen and takes no input."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says.

    :ivar token_id: 32 hexadecimal digits; the name of the token in logs and in the store
    :ivar instance_id: the instance's UUID
    :ivar console_type: Nova's name of the type, ``novnc``
    :ivar mode: ``full`` or ``view``
    :ivar user_id: who asked for the console
    :ivar project_id: for which project
    :ivar expires: Unix time in whole seconds; the token is expired at this second
    :ivar share_uses: how many sessions it opens when it is a share link, for whoever has it; 0: it is none
    :ivar roles: the roles that the person had when it was issued, with commas between them; empty where they are
        looked up anew at each connect
    """

    token_id: str
    instance_id: str
    console_type: str
    mode: str
    user_id: str
    project_id: str
    expires: int
    share_uses: int = 0
    roles: str = ""


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A new token: the text for the URL, a secret, and what it says."""

    token: str
    claims: Claims

    def __repr__(self) -> str:
        return f"IssuedToken(token=..., claims={self.claims!r})"


class TokenStore(Protocol):
    """Where issued tokens are recorded, so that one can be revoked."""

    def add_token(
        self, *, token_id: str, instance_id: str, console_type: str, mode: str,
        user_id: str, project_id: str, expires: int, share_uses: int, roles: str,
    ) -> None:  # fmt: skip
        """Record a token before anybody has it; the arguments are those of :class:`Claims`."""

    def is_token_live(
        self, *, token_id: str, instance_id: str, console_type: str, mode: str,
        user_id: str, project_id: str, expires: int, share_uses: int, roles: str,
    ) -> bool:  # fmt: skip
        """Whether a token that says exactly this was issued here and is not revoked."""


class ConsoleAuth:
    """Issues and checks the tokens of consoles.

    :param keys: signing keys
    :param store: record of issued tokens
    :param token_ttl: seconds a token is good for
    :param clock: Unix time in seconds; tests set it
    :param takes_shares: whether share links open anything
    """

    def __init__(
        self,
        keys: KeyRing,
        store: TokenStore,
        token_ttl: int,
        clock: Callable[[], float] = time.time,
        *,
        takes_shares: bool = True,
    ) -> None:
        self._serializer = keys.serializer(CONSOLE_SALT)
        self._store = store
        self._ttl = token_ttl
        self._clock = clock
        self._takes_shares = takes_shares

    def authorize(
        self, *, instance_id: str, console_type: str, user_id: str, project_id: str, mode: str = FULL,
        ttl: int | None = None, share_uses: int = 0, roles: str = "",
    ) -> IssuedToken:  # fmt: skip
        """Issue a token (nova/objects/console_auth_token.py ``authorize``).

        :param ttl: seconds for which it is good, if not as long as all others
        :param share_uses: as in :class:`Claims`, and so ``roles``
        """
        claims = Claims(
            token_id=secrets.token_hex(16),
            instance_id=instance_id,
            console_type=console_type,
            mode=mode,
            user_id=user_id,
            project_id=project_id,
            expires=int(self._clock()) + (self._ttl if ttl is None else ttl),
            share_uses=share_uses,
            roles=roles,
        )
        self._store.add_token(**asdict(claims))
        said = asdict(claims)
        if not roles:
            del said["roles"]  # so the release before knows it too
        return IssuedToken(str(self._serializer.dumps(said)), claims)

    def check(self, token: str | None) -> Claims:
        """What a token says, if it is good at this second.

        :raises TokenMissing: there is none
        :raises TokenExpired: its time is over
        :raises TokenInvalid: anything else is wrong with it
        """
        claims = self.verify(token)
        self.check_kind(claims)
        self.check_claims(claims)
        return claims

    def verify(self, token: str | None) -> Claims:
        """What a token says, if we signed it; its time may be over, and it may be revoked.

        :raises TokenMissing: there is none
        :raises TokenInvalid: it has no signature of ours
        """
        if not token:
            raise TokenMissing
        return self._verify(token)

    def check_kind(self, claims: Claims) -> None:
        """Whether tokens of this kind open anything, their sessions that go on included.

        :raises TokenInvalid: it is a share link's, and those are switched off
        """
        if claims.share_uses and not self._takes_shares:
            raise TokenInvalid

    def check_claims(self, claims: Claims) -> None:
        """The rest of the check of a token whose signature is ours.

        :raises TokenExpired: its time is over
        :raises TokenInvalid: it was revoked, or this store has never seen it
        """
        self.check_expiry(claims)
        if not self._store.is_token_live(**asdict(claims)):
            raise TokenInvalid

    def check_expiry(self, claims: Claims) -> None:
        """Whether its time is not over; that it is on record is for whoever uses it to see.

        :raises TokenExpired: it is
        """
        if claims.expires <= int(self._clock()):
            raise TokenExpired(claims.instance_id, shared=bool(claims.share_uses))

    def _verify(self, token: str) -> Claims:
        if len(token) > MAX_TOKEN_LENGTH or not token.isascii():
            raise TokenInvalid
        try:
            return Claims(**self._serializer.loads(token))
        except (BadData, TypeError):
            # TypeError: signed by us for another release, with other claims.
            raise TokenInvalid from None
