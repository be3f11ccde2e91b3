"""Who is cut off when there are too many connections: never somebody with few, because of somebody with many."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import gevent
import pytest
from gevent import socket
from gevent.event import Event

from porthole.proxy.connections import Connections, source

LIMIT = 6


class Crowd:
    """Connections, each with a greenlet of its own that holds it until the end."""

    def __init__(self) -> None:
        self.connections = Connections(LIMIT)
        self.over = Event()
        self._ours: dict[str, socket.socket] = {}
        self._numbers = itertools.count()

    def connect(self, address: str, *, answering: bool = False) -> str:
        """One more; returns its name."""
        name = f"{address} {next(self._numbers)}"
        self._ours[name], theirs = socket.socketpair()

        def hold() -> None:
            with theirs, self.connections.carrying(theirs, address):
                if answering:
                    self.connections.answers()
                self.over.wait()

        gevent.spawn(hold)
        gevent.sleep(0)
        return name

    def cut(self) -> list[str]:
        """Those that were cut off, in the order in which they came."""
        found = []
        for name, ours in self._ours.items():
            ours.settimeout(0)
            try:
                if ours.recv(1) == b"":
                    found.append(name)
            except BlockingIOError:
                continue
        return found


@pytest.fixture
def crowd() -> Iterator[Crowd]:
    crowd = Crowd()
    yield crowd
    crowd.over.set()
    gevent.sleep(0)
    assert len(crowd.connections) == 0, "nothing is left of those that are gone"
    assert not crowd.connections._of


def test_a_crowd_from_one_address_pushes_out_its_own_alone(crowd: Crowd) -> None:
    first = crowd.connect("192.0.2.1")
    many = [crowd.connect("192.0.2.66") for _ in range(50)]
    assert crowd.cut() == many[: 50 - (LIMIT - 1)]
    assert first not in crowd.cut()
    assert len(crowd.connections) == LIMIT


def test_so_do_several_addresses_with_several_each(crowd: Crowd) -> None:
    crowd.connect("192.0.2.1")
    for _ in range(20):
        for attacker in ("192.0.2.66", "192.0.2.67"):
            crowd.connect(attacker)
    assert not [name for name in crowd.cut() if name.startswith("192.0.2.1 ")]


def test_somebody_new_gets_a_place_of_the_one_with_the_most(crowd: Crowd) -> None:
    many = [crowd.connect("192.0.2.66") for _ in range(LIMIT)]
    crowd.connect("192.0.2.1")
    assert crowd.cut() == many[:1]


def test_of_an_address_the_one_that_waits_for_longest_goes_and_none_that_is_answered(crowd: Crowd) -> None:
    crowd.connect("192.0.2.1", answering=True)
    waiting = [crowd.connect("192.0.2.1") for _ in range(LIMIT - 1)]
    crowd.connect("192.0.2.1")
    assert crowd.cut() == waiting[:1]


def test_when_all_are_answered_the_oldest_goes_so_that_slow_bodies_keep_nobody_out(crowd: Crowd) -> None:
    slow = [crowd.connect("192.0.2.1", answering=True) for _ in range(LIMIT)]
    crowd.connect("192.0.2.1")
    assert crowd.cut() == slow[:1]


def test_with_one_of_each_address_the_one_that_waits_for_longest_goes(crowd: Crowd) -> None:
    crowd.connect("192.0.2.1", answering=True)
    others = [crowd.connect(f"192.0.2.{number}") for number in range(2, 2 + LIMIT)]
    assert crowd.cut() == others[:1]


def test_one_that_was_cut_off_takes_no_place_again_by_waiting(crowd: Crowd) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, crowd.connections.carrying(theirs, "192.0.2.66"):
        for _ in range(LIMIT):
            crowd.connect("192.0.2.66")
        crowd.connections.waits(theirs)
        assert len(crowd.connections) == LIMIT
        assert not crowd.cut()


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("itself", "itself"),
        ("", ""),
    ],
)
def test_what_counts_as_one_address(address: str, counted: str) -> None:
    assert source(address) == counted
