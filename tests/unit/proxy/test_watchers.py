"""The watchers of a session: none is called once it is over, and what goes wrong in one ends it."""

from __future__ import annotations

from collections.abc import Iterator

import gevent
import pytest

from porthole.proxy.ended import Ended
from porthole.proxy.errors import CloseCode, FrameError
from porthole.proxy.watchers import READ, WRITE, Watchers
from tests.unit.proxy.dialogue import tcp_pair


class World:
    """A session's watchers and what became of it."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.ended: list[Ended] = []
        self.watchers = Watchers(self.end)
        self.ours, self.theirs = tcp_pair()

    def end(self, ended: Ended) -> None:
        self.ended.append(ended)
        self.watchers.stop()

    def call(self) -> None:
        self.calls.append("called")
        self.ours.recv(100)


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.watchers.close()
    world.ours.close()
    world.theirs.close()


def test_a_side_is_watched_from_the_start_of_its_watcher_on(world: World) -> None:
    watcher = world.watchers.io(world.ours, READ, world.call)
    world.theirs.sendall(b"x")
    gevent.sleep(0.02)
    assert not world.calls
    watcher.start()
    assert watcher.is_active
    gevent.sleep(0.02)
    assert world.calls == ["called"]
    watcher.stop()
    world.theirs.sendall(b"x")
    gevent.sleep(0.02)
    assert world.calls == ["called"]


def test_a_side_that_can_be_written_to(world: World) -> None:
    def call() -> None:
        world.calls.append("called")
        watcher.stop()

    watcher = world.watchers.io(world.ours, WRITE, call)
    watcher.start()
    gevent.sleep(0.02)
    assert world.calls == ["called"]


def test_time_that_passes_again_and_again_and_once(world: World) -> None:
    again: list[int] = []
    once: list[int] = []
    world.watchers.every(0.005, lambda: again.append(1)).start()
    world.watchers.after(0.005, lambda: once.append(1))
    world.watchers.soon(lambda: once.append(0))
    gevent.sleep(0.1)
    assert len(again) > 2
    assert once == [0, 1]


def test_nothing_is_called_once_the_session_is_over(world: World) -> None:
    called: list[int] = []
    watcher = world.watchers.io(world.ours, READ, world.call)
    watcher.start()
    world.watchers.after(0.001, lambda: called.append(1))
    world.watchers.soon(lambda: called.append(2))
    world.theirs.sendall(b"x")
    world.watchers.stop()
    gevent.sleep(0.02)
    watcher.start()
    gevent.sleep(0.02)
    assert not world.calls
    assert not called


def test_a_browser_that_breaks_the_protocol_is_told_which_rule(world: World) -> None:
    def break_it() -> None:
        raise FrameError(CloseCode.PROTOCOL_ERROR, "A client has to mask its frames.")

    world.watchers.guarded(break_it)()
    assert world.ended == [Ended(CloseCode.PROTOCOL_ERROR, "A client has to mask its frames.", "service")]


def test_an_error_of_ours_ends_the_session_and_is_left_to_the_hub_to_log(world: World) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        world.watchers.guarded(fail)()
    assert [ended.code for ended in world.ended] == [CloseCode.INTERNAL_ERROR]
    assert world.watchers.over
