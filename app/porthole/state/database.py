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

import structlog
from gevent.threadpool import ThreadPool

from porthole.state.clock import Clock
from porthole.state.inode import OpenedFiles
from porthole.state.schema import open_database
from porthole.state.upkeep import PURGE_EVERY, Upkeep

__all__ = ["MAX_WAITING", "PURGE_EVERY", "Database", "StoreUnavailable", "check"]

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

MAX_WAITING = 1000
"""Calls that may wait for the thread; beyond it :class:`StoreUnavailable`."""

PROBED_FOR = 1.0
"""Seconds for which the answer to whether the store works counts; strangers may ask."""


log = structlog.get_logger("porthole.state")


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
    :param clock: Unix time in seconds; tests set it
    :ivar clock: the time by which everything in it begins and ends
    """

    def __init__(self, path: Path, clock: Callable[[], float] | None = None) -> None:
        self._path = path
        self.clock = clock or Clock()
        self._upkeep = Upkeep(self.clock)
        self._files = OpenedFiles(path)
        self._probed = (-PROBED_FOR, "")
        self._trouble = ""
        self._era = self.era()
        self._pool = ThreadPool(1)
        self._waiting = 0
        self._connection: sqlite3.Connection | None = None

    def now(self) -> int:
        """Unix time in whole seconds."""
        return int(self.clock())

    def era(self) -> int:
        """How often its time had to go back (:class:`porthole.state.clock.Clock`), as far as is known."""
        return self.clock.era if isinstance(self.clock, Clock) else 0

    def open(self) -> None:
        """Create or check the database.

        :raises StoreUnavailable: it cannot be opened, or a newer release wrote it
        """
        self.run(lambda _: None)

    def problem(self) -> str:
        """What keeps the store from being written, a sentence; empty when it works. Known for :data:`PROBED_FOR`."""
        at, said = self._probed
        if time.monotonic() - at >= PROBED_FOR:
            self._probed = (time.monotonic(), said)  # whoever asks meanwhile does not wait
            said = self._probe()
            self._probed = (time.monotonic(), said)
        return said

    def _probe(self) -> str:
        try:
            # A page is written, and nothing changes.
            self.write(lambda connection: connection.execute("UPDATE clock SET highest = highest").rowcount)
        except StoreUnavailable:
            return "The store of tokens and sign-ins cannot be written."
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
        self._tell(result[1])
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

    def _tell(self, error: Exception | None) -> None:
        """Log what is wrong with the store, once, and that it is over; likewise a clock that went back too far."""
        if self.era() != self._era:
            self._era = self.era()
            log.warning("the clock went back by days; URLs and sign-ins from before are worthless", era=self._era)
        why = "" if error is None else str(error)
        if why and why != self._trouble:
            log.error("the store does not work", path=str(self._path), why=why)
        elif self._trouble and not why:
            log.info("the store works again", path=str(self._path))
        self._trouble = why

    def _on_thread(self, work: Work[T]) -> tuple[T, None] | tuple[None, Exception]:
        """The result, or why there is none: gevent prints a traceback of each exception that leaves its thread."""
        try:
            self._files.check()
            if self._connection is None:
                self._connection = open_database(self._path)
                self._files.opened()
            self._upkeep.do(self._connection)
            return work(self._connection), None
        except (sqlite3.Error, OSError) as error:
            # A new connection next time: the file may have been moved away or repaired.
            self._close()
            return None, error

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
            self._files.closed()
