"""Copies of the store."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from porthole.state.backup import BackupError, backup, restore
from porthole.state.sqlite import SqliteStore, StoreUnavailable

NOW = 1_700_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir()
    return folder / "porthole.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    """The store of a service that runs, with one sign-out."""
    store = SqliteStore(path, clock=lambda: NOW)
    store.sign_out("s1", NOW + 600)
    yield store
    store.close()


def test_a_copy_of_a_store_in_use_has_all_that_was_written(store: SqliteStore, path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    backup(path, copy)
    store.sign_out("s2", NOW + 600)
    assert sorted(os.listdir(tmp_path)) == ["copy", "state"]
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with sqlite3.connect(copy) as connection:
        assert connection.execute("SELECT sign_in_id FROM signed_out").fetchall() == [("s1",)]
    connection.close()


def test_it_is_put_back_when_nobody_uses_the_store(store: SqliteStore, path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    backup(path, copy)
    store.sign_out("s2", NOW + 600)
    path.chmod(0o640)
    with pytest.raises(BackupError, match=r"a service has it open\. Stop every generation"):
        restore(copy, path)
    assert store.is_signed_out("s2")
    store._pool.apply(store._close)  # as if the service had stopped
    restore(copy, path)
    with pytest.raises(StoreUnavailable):
        store.is_signed_out("s1")  # a service that still ran would not take what was put back for its own
    after = SqliteStore(path, clock=lambda: NOW)
    assert (after.is_signed_out("s1"), after.is_signed_out("s2")) == (True, False)
    after.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_it_is_put_back_where_there_is_none(store: SqliteStore, path: Path, tmp_path: Path) -> None:
    copy, other = tmp_path / "copy", tmp_path / "other.sqlite"
    backup(path, copy)
    restore(copy, other)
    fresh = SqliteStore(other, clock=lambda: NOW)
    assert fresh.is_signed_out("s1")
    fresh.close()
    assert other.stat().st_mode & 0o007 == 0


def test_there_has_to_be_something_to_copy(path: Path, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="no store yet"):
        backup(path, tmp_path / "copy")


def test_and_a_place_for_it(store: SqliteStore, path: Path, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match=r"cannot be copied to .*No such file"):
        backup(path, tmp_path / "nowhere" / "copy")


@pytest.mark.parametrize("content", [None, b"", b"no database at all, but some text that is long enough" * 20])
def test_what_is_no_copy_is_not_put_back(store: SqliteStore, path: Path, tmp_path: Path, content: bytes | None) -> None:
    copy = tmp_path / "copy"
    if content is not None:
        copy.write_bytes(content)
    with pytest.raises(BackupError, match="copy"):
        restore(copy, path)
    assert store.is_signed_out("s1")
