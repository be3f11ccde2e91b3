"""The table of sessions: a token is used as often as it may be, sessions are carried on, ended and counted."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import porthole
from porthole.state.rows import Carrier, Traffic, User
from porthole.state.sessions import MAX_AWAY, SessionTable
from porthole.state.sqlite import SqliteStore
from porthole.state.verdict import STALE_AFTER, SessionLimits, Verdict, Wanted

START = 1_700_000_000
TTL = 60
HASH, OTHER_HASH = "a" * 64, "b" * 64


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


class World:
    """A store with tokens in it, seen from two processes."""

    def __init__(self, path: Path) -> None:
        self.clock = Clock()
        self.stores = [SqliteStore(path, self.clock), SqliteStore(path, self.clock)]
        self.table, self.elsewhere = (SessionTable(store, TTL) for store in self.stores)
        self.begun = 0

    def issue(self, name: str = "t1", user: str = "ann", expires: int = START + 600, instance: str = "i") -> None:
        self.stores[0].add_token(
            token_id=name, instance_id=instance, console_type="novnc", mode="full", user_id=user, project_id="p",
            expires=expires,
        )  # fmt: skip

    def wanted(self, name: str = "t1", **changes: Any) -> Wanted:
        wanted = Wanted(name, "i", "novnc", "full", "ann", "p", "192.0.2.1", 1, SessionLimits())
        return dataclasses.replace(wanted, **changes)

    def begin(
        self, name: str = "t1", resume_hash: str | None = HASH, expires: int | None = None, **changes: Any
    ) -> Verdict:
        """A first connection, of the worker w1; the session is s1, s2 ... and its connection c1, c2 ..."""
        number = self.begun + 1
        verdict = self.table.begin(
            f"s{number}", self.wanted(name, **changes), Carrier("w1", f"c{number}"), resume_hash, expires
        )
        self.begun += verdict is Verdict.GOOD
        return verdict


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "store")
    yield world
    for store in world.stores:
        store.close()


class TestUses:
    @pytest.mark.parametrize(
        "claimed",
        [
            {"instance_id": "j"}, {"console_type": "spice"}, {"mode": "view"}, {"user_id": "bob"}, {"project_id": "q"},
            {"share_uses": 1}, {"expires": START + 601},
        ],
        ids=lambda claimed: next(iter(claimed)),
    )  # fmt: skip
    def test_a_token_that_says_anything_else_than_was_recorded_is_unknown(
        self, world: World, claimed: dict[str, Any]
    ) -> None:
        world.issue()
        wanted = world.wanted(**claimed)
        assert world.table.verdict(wanted) is Verdict.UNKNOWN
        assert world.table.begin("s1", wanted, Carrier("w1", "c1"), HASH, None) is Verdict.UNKNOWN
        assert world.begin() is Verdict.GOOD

    def test_a_token_opens_one_session(self, world: World) -> None:
        world.issue()
        assert world.begin() is Verdict.GOOD
        assert world.begin() is Verdict.USED
        assert world.elsewhere.verdict(world.wanted()) is Verdict.USED

    def test_as_many_as_are_allowed_or_any_number(self, world: World) -> None:
        world.issue()
        assert [world.begin(token_uses=3) for _ in range(4)] == [*[Verdict.GOOD] * 3, Verdict.USED]
        assert [world.begin(token_uses=0) for _ in range(5)] == [Verdict.GOOD] * 5

    def test_looking_is_no_use(self, world: World) -> None:
        world.issue()
        assert [world.table.verdict(world.wanted()) for _ in range(3)] == [Verdict.GOOD] * 3
        assert world.begin() is Verdict.GOOD

    def test_one_that_is_unknown_revoked_or_expired_opens_none(self, world: World) -> None:
        assert world.begin() is Verdict.UNKNOWN
        world.issue()
        world.issue("t2")
        world.table.revoke("t1", 4002, "revoked")
        assert world.begin() is Verdict.UNKNOWN
        world.clock.now += 600
        assert world.begin("t2") is Verdict.UNKNOWN
        assert world.table.listing() == []

    def test_of_two_processes_that_try_the_same_token_at_the_same_time_one_gets_it_1000_times(
        self, world: World, tmp_path: Path
    ) -> None:
        """Real processes, each with its own connection to the file; both are told each token at once."""
        tokens = [f"t{number:04}" for number in range(1000)]
        for token in tokens:
            world.issue(token, expires=2_000_000_000)
        environment = {"PYTHONPATH": str(Path(porthole.__file__).parents[1])}
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", REDEEM, str(tmp_path / "store"), name],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
            )
            for name in "ab"
        ]  # fmt: skip
        pipes = [(process.stdin, process.stdout) for process in processes]
        verdicts = set()
        for token in tokens:
            for stdin, _ in pipes:
                assert stdin is not None
                stdin.write(f"{token}\n")
                stdin.flush()
            verdicts.add(tuple(sorted(stdout.readline().strip() for _, stdout in pipes if stdout)))
        assert verdicts == {("GOOD", "USED")}
        for process in processes:
            assert process.communicate(timeout=30)[0] == ""
            assert process.returncode == 0


REDEEM = """
import sys
from pathlib import Path
from porthole.state.rows import Carrier
from porthole.state.sessions import SessionTable
from porthole.state.sqlite import SqliteStore
from porthole.state.verdict import SessionLimits, Wanted
path, name = Path(sys.argv[1]), sys.argv[2]
store = SqliteStore(path)
store.open()
table = SessionTable(store, 60)
for line in sys.stdin:
    wanted = Wanted(line.strip(), "i", "novnc", "full", "ann", "p", "192.0.2.1", 1, SessionLimits())
    print(table.begin(name + line.strip(), wanted, Carrier(name, name + line.strip()), None, None).name, flush=True)
