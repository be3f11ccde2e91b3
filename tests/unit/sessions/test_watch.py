"""Who looks after the sessions: what ends them, and what happens when the store does not work."""

from __future__ import annotations

import dataclasses
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from porthole.audit import Recorder
from porthole.auth.policy import Policy
from porthole.auth.principal import Principal, Role
from porthole.compute.model import Instance, Listing
from porthole.consoleauth.tokens import Claims
from porthole.metrics import Metrics
from porthole.sessions.records import Lifetime, Recorded, Records
from porthole.sessions.registry import OwnPlaces, Sessions
from porthole.sessions.watch import Watch
from porthole.state.rows import Carrier, Traffic
from porthole.state.sessions import SessionTable
from porthole.state.sqlite import SqliteStore
from porthole.state.verdict import SessionLimits, Verdict, Wanted
from tests.unit.sessions.test_sessions import CLAIMS, INSTANCE, Live

MEMBER = Principal("max", "default", frozenset({Role.MEMBER}))
WANTED = Wanted("t", "i", "novnc", "full", "max", "p", "192.0.2.9", 0, SessionLimits())
KEY = b"\x04\x01\0\0\0\0\0\x61"
CLIENT_INIT = b"\x01"


class World:
    """Sessions of one process, a store, a user who may be gone, and an instance that may become another's."""

    def __init__(self, path: Path, idle_timeout: int = 0) -> None:
        self.path = path
        self.store = SqliteStore(path)
        self.table = SessionTable(self.store, 60)
        self.records = Records(self.table, 0, SessionLimits(), Lifetime())
        self.sessions = Sessions(OwnPlaces(10), Metrics(), self.records, Recorder(None))
        self.users: dict[str, Principal] = {"max": MEMBER, "eve": dataclasses.replace(MEMBER, user_id="eve")}
        self.asked: list[str] = []
        self.instances: tuple[Instance, ...] = (INSTANCE,)
        self.policy = Policy()
        self.watch = Watch(self.sessions, self.find, self.listing, self.policy, idle_timeout)
        self.store.add_token(
            token_id="t", instance_id="i", console_type="novnc", mode="full", user_id="max", project_id="p",
            expires=2_000_000_000,
        )  # fmt: skip

    def find(self, claims: Claims) -> Principal | None:
        self.asked.append(claims.user_id)
        return self.users.get(claims.user_id)

    def listing(self) -> Listing:
        return Listing(self.instances, ())

    def live(self, user: str = "max", *, looks_at_input: bool = False, mode: str = "full", share_uses: int = 0) -> Live:
        """A session that is on record."""
        claims = dataclasses.replace(CLAIMS, user_id=user, mode=mode, share_uses=share_uses)
        return Live(self.sessions, claims=claims, looks_at_input=looks_at_input)

    def recorded(self) -> tuple[Live, str]:
        """A session that is on record as this process's, and its id."""
        live = self.live()
        record = live.session.record
        carrier = Carrier(self.records.worker, record.connection)
        assert self.table.begin(record.session_id, WANTED, carrier, "a" * 64, None) is Verdict.GOOD
        return live, record.session_id


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "store")
    yield world
    for session in world.sessions.live():
        session.end(1000, "over")
    world.store.close()


class TestPermissions:
    def test_whoever_is_gone_or_may_no_longer_loses_his_sessions_and_nobody_else(self, world: World) -> None:
        mine, eves = world.live("max"), world.live("eve")
        world.watch.judge()
        assert len(world.sessions) == 2
        world.users["max"] = dataclasses.replace(MEMBER, roles=frozenset({Role.READER}))
        world.watch.judge()
        assert mine.told() == (4006, "You may no longer open this console.")
        del world.users["eve"]
        world.watch.judge()
        assert eves.told()[0] == 4006

    def test_a_user_with_many_sessions_is_looked_up_once(self, world: World) -> None:
        lives = [world.live() for _ in range(5)]
        world.watch.judge()
        assert world.asked == ["max"]
        for live in lives:
            live.session.end(1000, "over")
            live.told()

    @pytest.mark.parametrize("owner", ["another", ""])
    def test_an_instance_that_becomes_anothers_or_nobodys_ends_the_session(self, world: World, owner: str) -> None:
        mine, admins = world.live("max"), world.live("ann")
        world.users["ann"] = Principal("ann", "default", frozenset({Role.ADMIN}))
        world.instances = (dataclasses.replace(INSTANCE, project_id=owner),)
        world.watch.judge()
        assert mine.told() == (4006, "You may no longer open this console.")
        assert world.sessions.live() == [admins.session]

    def test_anothers_instance_changes_nothing(self, world: World) -> None:
        live = world.live()
        world.instances = (INSTANCE, dataclasses.replace(INSTANCE, id="another", project_id="another"))
        world.watch.judge()
        assert world.sessions.live() == [live.session]

    def test_while_an_instance_is_not_known_its_owner_at_the_connect_counts(self, world: World) -> None:
        live = world.live()
        world.instances = ()
        world.watch.judge()
        assert world.sessions.live() == [live.session]

    def test_a_share_links_session_needs_its_sharer_to_be_allowed_that_too(self, world: World, tmp_path: Path) -> None:
        file = tmp_path / "policy.yaml"
        file.write_text('"porthole:share": "rule:context_is_admin"')
        own, shared = world.live(), world.live(mode="view", share_uses=1)
        Watch(world.sessions, world.find, world.listing, Policy(file), 0).judge()
        assert shared.told() == (4006, "You may no longer open this console.")
        own.session.end(1000, "over")
        assert own.told() == (1000, "over"), "the first end counts, and nobody ended it before"

    def test_what_may_not_be_seen_any_more_may_not_be_open(self, world: World, tmp_path: Path) -> None:
        file = tmp_path / "policy.yaml"
        file.write_text('"os_compute_api:servers:show": "rule:context_is_admin"')
        live = world.live()
        Watch(world.sessions, world.find, world.listing, Policy(file), 0).judge()
        assert live.told()[0] == 4006


