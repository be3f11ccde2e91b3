"""What the store is told of live sessions, and when: all of them, in time, and never many at once."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from porthole.audit import Recorder
from porthole.metrics import Metrics
from porthole.proxy.target import Target
from porthole.sessions.records import Lifetime, Recorded, Records
from porthole.sessions.registry import OwnPlaces, Sessions
from porthole.sessions.reports import AT_ONCE, REPORT_EVERY, TRY_AGAIN, Reports
from porthole.sessions.session import Session
from porthole.sessions.start import Start
from porthole.state.database import StoreUnavailable
from porthole.state.rows import Traffic
from porthole.state.sessions import SessionTable
from porthole.state.sqlite import SqliteStore
from porthole.state.verdict import STALE_AFTER, SessionLimits
from tests.unit.proxy.dialogue import tcp_pair
from tests.unit.sessions.test_sessions import CLAIMS, INFO, OPENED

LOOK = 0.3


class NotingTable(SessionTable):
    """The real table, and what it was told."""

    def __init__(self, store: SqliteStore) -> None:
        super().__init__(store, 60)
        self.works = True
        self.told: list[list[str]] = []

    def report(self, traffic: Sequence[Traffic]) -> None:
        if not self.works:
            raise StoreUnavailable("on purpose")
        super().report(traffic)
        self.told.append([one.connection for one in traffic])


class World:
    """A process with sessions whose consoles show nothing, and a clock that the test moves."""

    def __init__(self, path: Path) -> None:
        self.now = 1000.0
        self.store = SqliteStore(path)
        self.table = NotingTable(self.store)
        records = Records(self.table, 0, SessionLimits(), Lifetime())
        self.sessions = Sessions(OwnPlaces(10_000), Metrics(), records, Recorder(None))
        self.reports = Reports(self.sessions, LOOK, lambda: self.now)
        self.ends = tcp_pair()

    def begin(self, count: int) -> list[Session]:
        sessions = [
            Session(
                Recorded(secrets.token_hex(16), secrets.token_hex(8), None), CLAIMS, INFO,
                Target(self.ends[0], OPENED), "192.0.2.9",
                start=Start(self.sessions.audit, CLAIMS, "s", INFO, "192.0.2.9", resumed=False),
                power_state=lambda _: None, forget=self.sessions.forget,
            )
            for _ in range(count)
        ]  # fmt: skip
        for session in sessions:
            self.sessions.reserve()
            self.sessions.add(session)
        return sessions

    def look(self) -> list[str]:
        """The connections that are reported at a look, and time goes on."""
        before = len(self.table.told)
        self.reports.report_due()
        self.now += LOOK
        return [name for told in self.table.told[before:] for name in told]

    def looks(self, seconds: float) -> list[list[str]]:
        return [self.look() for _ in range(round(seconds / LOOK))]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "store")
    yield world
    for end in world.ends:
        end.close()
    world.store.close()


def names(sessions: list[Session]) -> set[str]:
    return {session.record.connection for session in sessions}


def test_nobody_is_left_out_and_nobody_waits_longer_than_a_round_and_a_look(world: World) -> None:
    sessions = world.begin(437)
    seen = dict.fromkeys(names(sessions), world.now)
    longest = 0.0
    for _ in range(100):
        at = world.now
        for name in world.look():
            longest, seen[name] = max(longest, at - seen[name]), at
    assert longest <= REPORT_EVERY + LOOK
    assert min(seen.values()) >= world.now - REPORT_EVERY - 2 * LOOK


def test_a_round_is_spread_evenly_over_its_time(world: World) -> None:
    sessions = world.begin(1300)
    world.looks(2 * REPORT_EVERY)
    told = world.looks(10 * REPORT_EVERY)
    reports = Counter(name for names in told for name in names)
    assert reports.keys() == names(sessions)
    assert set(reports.values()) <= {9, 10, 11}
    a_look = 1300 * LOOK / REPORT_EVERY
    assert max(len(names) for names in told) <= 2 * a_look + 1, "two looks' worth where rounds meet"


def test_no_transaction_has_more_than_some(world: World) -> None:
    world.begin(3 * AT_ONCE + 1)
    world.reports.report_all()
    assert [len(told) for told in world.table.told] == [AT_ONCE, AT_ONCE, AT_ONCE, 1]


@pytest.mark.parametrize("waited", [0.0, 0.1, 2.0, 3.9])
def test_one_that_begins_at_any_moment_is_reported_long_before_it_counts_as_dead(world: World, waited: float) -> None:
    world.begin(50)
    world.looks(REPORT_EVERY)
    world.now += waited
    (late,) = world.begin(1)
    began = world.now
    while late.record.connection not in world.look():
        assert world.now < began + STALE_AFTER / 2 + LOOK * 3
    assert world.now - LOOK <= began + 2 * REPORT_EVERY + LOOK


def test_one_that_ends_while_it_waits_for_its_turn_is_not_reported(world: World) -> None:
    world.look()
    staying, leaving = world.begin(100), world.begin(100)
    world.now += 1.0
    assert 0 < len(world.look()) < 100, "a round has begun and the leaving wait"
    for session in leaving:
        session.ended(None)
    told = {name for names in world.looks(2 * REPORT_EVERY) for name in names}
    assert told == names(staying)


def test_when_the_store_works_again_all_who_waited_for_it_are_reported_at_once(world: World) -> None:
    sessions = world.begin(250)
    world.looks(REPORT_EVERY)
    world.table.works = False
    for _ in range(30):
        if world.now >= world.reports._not_before:
            with pytest.raises(StoreUnavailable):
                world.look()
        world.now += LOOK
    world.table.works = True
    world.now += TRY_AGAIN
    told = world.look() + world.look()
    assert set(told) == names(sessions)


def test_a_store_that_does_not_work_is_left_alone_for_a_while(world: World) -> None:
    world.begin(1)
    world.table.works = False
    with pytest.raises(StoreUnavailable):
        world.look()
    world.table.works = True
    assert world.look() == [], "nobody asked"
    world.now += TRY_AGAIN
    assert len(world.look()) == 1
