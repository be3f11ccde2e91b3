"""Tokens behind sign-ins, in a real store: sealed, forgotten in time, and opened by their own key alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from porthole.auth.keystone.kept import Kept
from porthole.state.kept import KeptTokens
from porthole.state.sqlite import SqliteStore

TOKEN = "gAAAAABmade-up"


class World:
    """A store whose time is the test's."""

    def __init__(self, folder: Path) -> None:
        self.now = 1_000.0
        self.file = folder / "store"
        self.store = SqliteStore(self.file, clock=lambda: self.now)
        self.kept = Kept(KeptTokens(self.store))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.store.close()


def test_a_token_is_what_its_key_opens(world: World) -> None:
    first, second = world.kept.put(TOKEN, 2_000), world.kept.put("another", 2_000)
    assert first != second
    assert (world.kept.get(first), world.kept.get(second)) == (TOKEN, "another")


@pytest.mark.parametrize("key", ["", "x", "A" * 43 + "=", "0" * 16, "ä"])
def test_another_key_opens_nothing(world: World, key: str) -> None:
    world.kept.put(TOKEN, 2_000)
    assert world.kept.get(key) is None


def test_it_is_over_at_its_second_and_leaves_the_store(world: World) -> None:
    key = world.kept.put(TOKEN, 2_000)
    world.now = 1_999.9
    assert world.kept.get(key) == TOKEN
    world.now = 2_000.0
    assert world.kept.get(key) is None
    world.now = 3_000.0  # the next upkeep
    rows = world.store.run(lambda connection: connection.execute("SELECT count(*) FROM kept_tokens").fetchone())
    assert rows == (0,)


def test_what_is_dropped_is_gone(world: World) -> None:
    key = world.kept.put(TOKEN, 2_000)
    world.kept.drop(key)
    world.kept.drop(key)
    assert world.kept.get(key) is None


def test_the_store_has_neither_the_token_nor_its_key(world: World) -> None:
    key = world.kept.put(TOKEN, 2_000)
    stored = b"".join(path.read_bytes() for path in world.file.parent.iterdir())
    assert TOKEN.encode() not in stored
    assert key.encode() not in stored


def test_rows_that_somebody_has_swapped_open_nothing(world: World) -> None:
    first, second = world.kept.put(TOKEN, 2_000), world.kept.put("another", 2_000)
    swap = "UPDATE kept_tokens SET sealed = CASE sealed WHEN ?1 THEN ?2 ELSE ?1 END"
    world.store.run(
        lambda connection: (
            connection.execute(swap, [row[0] for row in connection.execute("SELECT sealed FROM kept_tokens")]).rowcount
        )
    )
    assert (world.kept.get(first), world.kept.get(second)) == (None, None)
