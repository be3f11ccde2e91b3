"""The service's time: it does not go back, is never far ahead, and outlives the process."""

from __future__ import annotations

from pathlib import Path

import pytest

from porthole.auth.errors import NotAuthenticated
from porthole.auth.principal import Principal, Role
from porthole.auth.signin import SignIns
from porthole.consoleauth.errors import TokenExpired, TokenInvalid
from porthole.consoleauth.keys import KeyRing
from porthole.consoleauth.tokens import ConsoleAuth
from porthole.state.clock import PACE, Clock
from porthole.state.rows import Carrier, Traffic
from porthole.state.sessions import SessionTable
from porthole.state.sqlite import SqliteStore, StoreUnavailable
from porthole.state.upkeep import KEEP_SESSIONS
from porthole.state.verdict import SessionLimits, Verdict, Wanted

NOW = 1_700_000_000.0
DAY = 24 * 3600
YEARS = 70 * 365 * DAY
TTL = 600
KEYS = KeyRing((b"k" * 32,))


class Machine:
    """A machine whose clock is set.

    :ivar wall: Unix time
    :ivar steady: seconds since some moment
    """

    def __init__(self) -> None:
        self.wall, self.steady = NOW, 0.0

    def goes_on(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds

    def clock(self) -> Clock:
        return Clock(lambda: self.wall, lambda: self.steady)


@pytest.fixture
def machine() -> Machine:
    return Machine()


class TestClock:
    def test_it_is_the_machines_time(self, machine: Machine) -> None:
        clock = machine.clock()
        for _ in range(3):
            assert clock() == machine.wall
            machine.goes_on(100)

    def test_forward_it_follows_at_once(self, machine: Machine) -> None:
        clock = machine.clock()
        clock()
        machine.wall += DAY
        assert clock() == machine.wall
        assert clock.ahead == 0

    def test_back_it_does_not_follow_and_goes_on(self, machine: Machine) -> None:
        clock = machine.clock()
        before = clock()
        machine.wall -= 3600
        assert clock() == before
        machine.goes_on(100)
        assert clock() == pytest.approx(before + 100 * PACE)

    def test_the_machines_clock_gets_level_with_it(self, machine: Machine) -> None:
        clock = machine.clock()
        clock()
        machine.wall -= 60
        machine.goes_on(60 / (1 - PACE) - 1)
        assert clock.ahead > 0
        machine.goes_on(2)
        assert clock.ahead == 0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store"


class TestStore:
    def test_a_process_that_starts_after_the_clock_went_back_goes_on_from_the_highest_time(
        self, machine: Machine, path: Path
    ) -> None:
        store = SqliteStore(path, machine.clock())
        store.open()
        highest = store.now()
        store.close()
        machine.wall -= 3600
        after = SqliteStore(path, machine.clock())
        after.open()
        assert after.now() == highest

    def test_processes_agree_at_once_when_a_clock_is_set(self, machine: Machine, path: Path) -> None:
        here = SqliteStore(path, machine.clock())
        here.open()
        machine.wall += 3600
        here.open()  # any call: no minute is waited for
        machine.wall -= 3600
        there = SqliteStore(path, machine.clock())
        there.open()
        assert there.now() == here.now()

    def test_a_live_session_is_not_forgotten_before_it_has_reported(self, machine: Machine, path: Path) -> None:
        store = SqliteStore(path, machine.clock())
        table = SessionTable(store, 60)
        begin(store, table, expires=int(NOW) + 100)
        machine.wall += DAY
        store.open()
        table.report([Traffic("s1", "c1", 0, 0)])
        (row,) = table.listing()
        assert row.session_id == "s1"
        assert table.get("s1") is not None, "so it can be ended"
        assert not table.is_resumable(row), "for its time is over, should its connection break"

    def test_one_that_nobody_has_seen_is_forgotten(
        self, machine: Machine, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("porthole.state.upkeep.time.monotonic", lambda: machine.steady)
        store = SqliteStore(path, machine.clock())
        table = SessionTable(store, 60)
        begin(store, table)
        machine.goes_on(KEEP_SESSIONS)
        store.open()
        assert store.run(lambda connection: connection.execute("SELECT count(*) FROM sessions").fetchone()) == (0,)

    def test_a_clock_that_went_back_by_days_is_followed_in_a_new_era(self, machine: Machine, path: Path) -> None:
        store, elsewhere = SqliteStore(path, machine.clock()), SqliteStore(path, machine.clock())
        for one in (store, elsewhere):
            one.open()
        machine.wall += YEARS
        for one in (store, elsewhere):
            one.open()
        machine.wall = NOW
        assert store.now() > NOW, "not before the store has it on record"
        for one in (store, elsewhere, SqliteStore(path, machine.clock())):
            one.open()
            assert (one.now(), one.era()) == (NOW, 1)

    def test_no_era_begins_that_cannot_be_recorded(self, machine: Machine, path: Path) -> None:
        store = SqliteStore(path, machine.clock())
        machine.wall += YEARS
        store.open()
        store.run(lambda connection: connection.execute("PRAGMA query_only = ON").fetchone())
        machine.wall = NOW
        store.open()
        assert store.era() == 0
        assert store.now() > NOW

    def test_nobody_goes_on_with_a_session_of_another_era_but_for_its_connection(
        self, machine: Machine, path: Path
    ) -> None:
        store = SqliteStore(path, machine.clock())
        table = SessionTable(store, 60)
        machine.wall += YEARS
        begin(store, table, expires=int(machine.wall) + 100)
        machine.wall = NOW
        store.open()
        assert table.find("t1", "hash") is None
        (row,) = table.listing()
        assert (row.session_id, row.started, row.expires) == ("s1", NOW, NOW + 100)
        table.leave(Traffic("s1", "c1", 0, 0), "")
        assert table.listing() == []

    def test_one_that_was_over_stays_over(self, machine: Machine, path: Path) -> None:
        store = SqliteStore(path, machine.clock())
        table = SessionTable(store, 60)
        begin(store, table)
        table.leave(Traffic("s1", "c1", 0, 0), "")
        for jump in (YEARS, -YEARS, -10 * DAY):
            machine.wall += jump
            store.open()
            assert table.find("t1", "hash") is None

    def test_upkeep_on_a_full_disk_keeps_nobody_from_reading(self, machine: Machine, path: Path) -> None:
        store = SqliteStore(path, machine.clock())
        store.open()
        store.run(lambda connection: connection.execute("PRAGMA query_only = ON").fetchone())
        machine.wall += 3600
        assert not store.is_signed_out("s1")
        with pytest.raises(StoreUnavailable):
            store.sign_out("s1", int(machine.wall) + 10)


class TestTokens:
    @pytest.fixture
    def store(self, machine: Machine, path: Path) -> SqliteStore:
        return SqliteStore(path, machine.clock())

    @pytest.fixture
    def console_auth(self, store: SqliteStore) -> ConsoleAuth:
        return ConsoleAuth(KEYS, store, TTL, store.clock)

    def test_an_expired_one_stays_expired_when_the_clock_goes_back(
        self, machine: Machine, console_auth: ConsoleAuth
    ) -> None:
        token = issue(console_auth)
        machine.goes_on(TTL)
        with pytest.raises(TokenExpired):
            console_auth.check(token)
        for _ in range(4):
            machine.wall -= DAY
            with pytest.raises((TokenExpired, TokenInvalid)):
                console_auth.check(token)

    def test_a_good_one_is_good_for_the_rest_of_its_time_and_no_longer(
        self, machine: Machine, console_auth: ConsoleAuth
    ) -> None:
        token = issue(console_auth)
        machine.goes_on(100)
        assert console_auth.check(token)
        machine.wall -= DAY - 10
        assert console_auth.check(token).user_id == "ann"
        machine.goes_on((TTL - 100) / PACE + 1)
        with pytest.raises((TokenExpired, TokenInvalid)):
            console_auth.check(token)

    def test_one_from_the_far_future_is_good_no_more_once_the_clock_is_right(
        self, machine: Machine, console_auth: ConsoleAuth
    ) -> None:
        machine.wall += YEARS
        token = issue(console_auth)
        assert console_auth.check(token)
        machine.wall = NOW
        with pytest.raises(TokenInvalid):
            console_auth.check(token)
        assert console_auth.check(issue(console_auth)), "new ones are"


class TestSignIns:
    def test_one_that_was_ended_stays_ended_however_the_clock_is_set(self, machine: Machine, path: Path) -> None:
        store = SqliteStore(path, machine.clock())
        sign_ins = SignIns(KEYS, store, clock=store.clock, era=store.era)
        ended, left = sign_ins.issue(ann()), sign_ins.issue(ann())
        sign_ins.end(ended)
        for jump in (YEARS, -YEARS, -DAY, -DAY, -DAY, -DAY):
            machine.wall += jump
            for cookie in (ended, left):
                with pytest.raises(NotAuthenticated):
                    sign_ins.check(cookie)

    def test_one_from_the_far_future_is_over_once_the_clock_is_right(self, machine: Machine, path: Path) -> None:
        store = SqliteStore(path, machine.clock())
        sign_ins = SignIns(KEYS, store, clock=store.clock, era=store.era)
        machine.wall += YEARS
        cookie, ended = sign_ins.issue(ann()), sign_ins.issue(ann())
        assert sign_ins.check(cookie)
        sign_ins.end(ended)
        machine.wall = NOW
        for one in (ended, cookie):
            with pytest.raises(NotAuthenticated):
                sign_ins.check(one)
        assert sign_ins.check(sign_ins.issue(ann()))


def ann() -> Principal:
    return Principal(user_id="ann", project_id="p", roles=frozenset({Role.MEMBER}))


def issue(console_auth: ConsoleAuth) -> str:
    return console_auth.authorize(instance_id="i", console_type="novnc", user_id="ann", project_id="p").token


def begin(store: SqliteStore, table: SessionTable, expires: int | None = None) -> None:
    """Session s1 of token t1, carried by connection c1."""
    store.add_token(
        token_id="t1", instance_id="i", console_type="novnc", mode="full",
        user_id="ann", project_id="p", expires=store.now() + TTL,
    )  # fmt: skip
    wanted = Wanted(
        token_id="t1", instance_id="i", console_type="novnc", mode="full", user_id="ann", project_id="p",
        client="192.0.2.7", token_uses=1, limits=SessionLimits(),
    )  # fmt: skip
    assert table.begin("s1", wanted, Carrier("w1", "c1"), "hash", expires) is Verdict.GOOD
