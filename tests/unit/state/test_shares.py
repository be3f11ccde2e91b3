"""Share links in the store: listed while they work, used as often as they say, and as recorded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from porthole.state.rows import Carrier, ShareRow, User
from porthole.state.sessions import SessionTable
from porthole.state.shares import ShareTable
from porthole.state.sqlite import SqliteStore
from porthole.state.verdict import SessionLimits, Verdict, Wanted

NOW = 1_000_000
ANN, MAX = User("ann", "p"), User("max", "p")
WANTED = Wanted("s1", "i", "novnc", "view", "max", "p", "192.0.2.1", 1, SessionLimits(), share_uses=2)


class World:
    """A store at a moment that tests choose, with a share link ``s1`` for two and a token of a console."""

    def __init__(self, path: Path) -> None:
        self.now = NOW
        self.store = SqliteStore(path, lambda: self.now)
        self.shares, self.sessions = ShareTable(self.store), SessionTable(self.store, 60)
        self.add("s1", MAX, NOW + 100, 2)
        self.add("t1", MAX, NOW + 100, 0)

    def add(self, token_id: str, user: User, expires: int, share_uses: int) -> None:
        self.store.add_token(
            token_id=token_id, instance_id="i", console_type="novnc", mode="view", user_id=user.user_id,
            project_id=user.project_id, expires=expires, share_uses=share_uses,
        )  # fmt: skip

    def use(self, session_id: str, wanted: Wanted = WANTED) -> Verdict:
        return self.sessions.begin(session_id, wanted, Carrier("w", session_id), None, None)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "store")
    yield world
    world.store.close()


def test_they_are_listed_by_who_made_them_the_first_to_expire_first(world: World) -> None:
    world.add("s2", ANN, NOW + 50, 1)
    assert set(world.shares.users()) == {ANN, MAX}
    assert [row.token_id for row in world.shares.listing([ANN, MAX])] == ["s2", "s1"]
    assert world.shares.listing([MAX]) == [ShareRow("s1", "i", "max", "p", NOW + 100, 2, 0)]
    assert world.shares.listing([]) == []


def test_those_of_a_user_that_work_are_counted(world: World) -> None:
    world.add("s2", MAX, NOW + 50, 1)
    world.add("s3", User("max", "another project"), NOW + 50, 1)
    assert (world.shares.count(MAX), world.shares.count(ANN)) == (2, 0)
    world.now = NOW + 50
    assert world.shares.count(MAX) == 1
    assert world.sessions.revoke("s1", 4002, "revoked")
    assert world.shares.count(MAX) == 0


def test_expired_and_revoked_ones_are_not(world: World) -> None:
    world.add("s2", ANN, NOW + 50, 1)
    assert world.sessions.revoke("s1", 4002, "revoked")
    world.now = NOW + 49
    assert [row.token_id for row in world.shares.listing([ANN, MAX])] == ["s2"]
    assert world.shares.get("s1") is None
    world.now = NOW + 50
    assert world.shares.users() == []
    assert world.shares.get("s2") is None


def test_one_that_is_used_up_still_is_for_its_sessions_go_on(world: World) -> None:
    assert [world.use("a"), world.use("b"), world.use("c")] == [Verdict.GOOD, Verdict.GOOD, Verdict.USED]
    share = world.shares.get("s1")
    assert share is not None
    assert (share.uses, share.used) == (2, 2)
    row = world.sessions.get("a")
    assert row is not None
    assert row.share_uses == 2


@pytest.mark.parametrize("claimed", [0, 1, 100])
def test_a_token_that_says_another_number_of_uses_than_was_recorded_is_unknown(world: World, claimed: int) -> None:
    assert world.use("a", replace(WANTED, share_uses=claimed)) is Verdict.UNKNOWN


def test_a_consoles_token_cannot_be_made_a_share(world: World) -> None:
    assert world.use("a", replace(WANTED, token_id="t1")) is Verdict.UNKNOWN
    assert world.shares.get("t1") is None
