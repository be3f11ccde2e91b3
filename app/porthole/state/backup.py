"""Copies of the store: one made while the service runs, and one put back while it does not.

SQLite's own backup is used, for a copy of the file alone lacks what is in its log, and may
be of two moments.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

from porthole.state.schema import BUSY_TIMEOUT, SCHEMA_VERSION, version_of


class BackupError(Exception):
    """The copy was not made or not put back; the message says why and what would help."""


def backup(store: Path, copy: Path) -> None:
    """Write the store as it is at this moment to a file, which is replaced as a whole and private.

    :raises BackupError: there is no store, or the file cannot be written
    """
    if not store.is_file():
        raise BackupError(f"{store}: there is no store yet.")
    with _errors(f"{store} cannot be copied to {copy}"):
        _copy(store, copy, owner=None)


def restore(copy: Path, store: Path) -> None:
    """Put a copy in the store's place. Owner and mode of the store stay; a new one gets those of its folder's owner.

    :raises BackupError: the copy is none, or a service uses the store
    """
    with _errors(f"{copy} is no copy of a store"):
        _check(copy)
    with _errors(f"{copy} cannot be put in the place of {store}"):
        if store.exists():
            _refuse_used(store)
        _copy(copy, store, owner=store if store.exists() else store.parent)


def _check(copy: Path) -> None:
    with _opened(copy) as connection:
        version = version_of(connection)
        # One of an older release is brought up to date when the service opens it.
        if not 1 <= version <= SCHEMA_VERSION:
            raise BackupError(
                f"{copy}: its schema is version {version}, and this release knows versions 1 to {SCHEMA_VERSION}."
            )
        problem = connection.execute("PRAGMA quick_check").fetchone()[0]
        if problem != "ok":
            raise BackupError(f"{copy}: it is damaged: {problem}.")


def _refuse_used(store: Path) -> None:
    """Whoever has a store open holds a lock of its log; only without one can the log be put away, as is done here."""
    connection = sqlite3.connect(store, timeout=0, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise
        raise BackupError(f"{store}: a service has it open. Stop every generation of it, and try again.") from None
    finally:
        connection.close()


def _copy(source: Path, target: Path, *, owner: Path | None) -> None:
    """Copy a database to a file beside the target, then put it in the target's place."""
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        with _opened(source) as connection, contextlib.closing(sqlite3.connect(temporary)) as copy:
            connection.backup(copy)
            # As a single file, without a log beside it.
            copy.execute("PRAGMA journal_mode = DELETE")
        descriptor = os.open(temporary, os.O_RDWR)
        try:
            if owner is not None:
                like = owner.stat()
                os.fchown(descriptor, like.st_uid, like.st_gid)
                os.fchmod(descriptor, stat.S_IMODE(like.st_mode) & 0o660)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A database that is there already, to be read."""
    # mode=ro would do, were it not that a log needs a file beside it.
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=BUSY_TIMEOUT)
    try:
        yield connection
    finally:
        connection.close()


@contextlib.contextmanager
def _errors(what: str) -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise BackupError(f"{what}: {why}.") from None
