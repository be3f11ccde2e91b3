"""The database's tables, and how an older file becomes one of this release."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

BUSY_TIMEOUT = 2.0
PAUSE = 0.02
"""Seconds between two tries for what SQLite refuses at once instead of waiting."""

_V1 = (
    """CREATE TABLE tokens (
        token_id TEXT PRIMARY KEY, instance_id TEXT NOT NULL, console_type TEXT NOT NULL, mode TEXT NOT NULL,
        user_id TEXT NOT NULL, project_id TEXT NOT NULL, expires INTEGER NOT NULL, revoked INTEGER NOT NULL DEFAULT 0
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX tokens_expires ON tokens (expires)",
    "CREATE TABLE signed_out (sign_in_id TEXT PRIMARY KEY, expires INTEGER NOT NULL) STRICT, WITHOUT ROWID",
)

# A session has all that its token said: it may outlive the token, whose row goes when it expires.
# worker and connection name who carries it now; away_since is set while nobody does.
# share_uses is how many sessions a share link opens; 0 of a token that is none, and of sessions that came from none.
# worker and connection name who carries it now; away_since is set while nobody does. vnc_client is our own end of the
# connection to the VNC server, and dialled has that of each connection that was begun in the last minute.
_V2 = (
    "ALTER TABLE tokens ADD COLUMN uses INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE tokens ADD COLUMN share_uses INTEGER NOT NULL DEFAULT 0",
    "CREATE INDEX tokens_shares ON tokens (expires) WHERE share_uses > 0",
    """CREATE TABLE sessions (
        session_id TEXT PRIMARY KEY, token_id TEXT NOT NULL, instance_id TEXT NOT NULL, console_type TEXT NOT NULL,
        mode TEXT NOT NULL, user_id TEXT NOT NULL, project_id TEXT NOT NULL, resume_hash TEXT, client TEXT NOT NULL,
        worker TEXT NOT NULL, connection TEXT NOT NULL, started INTEGER NOT NULL, expires INTEGER,
        seen INTEGER NOT NULL, away_since INTEGER, ended INTEGER, reason TEXT NOT NULL DEFAULT '',
        to_client INTEGER NOT NULL DEFAULT 0, to_target INTEGER NOT NULL DEFAULT 0,
        share_uses INTEGER NOT NULL DEFAULT 0, vnc_client TEXT NOT NULL DEFAULT ''
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX sessions_token ON sessions (token_id)",
    "CREATE INDEX sessions_seen ON sessions (seen)",
    "CREATE INDEX sessions_user ON sessions (user_id, project_id)",
    "CREATE INDEX sessions_instance ON sessions (instance_id)",
    "CREATE INDEX sessions_client ON sessions (client)",
    "CREATE INDEX sessions_vnc_client ON sessions (vnc_client)",
    """CREATE TABLE cuts (
        connection TEXT PRIMARY KEY, worker TEXT NOT NULL, at INTEGER NOT NULL, code INTEGER NOT NULL,
        reason TEXT NOT NULL
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX cuts_worker ON cuts (worker)",
    # One row: the highest time that was seen, and how often it had to go back (porthole.state.clock).
    """CREATE TABLE clock (
        id INTEGER PRIMARY KEY CHECK (id = 1), highest INTEGER NOT NULL, era INTEGER NOT NULL
    ) STRICT""",
    "CREATE TABLE dialled (vnc_client TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE TABLE strangers (sighting TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID",
)

# What a token records of its person's roles, where Keystone knows them and is not asked at the connect; and Keystone's
# tokens that stand behind sign-ins, each sealed with a key that is in its cookie alone.
_V3 = (
    "ALTER TABLE tokens ADD COLUMN roles TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE sessions ADD COLUMN roles TEXT NOT NULL DEFAULT ''",
    """CREATE TABLE kept_tokens (
        name TEXT PRIMARY KEY, sealed BLOB NOT NULL, expires INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID""",
)

MIGRATIONS = (_V1, _V2, _V3)
"""What makes version 1 of nothing, version 2 of version 1, and so on. Each only adds, so that a service of the release
before, which has the file open while the next one starts, goes on working."""

SCHEMA_VERSION = len(MIGRATIONS)


def open_database(path: Path) -> sqlite3.Connection:
    """Open the database; create it, or bring it to this release's schema, where that is needed.

    Each statement is a transaction of its own, unless the caller begins one.

    :raises sqlite3.Error: it does not open, or a newer release wrote it
    """
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)
    try:
        _use_wal(connection)
        connection.execute("PRAGMA synchronous = NORMAL")
        if version_of(connection) != SCHEMA_VERSION:
            _migrate(connection)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _use_wal(connection: sqlite3.Connection) -> None:
    """The write-ahead log; while two processes make a new file, SQLite refuses this to one without its busy timeout."""
    end = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= end:
                raise
        time.sleep(PAUSE)


def version_of(connection: sqlite3.Connection) -> int:
    """The schema's version; 0 of an empty file."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _migrate(connection: sqlite3.Connection) -> None:
    """All steps that are missing, in one transaction; another process may have made them meanwhile."""
    connection.execute("BEGIN IMMEDIATE")
    version = version_of(connection)
    if not 0 <= version <= SCHEMA_VERSION:
        raise sqlite3.DatabaseError(
            f"its schema is version {version}, and this release knows version {SCHEMA_VERSION}; "
            "start the release that wrote it, or restore an older backup"
        )
    for statements in MIGRATIONS[version:]:
        for statement in statements:
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.execute("COMMIT")
