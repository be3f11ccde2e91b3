"""The sessions of all processes that share the store: begun, carried on by another connection, ended.

A session has a row from its first connection on. ``connection`` names the WebSocket that carries it and ``worker``
the process that has it; whoever wants that connection cut leaves a row in ``cuts``, for which each process looks.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence

from porthole.state.database import Database
from porthole.state.rows import Carrier, SessionRow, Traffic, User
from porthole.state.verdict import STALE_AFTER, Verdict, Wanted, verdict_on

MAX_AWAY = 1800
"""Seconds for which a page that goes on asking, because the guest is off, keeps its session."""

MAX_LISTED = 1000
"""Sessions in one answer."""

# While a connection carries it, that process has its end: its time goes on evenly when a clock is set.
_LASTS = (
    "ended IS NULL AND (away_since IS NULL AND seen > :stale OR seen > :since AND (expires IS NULL OR expires > :now))"
)
_USERS = "SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(:users)"

_COLUMNS = (
    "session_id, token_id, instance_id, console_type, mode, user_id, project_id, client, started, expires, seen, "
    "away_since, ended, reason, to_client, to_target, share_uses, roles"
)


class SessionTable:
    """The rows of sessions. Every method may raise :class:`porthole.state.database.StoreUnavailable`.

    :param database: where they are
    :param resume_ttl: seconds for which a session waits for its browser once its connection broke
    """

    def __init__(self, database: Database, resume_ttl: int) -> None:
        self._database = database
        self._resume_ttl = resume_ttl

    def now(self) -> int:
        """Unix time in whole seconds, as the table has it."""
        return self._database.now()

    def exact_now(self) -> float:
        """The same, not rounded."""
        return self._database.clock()

    # --- opening

    def verdict(self, wanted: Wanted) -> Verdict:
        """Whether a first connection would be let in now."""
        return self._database.run(lambda connection: verdict_on(connection, wanted, self._database.now()))

    def begin(self, session_id: str, wanted: Wanted, carrier: Carrier, resume_hash: str | None, expires: int | None
    ) -> Verdict:  # fmt: skip
        """Use the token once and record its session: both or, unless the verdict is good, neither.

        It is one transaction of SQLite, so of all processes that try at once, each counted use goes to one.
        """
        now = self._database.now()

        def write(connection: sqlite3.Connection) -> Verdict:
            verdict = verdict_on(connection, wanted, now)
            if verdict is not Verdict.GOOD:
                return verdict
            connection.execute("UPDATE tokens SET uses = uses + 1 WHERE token_id = ?", (wanted.token_id,))
            connection.execute(
                "INSERT INTO sessions (session_id, token_id, instance_id, console_type, mode, user_id, project_id, "
                "resume_hash, client, worker, connection, vnc_client, started, expires, seen, share_uses, roles) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    session_id, wanted.token_id, wanted.instance_id, wanted.console_type, wanted.mode, wanted.user_id,
                    wanted.project_id, resume_hash, wanted.client, carrier.worker, carrier.connection,
                    carrier.vnc_client, now, expires, now, wanted.share_uses, wanted.roles,
                ),
            )  # fmt: skip
            return verdict

        return self._database.write(write)

    def undo(self, session_id: str, connection: str, token_id: str) -> None:
        """Take a beginning back: the session is gone, and the token as it was.

        Not if another connection has it now, or somebody has ended it: then the token stays used.
        """

        def write(connected: sqlite3.Connection) -> None:
            query = "DELETE FROM sessions WHERE session_id = ? AND connection = ? AND ended IS NULL"
            if connected.execute(query, (session_id, connection)).rowcount == 1:
                connected.execute("UPDATE tokens SET uses = uses - 1 WHERE token_id = ? AND uses > 0", (token_id,))

        self._database.write(write)

    def find(self, token_id: str, resume_hash: str) -> SessionRow | None:
        """The session of this token that this secret's browser may go on with."""
        query = (
            f"SELECT {_COLUMNS} FROM sessions WHERE token_id = ? AND resume_hash = ? "  # noqa: S608 - constants
            "AND ended IS NULL ORDER BY seen DESC LIMIT 1"
        )

        def read(connection: sqlite3.Connection) -> SessionRow | None:
            row = connection.execute(query, (token_id, resume_hash)).fetchone()
            return SessionRow(*row) if row else None

        found = self._database.run(read)
        return found if found is not None and self.is_resumable(found) else None

    def is_resumable(self, row: SessionRow) -> bool:
        """Whether its browser may go on with it now."""
        now = self._database.now()
        patience = self._resume_ttl if row.away_since is not None else max(self._resume_ttl, STALE_AFTER)
        return row.ended is None and row.seen + patience > now and (row.expires is None or row.expires > now)

    def _is_connected(self, row: SessionRow) -> bool:
        """Whether a process has a connection of it, which ends it when its time is over."""
        return row.ended is None and row.away_since is None and row.seen + STALE_AFTER > self._database.now()

    def resume(self, session_id: str, carrier: Carrier, client: str, code: int, reason: str) -> bool:
        """Let another connection carry a session on. The one that does so now is cut with this code and reason.

        :returns: False when the session was ended meanwhile
        """
        now = self._database.now()

        def write(connection: sqlite3.Connection) -> bool:
            cut_connections(connection, "session_id = :id", {"id": session_id}, now, code, reason)
            query = (
                "UPDATE sessions SET worker = ?, connection = ?, vnc_client = ?, client = ?, seen = ?, "
                "away_since = NULL WHERE session_id = ? AND ended IS NULL"
            )
            row = (carrier.worker, carrier.connection, carrier.vnc_client, client, now, session_id)
            return connection.execute(query, row).rowcount == 1

        return self._database.write(write)

    # --- while it lasts

    def wait_for(self, session_id: str) -> None:
        """The page of a session that no connection carries asks for it: keep it, for :data:`MAX_AWAY` at most."""
        query = (
            "UPDATE sessions SET seen = MAX(seen, MIN(?, away_since + ?)) "
            "WHERE session_id = ? AND ended IS NULL AND away_since IS NOT NULL"
        )
        now = self._database.now()
        self._database.run(lambda connection: connection.execute(query, (now, MAX_AWAY, session_id)).rowcount)

    def report(self, traffic: Sequence[Traffic]) -> None:
        """Signs of life of connections, with the bytes that went through each since its last report."""
        now = self._database.now()
        query = (
            "UPDATE sessions SET seen = ?, to_client = to_client + ?, to_target = to_target + ? "
            "WHERE session_id = ? AND connection = ?"
        )
        rows = [(now, one.to_client, one.to_target, one.session_id, one.connection) for one in traffic]
        self._database.write(lambda connection: connection.executemany(query, rows).rowcount)

    def extend(self, session_id: str, expires: int) -> bool:
        """Let a session last until then, if it still does; returns whether it does."""
        query = "UPDATE sessions SET expires = ? WHERE session_id = ? AND ended IS NULL AND expires IS NOT NULL"
        return self._database.run(lambda connection: connection.execute(query, (expires, session_id)).rowcount == 1)

    def cuts(self, worker: str) -> list[tuple[str, int, str]]:
        """Take what was ordered of this process: connections to cut, each with a code and a reason."""

        def take(connection: sqlite3.Connection) -> list[tuple[str, int, str]]:
            query = "SELECT connection, code, reason FROM cuts WHERE worker = ?"
            found = connection.execute(query, (worker,)).fetchall()
            if found:
                connection.executemany("DELETE FROM cuts WHERE connection = ?", [(row[0],) for row in found])
            return [(str(name), int(code), str(reason)) for name, code, reason in found]

        return self._database.run(take)

    # --- the end

    def leave(self, one: Traffic, reason: str) -> None:
        """A connection broke: its session waits for its browser, or ends when that has no secret."""
        query = (
            "UPDATE sessions SET seen = :now, away_since = :now, to_client = to_client + :to_client, "
            "to_target = to_target + :to_target, ended = iif(resume_hash IS NULL, COALESCE(ended, :now), ended), "
            "reason = iif(ended IS NULL, :reason, reason) WHERE session_id = :id AND connection = :connection"
        )
        row = _parameters(one, self._database.now(), reason)
        self._database.run(lambda connection: connection.execute(query, row).rowcount)

    def abandon(self, workers: Sequence[str], reason: str) -> int:
        """The connections of these processes broke, for they were killed: as :meth:`leave`, for all of them.

        :returns: how many there were
        """
        query = (
            "UPDATE sessions SET seen = :now, away_since = :now, "
            "ended = iif(resume_hash IS NULL, :now, NULL), reason = :reason "
            "WHERE worker = :worker AND ended IS NULL AND away_since IS NULL"
        )
        now = self._database.now()
        rows = [{"worker": worker, "now": now, "reason": reason} for worker in workers]
        return self._database.write(lambda connection: connection.executemany(query, rows).rowcount)

    def close(self, one: Traffic, reason: str) -> None:
        """A connection ended, and its session with it; the reason of an end that is on record already stays."""
        query = (
            "UPDATE sessions SET seen = :now, away_since = :now, to_client = to_client + :to_client, "
            "to_target = to_target + :to_target, reason = iif(ended IS NULL, :reason, reason), "
            "ended = COALESCE(ended, :now) WHERE session_id = :id AND connection = :connection"
        )
        row = _parameters(one, self._database.now(), reason)
        self._database.run(lambda connection: connection.execute(query, row).rowcount)

    def end(self, session_id: str, code: int, reason: str) -> bool:
        """End a session for good, wherever its connection is; returns whether it lasted until now."""
        now = self._database.now()
        return self._database.write(
            lambda connection: end_sessions(connection, "session_id = :id", {"id": session_id}, now, code, reason) > 0
        )

    def revoke(self, token_id: str, code: int, reason: str) -> bool:
        """Make a token worthless, and end its sessions; returns whether there was anything to end."""
        now = self._database.now()

        def write(connection: sqlite3.Connection) -> bool:
            query = "UPDATE tokens SET revoked = 1 WHERE token_id = ? AND revoked = 0"
            revoked = connection.execute(query, (token_id,)).rowcount
            return revoked + end_sessions(connection, "token_id = :id", {"id": token_id}, now, code, reason) > 0

        return self._database.write(write)

    # --- looking

    def token_user(self, token_id: str) -> User | None:
        """Who got a token; None when neither it nor a session of it is on record."""

        def read(connection: sqlite3.Connection) -> User | None:
            query = (
                "SELECT user_id, project_id FROM tokens WHERE token_id = :id UNION ALL "
                "SELECT user_id, project_id FROM sessions WHERE token_id = :id LIMIT 1"
            )
            row = connection.execute(query, {"id": token_id}).fetchone()
            return None if row is None else User(*row)

        return self._database.run(read)

    def get(self, session_id: str) -> SessionRow | None:
        """A session that lasts, connected or waiting for its browser; None when there is none."""
        query = f"SELECT {_COLUMNS} FROM sessions WHERE session_id = ?"  # noqa: S608 - constants
        row = self._database.run(lambda connection: connection.execute(query, (session_id,)).fetchone())
        found = SessionRow(*row) if row else None
        return found if found is not None and (self._is_connected(found) or self.is_resumable(found)) else None

    def listing(self, users: Iterable[User] | None = None) -> list[SessionRow]:
        """The sessions that last, the oldest first, :data:`MAX_LISTED` at most.

        :param users: only those of these users
        """
        of_users = "" if users is None else f"AND (user_id, project_id) IN ({_USERS})"
        query = (
            f"SELECT {_COLUMNS} FROM sessions WHERE {_LASTS} {of_users} "  # noqa: S608 - constants
            f"ORDER BY started, session_id LIMIT {MAX_LISTED}"
        )
        values = self._now_for_lasts() | {"users": json.dumps(list(users or ()))}
        rows = self._database.run(lambda connection: connection.execute(query, values).fetchall())
        return [SessionRow(*row) for row in rows]

    def users(self) -> list[User]:
        """Whose sessions there are that last, each user once."""
        query = f"SELECT DISTINCT user_id, project_id FROM sessions WHERE {_LASTS}"  # noqa: S608 - constants
        values = self._now_for_lasts()
        rows = self._database.run(lambda connection: connection.execute(query, values).fetchall())
        return [User(*row) for row in rows]

    def _now_for_lasts(self) -> dict[str, object]:
        now = self._database.now()
        return {"since": now - self._resume_ttl, "stale": now - STALE_AFTER, "now": now}