"""


class TestLimits:
    @pytest.mark.parametrize(
        ("limits", "verdict"),
        [
            (SessionLimits(per_user=2), Verdict.USER),
            (SessionLimits(per_instance=2), Verdict.INSTANCE),
            (SessionLimits(per_address=2), Verdict.ADDRESS),
        ],
    )
    def test_above_one_the_token_is_not_used_up(self, world: World, limits: SessionLimits, verdict: Verdict) -> None:
        for token in ("t1", "t2", "t3"):
            world.issue(token)
        assert world.begin("t1", limits=limits) is Verdict.GOOD
        assert world.begin("t2", limits=limits) is Verdict.GOOD
        assert world.table.verdict(world.wanted("t3", limits=limits)) is verdict
        assert world.begin("t3", limits=limits) is verdict
        world.table.leave(Traffic("s1", "c1", 0, 0), "closed")
        assert world.begin("t3", limits=limits) is Verdict.GOOD

    def test_others_do_not_count(self, world: World) -> None:
        world.issue("t1")
        world.issue("t2", user="bob", instance="j")
        limits = SessionLimits(1, 1, 1)
        assert world.begin("t1", limits=limits) is Verdict.GOOD
        other: dict[str, Any] = {"user_id": "bob", "instance_id": "j", "client": "192.0.2.2"}
        assert world.begin("t2", limits=limits, **other) is Verdict.GOOD

    def test_sessions_of_a_process_that_died_count_for_a_moment_only(self, world: World) -> None:
        world.issue("t1")
        world.issue("t2")
        limits = SessionLimits(per_user=1)
        assert world.begin("t1", limits=limits) is Verdict.GOOD
        world.clock.now += STALE_AFTER - 1
        assert world.begin("t2", limits=limits) is Verdict.USER
        world.clock.now += 1
        assert world.begin("t2", limits=limits) is Verdict.GOOD


class TestGoingOn:
    def test_with_the_secret_of_this_very_session(self, world: World) -> None:
        world.issue("t1")
        world.issue("t2")
        world.begin("t1", HASH)
        world.begin("t2", OTHER_HASH)
        found = world.elsewhere.find("t1", HASH)
        assert found is not None
        assert (found.session_id, found.user_id) == ("s1", "ann")
        assert world.table.find("t1", OTHER_HASH) is None, "the secret of another session"
        assert world.table.find("t2", HASH) is None

    def test_for_a_while_after_its_connection_broke(self, world: World) -> None:
        world.issue()
        world.begin()
        world.clock.now += 300
        world.table.report([Traffic("s1", "c1", 0, 0)])
        world.table.leave(Traffic("s1", "c1", 5, 7), "The browser closed the connection.")
        world.clock.now += TTL - 1
        assert world.table.find("t1", HASH) is not None
        world.clock.now += 1
        assert world.table.find("t1", HASH) is None
        assert world.table.get("s1") is None
        assert world.table.listing() == []

    def test_when_its_process_was_killed_it_waits_from_the_moment_at_which_that_is_known(self, world: World) -> None:
        limits = SessionLimits(per_user=2)
        for token in ("t1", "t2", "t3"):
            world.issue(token)
        world.begin("t1")
        world.begin("t2", resume_hash=None)
        assert world.begin("t3", limits=limits) is Verdict.USER
        assert world.elsewhere.abandon(["other", "w1"], "killed") == 2
        assert world.table.find("t1", HASH) is not None, "its browser goes on"
        assert [row.session_id for row in world.table.listing()] == ["s1"], "the other one has no secret, and has ended"
        assert world.begin("t3", limits=limits) is Verdict.GOOD, "neither counts any more"
        world.clock.now += TTL
        assert world.table.find("t1", HASH) is None

    def test_a_killed_process_has_nothing_to_do_with_what_another_one_carries_now(self, world: World) -> None:
        world.issue()
        world.begin()
        assert world.elsewhere.resume("s1", Carrier("w2", "c9"), "192.0.2.9", 4005, "taken over")
        assert world.elsewhere.abandon(["w1"], "killed") == 0
        row = world.table.get("s1")
        assert row is not None
        assert row.away_since is None

    def test_not_without_a_secret(self, world: World) -> None:
        world.issue()
        world.begin(resume_hash=None)
        world.table.leave(Traffic("s1", "c1", 0, 0), "closed")
        assert world.table.listing() == []

    def test_a_page_that_waits_for_its_guest_keeps_it_for_longer_but_not_for_ever(self, world: World) -> None:
        world.issue()
        world.begin()
        world.table.leave(Traffic("s1", "c1", 0, 0), "The instance was shut down.")
        for _ in range(MAX_AWAY // 50 + 2):
            world.clock.now += 50
            world.table.wait_for("s1")
        assert world.clock.now - START > MAX_AWAY
        world.clock.now = START + MAX_AWAY + TTL - 1
        assert world.table.find("t1", HASH) is not None
        world.clock.now += 1
        world.table.wait_for("s1")
        assert world.table.find("t1", HASH) is None

    def test_the_newer_connection_takes_over_and_the_older_ones_process_is_told(self, world: World) -> None:
        world.issue()
        world.begin()
        assert world.elsewhere.resume("s1", Carrier("w2", "c9"), "192.0.2.9", 4005, "taken over")
        assert world.table.cuts("w1") == [("c1", 4005, "taken over")]
        assert world.table.cuts("w1") == [], "once"
        assert world.table.cuts("w2") == []
        # The older connection's end is none of the session's any more.
        world.table.leave(Traffic("s1", "c1", 100, 100), "taken over")
        row = world.table.get("s1")
        assert row is not None
        assert (row.client, row.away_since, row.to_client) == ("192.0.2.9", None, 0)

    def test_bytes_of_all_its_connections_are_added_up(self, world: World) -> None:
        world.issue()
        world.begin()
        world.table.report([Traffic("s1", "c1", 10, 1)])
        world.table.leave(Traffic("s1", "c1", 5, 1), "closed")
        world.table.resume("s1", Carrier("w1", "c2"), "192.0.2.1", 4005, "")
        world.table.report([Traffic("s1", "c2", 100, 10)])
        row = world.table.get("s1")
        assert row is not None
        assert (row.to_client, row.to_target) == (115, 12)

    def test_its_token_may_have_expired_meanwhile(self, world: World) -> None:
        world.issue(expires=START + 10)
        world.begin()
        world.clock.now += 50
        assert world.table.find("t1", HASH) is not None


class TestEnds:
    def test_a_kill_is_final_and_told_to_the_process_that_has_it(self, world: World) -> None:
        world.issue()
        world.begin()
        assert world.elsewhere.end("s1", 4002, "killed")
        assert not world.elsewhere.end("s1", 4002, "again")
        assert world.table.cuts("w1") == [("c1", 4002, "killed")]
        assert world.table.find("t1", HASH) is None
        assert not world.table.resume("s1", Carrier("w1", "c2"), "", 4005, "")
        assert world.begin() is Verdict.USED

    def test_one_that_waits_for_its_browser_can_be_killed_too(self, world: World) -> None:
        world.issue()
        world.begin()
        world.table.leave(Traffic("s1", "c1", 0, 0), "closed")
        assert world.table.end("s1", 4002, "killed")
        assert world.table.cuts("w1") == []
        assert world.table.find("t1", HASH) is None

    def test_a_revoked_token_takes_all_its_sessions_along(self, world: World) -> None:
        world.issue("t1")
        world.issue("t2")
        for token in ("t1", "t1", "t2"):
            world.begin(token, token_uses=0)
        assert world.elsewhere.revoke("t1", 4002, "revoked")
        assert sorted(world.table.cuts("w1")) == [("c1", 4002, "revoked"), ("c2", 4002, "revoked")]
        assert [row.session_id for row in world.table.listing()] == ["s3"]
        assert not world.elsewhere.revoke("t1", 4002, "revoked")
        assert not world.elsewhere.revoke("nonsense' OR 1=1", 4002, "revoked")

    def test_its_sessions_outlive_a_tokens_record_and_are_ended_all_the_same(self, world: World) -> None:
        world.issue(expires=START + 10)
        world.begin()
        world.clock.now += 12
        assert world.table.token_user("t1") == ("ann", "p")
        assert world.table.revoke("t1", 4002, "revoked")
        assert world.table.find("t1", HASH) is None

    def test_an_end_of_the_services_own_is_final(self, world: World) -> None:
        world.issue()
        world.begin()
        world.table.close(Traffic("s1", "c1", 3, 4), "Nobody used this console.")
        assert world.table.find("t1", HASH) is None
        assert world.table.listing() == []

    def test_at_its_time_it_is_over_unless_it_was_renewed(self, world: World) -> None:
        world.issue()
        world.begin(expires=START + 100)
        assert world.elsewhere.extend("s1", START + 105)
        world.clock.now += 104
        world.table.report([Traffic("s1", "c1", 0, 0)])
        assert world.table.find("t1", HASH) is not None
        world.clock.now += 1
        assert world.table.find("t1", HASH) is None
        assert [row.session_id for row in world.table.listing()] == ["s1"], "its process has yet to end it"
        world.table.leave(Traffic("s1", "c1", 0, 0), "")
        assert world.table.listing() == []

    def test_what_has_no_end_is_not_renewed(self, world: World) -> None:
        world.issue()
        world.begin()
        assert not world.table.extend("s1", START + 1000)


class TestListing:
    def test_everybodys_or_ones_own_the_oldest_first(self, world: World) -> None:
        for number, user in enumerate(("ann", "bob", "ann"), 1):
            world.issue(f"t{number}", user)
            world.begin(f"t{number}", user_id=user)
            world.clock.now += 1
        assert [row.session_id for row in world.elsewhere.listing()] == ["s1", "s2", "s3"]
        assert [row.session_id for row in world.elsewhere.listing([User("ann", "p")])] == ["s1", "s3"]
        both = [User("ann", "p"), User("bob", "p"), User("ann", "p")]
        assert [row.session_id for row in world.elsewhere.listing(both)] == ["s1", "s2", "s3"]
        # Neither a part of the pair nor a quotation mark in a name is taken for more than it is.
        for nobodys in ([User("ann", "another project")], [User("p", "ann")], [User('ann"], ["bob', "p")], []):
            assert world.elsewhere.listing(nobodys) == []

    def test_whose_sessions_there_are_that_last(self, world: World) -> None:
        assert world.elsewhere.users() == []
        for number, user in enumerate(("ann", 'b"ob', "ann"), 1):
            world.issue(f"t{number}", user)
            world.begin(f"t{number}", user_id=user)
        assert sorted(world.elsewhere.users()) == [("ann", "p"), ('b"ob', "p")]
        assert len(world.elsewhere.listing(world.elsewhere.users())) == 3
        world.table.end("s2", 4002, "killed")
        assert world.elsewhere.users() == [("ann", "p")]
