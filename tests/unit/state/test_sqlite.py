"""The store: what it keeps, what it forgets, and that waiting for it blocks nobody else."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

import gevent
import pytest
import structlog

from porthole.state import database
from porthole.state.sessions import SessionTable
from porthole.state.sqlite import SqliteStore, StoreUnavailable, check

NOW = 1_700_000_000


def add_token(store: SqliteStore) -> None:
    store.add_token(
        token_id="t1", instance_id="i", console_type="novnc", mode="full",
        user_id="ann", project_id="p", expires=NOW + 600,
    )  # fmt: skip


def is_live(store: SqliteStore, **changes: Any) -> bool:
    said = {
        "token_id": "t1", "instance_id": "i", "console_type": "novnc", "mode": "full",
        "user_id": "ann", "project_id": "p", "expires": NOW + 600,
    }  # fmt: skip
    return store.is_token_live(**{**said, **changes})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


@pytest.fixture
def store(path: Path) -> SqliteStore:
    return SqliteStore(path, clock=lambda: NOW)


class TestTokens:
    def test_a_recorded_token_is_live_until_it_is_revoked(self, store: SqliteStore) -> None:
        assert not is_live(store)
        add_token(store)
        assert is_live(store)
        table = SessionTable(store, 60)
        assert table.revoke("t1", 4002, "revoked")
        assert not is_live(store)
        assert not table.revoke("t1", 4002, "revoked")

    @pytest.mark.parametrize(
        "changes",
        [{"instance_id": "j"}, {"user_id": "bob"}, {"mode": "view"}, {"project_id": "q"}, {"expires": NOW + 601}],
    )
    def test_a_leaked_key_cannot_give_its_id_to_other_claims(self, store: SqliteStore, changes: dict[str, Any]) -> None:
        add_token(store)
        assert not is_live(store, **changes)

    def test_it_outlives_the_process(self, store: SqliteStore, path: Path) -> None:
        add_token(store)
        store.close()
        assert is_live(SqliteStore(path, clock=lambda: NOW))

    def test_the_same_token_twice_is_an_error(self, store: SqliteStore) -> None:
        add_token(store)
        with pytest.raises(StoreUnavailable):
            add_token(store)

    def test_what_has_expired_is_forgotten(self, store: SqliteStore, path: Path) -> None:
        add_token(store)
        store.sign_out("s1", NOW + 600)
        store.close()
        later = SqliteStore(path, clock=lambda: NOW + 600)
        later.open()
        later.close()
        with sqlite3.connect(path) as connection:
            assert connection.execute("SELECT count(*) FROM tokens").fetchone() == (0,)
            assert connection.execute("SELECT count(*) FROM signed_out").fetchone() == (0,)


class TestSignIns:
    def test_a_sign_out_is_remembered_and_may_come_twice(self, store: SqliteStore) -> None:
        assert not store.is_signed_out("s1")
        store.sign_out("s1", NOW + 10)
        store.sign_out("s1", NOW + 10)
        assert store.is_signed_out("s1")


class TestTrouble:
    def test_a_folder_that_is_missing(self, tmp_path: Path) -> None:
        store = SqliteStore(tmp_path / "missing" / "store")
        with pytest.raises(StoreUnavailable):
            store.open()
        assert store.problem()

    def test_a_file_that_is_no_database(self, path: Path) -> None:
        path.write_bytes(b"this is not a database, and long enough to see it" * 20)
        with pytest.raises(StoreUnavailable):
            SqliteStore(path).open()

    def test_a_newer_release_wrote_it(self, path: Path) -> None:
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA user_version = 99")
        with pytest.raises(StoreUnavailable) as caught:
            SqliteStore(path).open()
        assert "version 99" in caught.value.why

    def test_it_recovers_when_the_file_can_be_opened_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(database, "PROBED_FOR", 0.0)
        folder = tmp_path / "later"
        store = SqliteStore(folder / "store")
        assert store.problem()
        folder.mkdir()
        assert not store.problem()

    def test_a_store_that_can_be_read_and_not_written_is_a_problem(self, store: SqliteStore) -> None:
        assert not store.problem()
        store.run(lambda connection: connection.execute("PRAGMA query_only = ON").fetchone())
        store._probed = (0.0, "")
        assert store.problem() == "The store of tokens and sign-ins cannot be written."

    def test_a_file_that_is_removed_or_replaced_is_not_gone_on_with(self, store: SqliteStore, path: Path) -> None:
        add_token(store)
        away = path.with_name("away")
        path.rename(away)
        with pytest.raises(StoreUnavailable) as caught:
            is_live(store)
        assert "removed or replaced while the service ran" in caught.value.why
        assert not path.exists()
        path.write_bytes(away.read_bytes())
        with pytest.raises(StoreUnavailable):
            is_live(store)
        away.replace(path)
        assert is_live(store)

    def test_what_stands_in_a_log_that_is_removed_is_saved(self, store: SqliteStore, path: Path) -> None:
        store.open()
        add_token(store)
        path.with_name(path.name + "-wal").unlink()
        with pytest.raises(StoreUnavailable):
            is_live(store)
        assert is_live(store)
        assert is_live(SqliteStore(path, clock=lambda: NOW)), "for other processes too"

    def test_trouble_is_logged_once_and_its_end_too(self, store: SqliteStore, path: Path) -> None:
        store.open()
        away = path.with_name("away")
        path.rename(away)
        with structlog.testing.capture_logs() as logged:
            for _ in range(3):
                with pytest.raises(StoreUnavailable):
                    store.open()
            away.rename(path)
            store.open()
        assert [line["event"] for line in logged] == ["the store does not work", "the store works again"]

    def test_the_reason_is_for_the_log_and_not_for_users(self, tmp_path: Path) -> None:
        with pytest.raises(StoreUnavailable) as caught:
            SqliteStore(tmp_path / "missing" / "store").open()
        assert str(tmp_path) not in str(caught.value)
        assert str(tmp_path) in caught.value.why

    def test_a_lock_held_elsewhere_holds_up_no_other_greenlet(self, store: SqliteStore, path: Path) -> None:
        store.open()
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        writing = gevent.spawn(add_token, store)
        turns = 0
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            gevent.sleep(0.001)
            turns += 1
        assert not writing.dead
        assert turns > 50
        other.execute("COMMIT")
        other.close()
        writing.get(timeout=10)
        assert is_live(store)


class TestCheckAtTheStart:
    def test_a_good_store_is_created_or_left_as_it_is(self, path: Path) -> None:
        check(path)
        store = SqliteStore(path, clock=lambda: NOW)
        add_token(store)
        store.close()
        check(path)
        assert is_live(SqliteStore(path, clock=lambda: NOW))

    def test_a_file_that_is_no_database(self, path: Path) -> None:
        path.write_text("nonsense\n" * 200)
        with pytest.raises(StoreUnavailable) as caught:
            check(path)
        assert str(path) in caught.value.why

    def test_a_store_of_a_newer_release(self, path: Path) -> None:
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA user_version = 99")
        connection.close()
        with pytest.raises(StoreUnavailable) as caught:
            check(path)
        assert "version 99" in caught.value.why

    def test_a_folder_that_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(StoreUnavailable):
            check(tmp_path / "none" / "store.sqlite")