def end_sessions(
    connection: sqlite3.Connection, which: str, values: dict[str, object], now: int, code: int, reason: str
) -> int:
    """End all sessions of a condition within a transaction, and have their connections cut; returns how many."""
    cut_connections(connection, which, values, now, code, reason)
    query = f"UPDATE sessions SET ended = :now, reason = :reason WHERE {which} AND ended IS NULL"  # noqa: S608 - constants
    return connection.execute(query, {**values, "now": now, "reason": reason}).rowcount


def cut_connections(
    connection: sqlite3.Connection, which: str, values: dict[str, object], now: int, code: int, reason: str
) -> None:
    """Tell the processes that have them to cut the connections of all sessions of a condition."""
    query = (
        "INSERT OR REPLACE INTO cuts (connection, worker, at, code, reason) "  # noqa: S608 - constants
        f"SELECT connection, worker, :now, :code, :reason FROM sessions WHERE {which} "
        "AND ended IS NULL AND away_since IS NULL"
    )
    connection.execute(query, {**values, "now": now, "code": code, "reason": reason})


def _parameters(one: Traffic, now: int, reason: str) -> dict[str, object]:
    return {
        "now": now, "reason": reason, "id": one.session_id, "connection": one.connection,
        "to_client": one.to_client, "to_target": one.to_target,
    }  # fmt: skip
