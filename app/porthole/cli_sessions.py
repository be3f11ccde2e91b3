"""``porthole sessions`` and ``porthole token``: on the store itself, whether the service runs or not.

A service that runs looks every moment at what was ordered in the store, so a session ends as if its API had been asked.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from porthole import cli_audit
from porthole.audit import Event
from porthole.config import Settings
from porthole.proxy.errors import CloseCode
from porthole.state.database import StoreUnavailable
from porthole.state.rows import SessionRow
from porthole.state.sessions import SessionTable
from porthole.state.shares import ShareTable
from porthole.state.sqlite import FILE, SqliteStore

BY_ADMINISTRATOR = "An administrator ended this session."
REVOKED = "The token of this session was revoked."
LINK_REVOKED = "The link to this console was revoked."

_HEADINGS = ("ID", "USER", "PROJECT", "INSTANCE", "CLIENT", "MODE", "SINCE", "STATE", "TO BROWSER", "TO INSTANCE")


class SessionsError(Exception):
    """There is no such session or token, or no store; the message says what would help."""


def add_commands(
    group: Callable[[str, str], Any],
    config_arguments: Callable[[argparse.ArgumentParser], None],
    load: Callable[[argparse.Namespace], Settings],
) -> None:
    """Add the commands.

    :param group: makes a command that has commands, of a name and a help text
    :param config_arguments: adds the arguments that name the configuration
    :param load: reads the configuration that they name
    """
    sessions = group("sessions", "the open consoles of every process of the service")
    listing = sessions.add_parser("list", help="list them: who, which instance, from where, since when")
    listing.add_argument("--json", action="store_true", help="one JSON object a line")
    config_arguments(listing)
    listing.set_defaults(run=lambda options: show(load(options), as_json=options.json))
    ending = sessions.add_parser("kill", help="end sessions; their pages show that an administrator did")
    ending.add_argument("id", nargs="+", help="as list shows it")
    config_arguments(ending)
    ending.set_defaults(run=lambda options: kill(load(options), options.id))

    tokens = group("token", "the tokens of console URLs")
    revoking = tokens.add_parser("revoke", help="make a console URL worthless, and end its sessions")
    revoking.add_argument("token_id", help="the token's id, which the log and the API show; never the token itself")
    config_arguments(revoking)
    revoking.set_defaults(run=lambda options: revoke(load(options), options.token_id))


def show(settings: Settings, *, as_json: bool = False) -> None:
    """Print the sessions that last, the oldest first.

    :param as_json: one object a line instead of a table
    :raises SessionsError: the store cannot be read
    """
    with _table(settings) as table:
        rows = table.listing()
    if as_json:
        for row in rows:
            print(json.dumps(dataclasses.asdict(row)))
        return
    _print([_HEADINGS, *(_cells(row) for row in rows)])


def kill(settings: Settings, session_ids: Sequence[str]) -> None:
    """End sessions for good.

    :raises SessionsError: one of them is none; those before it are ended
    """
    with _table(settings) as table:
        for session_id in session_ids:
            row = table.get(session_id)
            if row is None or not table.end(session_id, CloseCode.ENDED_BY_ADMINISTRATOR, BY_ADMINISTRATOR):
                raise SessionsError(f"There is no session {session_id!r} now. See: porthole sessions list")
            print(f"Session {session_id} was ended.")
            cli_audit.tell(
                settings,
                Event.SESSION_KILLED,
                instance=row.instance_id,
                token_id=row.token_id,
                session_id=session_id,
                reason=BY_ADMINISTRATOR,
                details={"of": row.user_id},
            )


def revoke(settings: Settings, token_id: str) -> None:
    """Make a token worthless, and end its sessions.

    :raises SessionsError: there is nothing to revoke
    """
    with _store(settings) as store:
        table, share = SessionTable(store, settings.resume_ttl), ShareTable(store).get(token_id)
        user, reason = table.token_user(token_id), LINK_REVOKED if share else REVOKED
        if not table.revoke(token_id, CloseCode.ENDED_BY_ADMINISTRATOR, reason):
            raise SessionsError(
                f"There is no token with the id {token_id[:64]!r} that is good now. It is the id that is wanted, 32 "
                "hexadecimal digits, and not the token."
            )
        print(f"Token {token_id} was revoked.")
        cli_audit.tell(
            settings,
            Event.TOKEN_REVOKED,
            token_id=token_id,
            reason=reason,
            details={"of": user.user_id if user else ""},
        )


@contextlib.contextmanager
def _table(settings: Settings) -> Iterator[SessionTable]:
    with _store(settings) as store:
        yield SessionTable(store, settings.resume_ttl)


@contextlib.contextmanager
def _store(settings: Settings) -> Iterator[SqliteStore]:
    path = settings.state_path / FILE
    if not path.is_file():
        raise SessionsError(f"{path}: there is no store yet.")
    store = SqliteStore(path)
    try:
        yield store
    except StoreUnavailable as error:
        raise SessionsError(f"The store does not work: {error.why}.") from None
    finally:
        store.close()


def _cells(row: SessionRow) -> tuple[str, ...]:
    since = datetime.fromtimestamp(row.started, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    state = "away" if row.away_since is not None else "connected"
    mode = f"{row.mode}/shared" if row.share_uses else row.mode
    return (
        row.session_id, row.user_id, row.project_id, row.instance_id, row.client, mode, since, state,
        str(row.to_client), str(row.to_target),
    )  # fmt: skip


def _print(lines: Sequence[tuple[str, ...]]) -> None:
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
