"""The embedded store: SQLite in one file, on a native thread of its own.

SQLite waits for locks inside C, which would stop the gevent hub; so every call
runs on this store's only thread and blocks no more than the greenlet that asks.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from gevent.threadpool import ThreadPool

T = TypeVar("T")

FILE = "porthole.sqlite"
"""The database in the service's folder."""

SCHEMA_VERSION = 1
BUSY_TIMEOUT = 2.0
PURGE_EVERY = 60.0
MAX_WAITING = 1000
"""Calls that may wait for the thread; beyond it :class:`StoreUnavailable`."""

SCHEMA = """
CREATE TABLE tokens (
    token_id TEXT PRIMARY KEY, instance_id TEXT NOT NULL, console_type TEXT NOT NULL, mode TEXT NOT NULL,
    user_id TEXT NOT NULL, project_id TEXT NOT NULL, expires INTEGER NOT NULL, revoked INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX tokens_expires ON tokens (expires);
CREATE TABLE signed_out (sign_in_id TEXT PRIMARY KEY, expires INTEGER NOT NULL) STRICT, WITHOUT ROWID;
"""


class StoreUnavailable(Exception):
    """The store cannot be read or written; nothing was recorded. ``why`` is for the log."""

    def __init__(self, why: str) -> None:
        super().__init__("The service cannot reach its own records at the moment. Try again in a few seconds.")
        self.why = why


def check(path: Path) -> None:
    """Open or create the database and try to write, in the calling thread: for the start, before anybody waits.

    :raises StoreUnavailable: the store will not work
    """
    try:
        connection = _open(path)
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        finally:
            connection.close()
    except (sqlite3.Error, OSError) as error:
        raise StoreUnavailable(f"{path}: {error}") from None


class SqliteStore:
    """Issued tokens and ended sign-ins.

    :param path: the database file; its folder has to exist
    :param clock: Unix time in seconds
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._pool = ThreadPool(1)
        self._waiting = 0
        self._connection: sqlite3.Connection | None = None
        self._next_purge = 0.0

    def open(self) -> None:
        """Create or check the database.

        :raises StoreUnavailable: it cannot be opened, or a newer release wrote it
        """
        self._run(lambda _: None)

    def problem(self) -> str:
        """What keeps the store from working, a sentence; empty when it works."""
        try:
            self.open()
        except StoreUnavailable:
            return "The store of tokens and sign-ins cannot be opened."
        return ""

    def close(self) -> None:
        """Close the database; the store is of no use afterwards."""
        self._pool.apply(self._close)
        self._pool.kill()

    def add_token(
        self, *, token_id: str, instance_id: str, console_type: str, mode: str,
        user_id: str, project_id: str, expires: int,
    ) -> None:  # fmt: skip
        """Record an issued token; ``expires`` is Unix time in whole seconds.

        :raises StoreUnavailable: it could not be recorded
        """
        row = (token_id, instance_id, console_type, mode, user_id, project_id, expires)

        def write(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO tokens (token_id, instance_id, console_type, mode, user_id, project_id, expires) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                row,
            )

        self._run(write)

    def is_token_live(
        self, *, token_id: str, instance_id: str, console_type: str, mode: str,
        user_id: str, project_id: str, expires: int,
    ) -> bool:  # fmt: skip
        """Whether exactly this was recorded here and is not revoked.

        All of it is compared: who has got hold of a key can sign what he likes under the id of a token of his own.

        :raises StoreUnavailable: nobody can say
        """
        row = (token_id, instance_id, console_type, mode, user_id, project_id, expires)

        def read(connection: sqlite3.Connection) -> bool:
            query = (
                "SELECT 1 FROM tokens WHERE token_id = ? AND instance_id = ? AND console_type = ? AND mode = ? "
                "AND user_id = ? AND project_id = ? AND expires = ? AND revoked = 0"
            )
            return connection.execute(query, row).fetchone() is not None

        return self._run(read)

    def revoke_token(self, token_id: str) -> bool:
        """Make a token worthless.

        :returns: whether it was good until now
        :raises StoreUnavailable: it could not be recorded
        """

        def write(connection: sqlite3.Connection) -> bool:
            query = "UPDATE tokens SET revoked = 1 WHERE token_id = ? AND revoked = 0"
            return connection.execute(query, (token_id,)).rowcount == 1

        return self._run(write)

    def sign_out(self, sign_in_id: str, expires: int) -> None:
        """Record that a sign-in has ended, until the Unix time at which its cookie expires anyway.

        :raises StoreUnavailable: it could not be recorded
        """

        def write(connection: sqlite3.Connection) -> None:
            query = "INSERT INTO signed_out (sign_in_id, expires) VALUES (?, ?) ON CONFLICT DO NOTHING"
            connection.execute(query, (sign_in_id, expires))

        self._run(write)

    def is_signed_out(self, sign_in_id: str) -> bool:
        """Whether this sign-in has ended.

        :raises StoreUnavailable: nobody can say
        """

        def read(connection: sqlite3.Connection) -> bool:
            query = "SELECT 1 FROM signed_out WHERE sign_in_id = ?"
            return connection.execute(query, (sign_in_id,)).fetchone() is not None

        return self._run(read)

    def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._waiting >= MAX_WAITING:
            raise StoreUnavailable(f"{MAX_WAITING} calls wait for it already")
        self._waiting += 1
        try:
            result: T = self._pool.apply(self._on_thread, (work,))
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(f"{self._path}: {error}") from error
        finally:
            self._waiting -= 1
        return result

    def _on_thread(self, work: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._connection
        if connection is None:
            connection = self._connection = _open(self._path)
        self._purge(connection)
        try:
            return work(connection)
        except sqlite3.Error:
            # A new connection next time: the file may have been moved away or repaired.
            self._close()
            raise

    def _purge(self, connection: sqlite3.Connection) -> None:
        """Forget now and then what has expired, so that the file stays small."""
        if time.monotonic() < self._next_purge:
            return
        self._next_purge = time.monotonic() + PURGE_EVERY
        now = int(self._clock())
        connection.execute("DELETE FROM tokens WHERE expires <= ?", (now,))
        connection.execute("DELETE FROM signed_out WHERE expires <= ?", (now,))

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _open(path: Path) -> sqlite3.Connection:
    # isolation_level=None: each statement is a transaction of its own.
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            connection.executescript(f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
        elif version != SCHEMA_VERSION:
            raise sqlite3.DatabaseError(
                f"its schema is version {version}, and this release knows version {SCHEMA_VERSION}; "
                "start the release that wrote it, or restore an older backup"
            )
    except sqlite3.Error:
        connection.close()
        raise
    return connection
