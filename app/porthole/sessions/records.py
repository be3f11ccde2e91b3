"""The sessions on record: what a token and a browser's secret are good for, and what becomes of a connection."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace

from porthole.consoleauth.errors import TokenInvalid, TokenUsed
from porthole.consoleauth.nova import NOVA_USER
from porthole.consoleauth.tokens import Claims
from porthole.proxy.errors import CloseCode, SessionLimit
from porthole.state.rows import Carrier, SessionRow
from porthole.state.sessions import SessionTable
from porthole.state.verdict import SessionLimits, Verdict, Wanted

TAKEN_OVER = "This console was taken over by another connection of the same browser."

_FULL = {
    Verdict.USER: "This user",
    Verdict.INSTANCE: "This instance",
    Verdict.ADDRESS: "This address",
}


@dataclass(frozen=True, slots=True)
class Lifetime:
    """How long a session lasts.

    :ivar session_timeout: seconds from its start at most; 0 for any time
    :ivar with_token: whether it ends when its token expires, unless it is renewed
    :ivar token_ttl: seconds that a renewal gives
    """

    session_timeout: int = 0
    with_token: bool = False
    token_ttl: int = 600

    def at_start(self, now: int, token_expires: int, *, shared: bool = False) -> int | None:
        """When a session that starts now ends; None for never.

        :param shared: it comes from a share link, and ends with it in any case
        """
        ends = [token_expires] if self.with_token or shared else []
        ends += [now + self.session_timeout] if self.session_timeout else []
        return min(ends, default=None)

    def is_renewable(self, row: SessionRow) -> bool:
        """Whether a session ends with its token and can be made to last longer.

        That of a share link cannot: it was given until then, by somebody who need not be there. Nor can one of Nova's
        tokens, whose user is not known here.
        """
        return self.with_token and row.expires is not None and not row.share_uses and row.user_id != NOVA_USER

    def renewed(self, now: int, started: int) -> int | None:
        """When a session that is renewed now ends; None when there is nothing to renew."""
        if not self.with_token:
            return None
        end = now + self.token_ttl
        return min(end, started + self.session_timeout) if self.session_timeout else end


@dataclass(frozen=True, slots=True)
class Recorded:
    """A session that is on record, with the connection that carries it from now on.

    :ivar expires: when it ends, Unix time in whole seconds; None for never
    """

    session_id: str
    connection: str
    expires: int | None


class Records:
    """What this process does with the table of all sessions.

    Every method may raise :class:`porthole.state.database.StoreUnavailable`.

    :param table: the table, which other processes use too
    :param token_uses: how many sessions a token opens; 0 for any number
    :param limits: how many sessions there may be
    :param lifetime: how long one lasts
    :param worker: a name of this process, random, like no other's; None for a new one
    """

    def __init__(
        self,
        table: SessionTable,
        token_uses: int,
        limits: SessionLimits,
        lifetime: Lifetime,
        worker: str | None = None,
    ) -> None:
        self.table = table
        self.lifetime = lifetime
        self.worker = worker or secrets.token_hex(8)
        self._token_uses = token_uses
        self._limits = limits

    def find(self, claims: Claims, resume_hash: str | None) -> SessionRow | None:
        """The session of this token that this browser may go on with; None when there is none.

        All that the token says is compared, for a session outlives its token's record: who has got hold of a key can
        sign what he likes under the id of a token of his own.
        """
        row = self.table.find(claims.token_id, resume_hash) if resume_hash else None
        if row is None:
            return None
        said = (claims.instance_id, claims.console_type, claims.mode, claims.user_id, claims.project_id)
        on_record = (row.instance_id, row.console_type, row.mode, row.user_id, row.project_id)
        same = (*said, claims.share_uses, claims.roles) == (*on_record, row.share_uses, row.roles)
        return row if same else None

    def find_nova(self, token_id: str, resume_hash: str | None) -> SessionRow | None:
        """The session of a token of Nova's that this browser may go on with; None when there is none.

        :param token_id: from the token itself, so whoever asks has that
        """
        row = self.table.find(token_id, resume_hash) if resume_hash else None
        return row if row is not None and row.user_id == NOVA_USER else None

    def check(self, claims: Claims, client: str) -> None:
        """Whether the token would open a session for this address now.

        :raises TokenUsed, TokenInvalid, SessionLimit: why not
        """
        _enforce(self.table.verdict(self._wanted(claims, client)), claims)

    def open(self, claims: Claims, client: str, resume_hash: str | None, vnc_client: str = "") -> Recorded:
        """Use the token, and begin a session.

        :param vnc_client: our own end of the connection to the VNC server
        :raises TokenUsed, TokenInvalid, SessionLimit: the token is as it was before
        """
        session_id, carrier = secrets.token_hex(16), self._carrier(vnc_client)
        expires = self.lifetime.at_start(self.table.now(), claims.expires, shared=bool(claims.share_uses))
        _enforce(self.table.begin(session_id, self._wanted(claims, client), carrier, resume_hash, expires), claims)
        return Recorded(session_id, carrier.connection, expires)

    def undo(self, recorded: Recorded, claims: Claims) -> None:
        """A session that was opened does not come about after all, and its token is as it was before."""
        self.table.undo(recorded.session_id, recorded.connection, claims.token_id)

    def resume(self, row: SessionRow, client: str, vnc_client: str = "") -> Recorded:
        """Go on with a session. A connection that still carries it is cut.

        :param vnc_client: as for :meth:`open`
        :raises TokenUsed: it was ended meanwhile
        """
        carrier = self._carrier(vnc_client)
        if not self.table.resume(row.session_id, carrier, client, CloseCode.TAKEN_OVER, TAKEN_OVER):
            raise TokenUsed(row.instance_id, shared=bool(row.share_uses))
        return Recorded(row.session_id, carrier.connection, row.expires)

    def expiry(self, session_id: str) -> int | None:
        """When a session ends as things are now: a renewal in any process moves it. None when it lasts or is over."""
        row = self.table.get(session_id)
        return row.expires if row is not None else None

    def _carrier(self, vnc_client: str) -> Carrier:
        return Carrier(self.worker, secrets.token_hex(8), vnc_client)

    def _wanted(self, claims: Claims, client: str) -> Wanted:
        # Nova's open any number of sessions until they expire, and nobody knows whose they are.
        by_nova = claims.user_id == NOVA_USER
        return Wanted(
            token_id=claims.token_id,
            instance_id=claims.instance_id,
            console_type=claims.console_type,
            mode=claims.mode,
            user_id=claims.user_id,
            project_id=claims.project_id,
            client=client,
            token_uses=0 if by_nova else self._token_uses,
            limits=replace(self._limits, per_user=0) if by_nova else self._limits,
            share_uses=claims.share_uses,
            expires=claims.expires,
            roles=claims.roles,
        )


def _enforce(verdict: Verdict, claims: Claims) -> None:
    if verdict is Verdict.USED:
        raise TokenUsed(claims.instance_id, shared=bool(claims.share_uses))
    if verdict is Verdict.UNKNOWN:
        raise TokenInvalid
    if verdict in _FULL:
        raise SessionLimit(_FULL[verdict])
