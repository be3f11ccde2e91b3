"""An older release's store becomes one of this release, and nothing that was good in it is lost."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from porthole.state.schema import MIGRATIONS, SCHEMA_VERSION, open_database
from porthole.state.sessions import SessionTable
from porthole.state.sqlite import SqliteStore
from porthole.state.verdict import SessionLimits, Verdict, Wanted

EXPIRES = 2_000_000_000
TOKEN: dict[str, Any] = {
    "token_id": "t1", "instance_id": "i", "console_type": "novnc", "mode": "full", "user_id": "ann", "project_id": "p",
    "expires": EXPIRES,
}  # fmt: skip
WANTED = Wanted("t1", "i", "novnc", "full", "ann", "p", "192.0.2.1", 1, SessionLimits())

VERSION_1 = """
CREATE TABLE tokens (
    token_id TEXT PRIMARY KEY, instance_id TEXT NOT NULL, console_type TEXT NOT NULL, mode TEXT NOT NULL,
    user_id TEXT NOT NULL, project_id TEXT NOT NULL, expires INTEGER NOT NULL, revoked INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX tokens_expires ON tokens (expires);
CREATE TABLE signed_out (sign_in_id TEXT PRIMARY KEY, expires INTEGER NOT NULL) STRICT, WITHOUT ROWID;
PRAGMA user_version = 1;
"""
"""As release 0.1.0 wrote it."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "store"
    with sqlite3.connect(path) as connection:
        connection.executescript(VERSION_1)
        connection.execute("INSERT INTO tokens VALUES ('t1', 'i', 'novnc', 'full', 'ann', 'p', ?, 0)", (EXPIRES,))
        connection.execute("INSERT INTO tokens VALUES ('t2', 'i', 'novnc', 'full', 'ann', 'p', ?, 1)", (EXPIRES,))
        connection.execute("INSERT INTO signed_out VALUES ('s1', ?)", (EXPIRES,))
    connection.close()
    return path


def tables(path: Path) -> list[tuple[str, str]]:
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY name")
        found = [(str(name), " ".join(str(sql).split())) for name, sql in rows]
    connection.close()
    return found


def test_issued_tokens_stay_good_and_revoked_ones_revoked(path: Path) -> None:
    store = SqliteStore(path)
    assert store.is_token_live(**TOKEN)
    assert not store.is_token_live(**{**TOKEN, "token_id": "t2"})
    assert store.is_signed_out("s1")
    store.close()


def test_and_one_of_them_opens_one_session(path: Path) -> None:
    store = SqliteStore(path)
    table = SessionTable(store, 60)
    assert table.verdict(WANTED) is Verdict.GOOD
    store.close()


def test_an_upgraded_store_is_as_a_new_one(path: Path, tmp_path: Path) -> None:
    open_database(path).close()
    open_database(tmp_path / "new").close()
    assert tables(path) == tables(tmp_path / "new")


def test_the_release_before_goes_on_with_the_file_it_has_open(path: Path) -> None:
    """The old generation of an upgrade: its connection, and its statements."""
    old = sqlite3.connect(path, isolation_level=None)
    old.execute("SELECT 1 FROM tokens").fetchone()
    open_database(path).close()
    old.execute(
        "INSERT INTO tokens (token_id, instance_id, console_type, mode, user_id, project_id, expires) "
        "VALUES ('t3', 'i', 'novnc', 'full', 'ann', 'p', ?)",
        (EXPIRES,),
    )
    old.execute("UPDATE tokens SET revoked = 1 WHERE token_id = 't1' AND revoked = 0")
    old.close()
    store = SqliteStore(path)
    assert store.is_token_live(**{**TOKEN, "token_id": "t3"})
    assert not store.is_token_live(**TOKEN)
    store.close()


def test_two_processes_that_upgrade_at_once_do_it_once(path: Path) -> None:
    failures: list[Exception] = []

    def upgrade() -> None:
        try:
            open_database(path).close()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=upgrade) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []


def test_half_an_upgrade_is_none(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tables(path)
    broken = (*MIGRATIONS[1], "CREATE NONSENSE")
    monkeypatch.setattr("porthole.state.schema.MIGRATIONS", (MIGRATIONS[0], broken))
    with pytest.raises(sqlite3.Error):
        open_database(path)
    assert tables(path) == before
    monkeypatch.undo()
    open_database(path).close()
    assert tables(path) != before


def test_a_newer_store_is_left_alone(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(sqlite3.DatabaseError, match=f"version {SCHEMA_VERSION + 1}"):
        open_database(path)
    assert tables(path) == [row for row in tables(path) if row[0] not in ("sessions", "cuts")]
    assert path.read_bytes()[:16] == before[:16]
