"""SQLite in one file, on a native thread of its own.

SQLite waits for locks inside C, which would stop the gevent hub; so every call
runs on the only thread of the database and blocks no more than the greenlet that asks.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from gevent.threadpool import ThreadPool

from porthole.state.schema import open_database

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

PURGE_EVERY = 60.0
MAX_WAITING = 1000
"""Calls that may wait for the thread; beyond it :class:`StoreUnavailable`."""

KEEP_SESSIONS = 2 * 3600
"""Seconds for which a session that nobody has seen any more stays on record; resume_ttl is less."""

KEEP_CUTS = 60
"""Seconds for which an order to cut a connection waits for the process that has it; a live one looks all the time."""

KEEP_DIALLED = 60
"""Seconds for which a connection to a VNC server is known as ours without a session, and a stranger as told."""

_PURGES = (
    ("DELETE FROM tokens WHERE expires <= ?", 0),
    ("DELETE FROM signed_out WHERE expires <= ?", 0),
    ("DELETE FROM sessions WHERE seen <= ?", KEEP_SESSIONS),
    ("DELETE FROM cuts WHERE at <= ?", KEEP_CUTS),
    ("DELETE FROM dialled WHERE at <= ?", KEEP_DIALLED),
    ("DELETE FROM strangers WHERE at <= ?", KEEP_DIALLED),
)


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
        connection = open_database(path)
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        finally:
            connection.close()
    except (sqlite3.Error, OSError) as error:
        raise StoreUnavailable(f"{path}: {error}") from None


class Database:
    """One file and its thread.

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

    def now(self) -> int:
        """Unix time in whole seconds."""
        return int(self._clock())

    def open(self) -> None:
        """Create or check the database.

        :raises StoreUnavailable: it cannot be opened, or a newer release wrote it
        """
        self.run(lambda _: None)

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

    def run(self, work: Work[T]) -> T:
        """Do something with the connection, on the database's thread.

        :raises StoreUnavailable: SQLite did not do it, or too many calls wait
        """
        if self._waiting >= MAX_WAITING:
            raise StoreUnavailable(f"{MAX_WAITING} calls wait for it already")
        self._waiting += 1
        try:
            result: tuple[T, None] | tuple[None, Exception] = self._pool.apply(self._on_thread, (work,))
        finally:
            self._waiting -= 1
        if result[1] is not None:
            raise StoreUnavailable(f"{self._path}: {result[1]}") from result[1]
        return result[0]

    def write(self, work: Work[T]) -> T:
        """The same as one transaction, which no other process's comes between; an exception undoes it.

        :raises StoreUnavailable: as :meth:`run`
        """

        def transaction(connection: sqlite3.Connection) -> T:
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = work(connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            return result

        return self.run(transaction)

    def _on_thread(self, work: Work[T]) -> tuple[T, None] | tuple[None, Exception]:
        """The result, or why there is none: gevent prints a traceback of each exception that leaves its thread."""
        try:
            if self._connection is None:
                self._connection = open_database(self._path)
            self._purge(self._connection)
            return work(self._connection), None
        except (sqlite3.Error, OSError) as error:
            # A new connection next time: the file may have been moved away or repaired.
            self._close()
            return None, error

    def _purge(self, connection: sqlite3.Connection) -> None:
        """Forget now and then what has expired, so that the file stays small."""
        if time.monotonic() < self._next_purge:
            return
        self._next_purge = time.monotonic() + PURGE_EVERY
        for statement, keep in _PURGES:
            connection.execute(statement, (self.now() - keep,))

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