class TestIdleness:
    def test_only_keys_and_pointer_count_not_what_asks_for_the_picture(self, tmp_path: Path) -> None:
        world = World(tmp_path / "idle", idle_timeout=1)
        idle, used = (world.live(looks_at_input=True) for _ in range(2))
        for live in (idle, used):
            live.dialogue.types(CLIENT_INIT)
            live.dialogue.vnc_gets(1)
        end = time.monotonic() + 1.2
        while time.monotonic() < end:
            used.dialogue.types(KEY)
            used.dialogue.vnc_gets(8)
            idle.dialogue.types(b"\x03\0\0\0\0\0\0\x10\0\x10")
            idle.dialogue.vnc_gets(10)
            used.session.idle_seconds()
        world.watch.judge()
        assert idle.told() == (4007, "Nobody used this console for 1 seconds.")
        assert world.sessions.live() == [used.session]
        used.session.end(1000, "over")
        used.told()
        world.store.close()

    def test_who_only_watches_sends_nothing_and_is_not_idle(self, tmp_path: Path) -> None:
        world = World(tmp_path / "watching", idle_timeout=1)
        full, watching = world.live(looks_at_input=True), world.live(looks_at_input=True, mode="view")
        time.sleep(1.05)
        world.watch.judge()
        assert full.told()[0] == 4007
        watching.session.end(1000, "over")
        assert watching.told() == (1000, "over"), "the first end counts, and nobody ended it before"
        world.store.close()

    def test_without_the_setting_nobody_looks(self, world: World) -> None:
        live = world.live()
        assert live.session.input is None
        assert live.session.idle_seconds() == 0
        live.session.end(1000, "over")
        live.told()


class TestStore:
    def test_what_another_process_ended_is_cut(self, world: World) -> None:
        live, session_id = world.recorded()
        assert SessionTable(world.store, 60).end(session_id, 4002, "killed")
        world.watch.obey()
        assert live.told() == (4002, "killed")

    def test_its_bytes_are_on_record_and_none_twice(self, world: World) -> None:
        live, session_id = world.recorded()
        live.dialogue.types(b"12345")
        live.dialogue.vnc_gets(5)
        world.watch.obey()
        row = world.table.get(session_id)
        assert row is not None
        assert (row.to_client, row.to_target) == (0, 5)
        live.dialogue.types(b"678")
        live.dialogue.vnc_gets(3)
        live.session.end(1001, "restart")
        live.told()
        row = world.table.get(session_id)
        assert row is not None
        assert row.to_target == 8

    def test_while_it_does_not_work_nothing_is_lost_and_one_line_says_so(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("porthole.sessions.reports.TRY_AGAIN", 0.0)
        live, session_id = world.recorded()
        gone, gone_id = world.recorded()
        live.dialogue.types(b"12345")
        live.dialogue.vnc_gets(5)
        world.store.run(lambda connection: connection.execute("PRAGMA busy_timeout = 50"))
        other = sqlite3.connect(world.path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        with structlog.testing.capture_logs() as lines:
            for _ in range(3):
                world.watch.obey()
                world.store.run(lambda connection: connection.execute("PRAGMA busy_timeout = 50"))
            gone.session.end(4002, "ended")
            assert gone.told() == (4002, "ended"), "the store is not waited for"
        other.execute("ROLLBACK")
        other.close()
        assert [line["event"] for line in lines].count("sessions not on record") == 1
        world.watch.obey()
        row = world.table.get(session_id)
        assert row is not None
        assert row.to_target == 5
        assert world.table.get(gone_id) is None
        live.session.end(1000, "over")
        live.told()

    def test_orders_to_other_connections_are_not_this_ones(self, world: World) -> None:
        live, session_id = world.recorded()
        assert world.table.resume(session_id, Carrier("another process", "c2"), "192.0.2.1", 4005, "taken over")
        world.watch.obey()
        assert live.told() == (4005, "taken over")
        world.table.report([Traffic(session_id, live.session.record.connection, 9, 9)])
        row = world.table.get(session_id)
        assert row is not None
        assert (row.away_since, row.to_client) == (None, 0)


def test_an_error_of_ours_does_not_end_the_watch(world: World) -> None:
    def broken(_: Claims) -> Principal | None:
        raise RuntimeError("on purpose")

    live = world.live()
    watch = Watch(world.sessions, broken, world.listing, world.policy, 0)
    with structlog.testing.capture_logs() as lines:
        watch.start()
        live.session.end(4002, "ended")
        live.told()
        watch.stop()
    assert {line["event"] for line in lines} <= {"sessions were not looked after", "session admitted", "session ended"}


def test_a_renewal_is_bounded_by_the_absolute_time() -> None:
    lifetime = Lifetime(session_timeout=100, with_token=True, token_ttl=60)
    assert lifetime.at_start(1000, token_expires=1050) == 1050
    assert lifetime.renewed(1040, started=1000) == 1100
    assert lifetime.renewed(1020, started=1000) == 1080
    assert Lifetime(session_timeout=30).at_start(1000, 1050) == 1030
    assert Lifetime(session_timeout=30).renewed(1010, 1000) is None
    assert Lifetime().at_start(1000, 1050) is None
    assert Lifetime().at_start(1000, 1050, shared=True) == 1050, "that of a share link ends with it"
    assert Lifetime(session_timeout=30).at_start(1000, 1050, shared=True) == 1030
    assert Recorded("s", "c", None).expires is None
