"""What a connect has to show for itself: its token, and what the authority that issued it says of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from porthole.consoleauth.errors import TokenError, TokenInvalid, TokenMissing
from porthole.consoleauth.nova import NovaConsole, is_nova_token, token_id
from porthole.consoleauth.tokens import Claims, ConsoleAuth
from porthole.sessions.nova import NovaTokens
from porthole.sessions.records import Records
from porthole.state.rows import SessionRow


@dataclass(slots=True)
class Ticket:
    """A token at one connect, and what came of the check so far.

    :ivar claims: what it says
    :ivar client: the address of the browser that came with it
    :ivar row: the session with which the browser goes on; None when it would open one
    :ivar console: what Nova said of it a moment ago; None of our own, and of a session that goes on
    """

    token: str = field(repr=False)
    claims: Claims
    client: str
    row: SessionRow | None = None
    console: NovaConsole | None = None

    @property
    def is_novas(self) -> bool:
        """Whether Nova issued it."""
        return is_nova_token(self.token)


class Tickets:
    """Checks tokens, each with the authority that its form names.

    :param own: our own tokens; None when they open nothing ([consoleauth] token_authority)
    :param nova: Nova's; None when those open nothing
    :param records: the sessions on record
    """

    def __init__(self, own: ConsoleAuth | None, nova: NovaTokens | None, records: Records) -> None:
        self._own = own
        self._nova = nova
        self._records = records

    def check(self, token: str | None, resume_hash: str | None, client: str) -> Ticket:
        """What a token says, when it would open a session now or go on with that of this browser.

        :raises TokenError, SessionLimit: it would not
        :raises AuthorityUnavailable, ComputeUnavailable, StoreUnavailable: nobody can say
        """
        if self._nova is not None and token is not None and is_nova_token(token):
            return self._check_novas(self._nova, token, resume_hash, client)
        claims = self._verify(token)
        row = self._records.find(claims, resume_hash)
        if row is None and self._own is not None:
            self._own.check_expiry(claims)
            self._records.check(claims, client)
        return Ticket(token or "", claims, client, row)

    def said(self, token: str | None) -> Claims | None:
        """What a token says by itself, for the record of a refusal; nobody is asked."""
        try:
            return None if is_nova_token(token) or self._own is None else self._own.verify(token)
        except TokenError:
            return None

    def _verify(self, token: str | None) -> Claims:
        if self._own is None:
            raise TokenInvalid if token else TokenMissing
        claims = self._own.verify(token)
        self._own.check_kind(claims)
        return claims

    def _check_novas(self, nova: NovaTokens, token: str, resume_hash: str | None, client: str) -> Ticket:
        row = self._records.find_nova(token_id(token), resume_hash)
        if row is not None:
            return Ticket(token, _claims_of(row), client, row)
        console = nova.ask(token, client)
        claims = nova.claims(token, console)
        self._records.check(claims, client)
        return Ticket(token, claims, client, None, console)


def _claims_of(row: SessionRow) -> Claims:
    """What the token of a session that goes on has said; it may have expired since."""
    return Claims(
        token_id=row.token_id,
        instance_id=row.instance_id,
        console_type=row.console_type,
        mode=row.mode,
        user_id=row.user_id,
        project_id=row.project_id,
        expires=row.expires or row.started,
    )
