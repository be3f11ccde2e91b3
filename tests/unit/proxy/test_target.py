"""Connecting to a VNC server: one that greets, one that is busy, one that is silent, one that is not there."""

from __future__ import annotations

import time
from collections.abc import Iterator

import gevent
import pytest
from gevent import socket

from porthole.proxy import target
from porthole.proxy.errors import TargetUnreachable

GREETING = b"RFB 003.008\n"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(1)
        yield listening


def test_the_greeting_is_left_for_the_browser(listener: socket.socket) -> None:
    server = gevent.spawn(lambda: listener.accept()[0].sendall(GREETING))
    with target.connect("127.0.0.1", listener.getsockname()[1], 5) as connection:
        assert connection.recv(100) == GREETING
    server.join(5)


def test_a_first_connection_that_gets_no_answer_is_given_up_for_a_second(listener: socket.socket) -> None:
    kept = []

    def serve() -> None:
        kept.append(listener.accept()[0])
        second = listener.accept()[0]
        second.sendall(GREETING)
        kept.append(second)

    server = gevent.spawn(serve)
    with target.connect("127.0.0.1", listener.getsockname()[1], 10) as connection:
        assert connection.recv(100) == GREETING
    server.join(5)
    assert kept[0].recv(1) == b"", "the first one was closed"
    for one in kept:
        one.close()


def test_one_that_says_nothing_is_unreachable_after_the_time_limit(listener: socket.socket) -> None:
    started = time.monotonic()
    with pytest.raises(TargetUnreachable) as caught:
        target.connect("127.0.0.1", listener.getsockname()[1], 0.3)
    assert time.monotonic() - started > 0.2
    assert "said nothing" in caught.value.why
    assert "127.0.0.1" not in str(caught.value), "the user is told no address"


def test_one_that_closes_at_once_is_unreachable_and_not_asked_in_a_tight_loop(listener: socket.socket) -> None:
    accepted = []

    def serve() -> None:
        while True:
            connection = listener.accept()[0]
            accepted.append(1)
            connection.close()

    server = gevent.spawn(serve)
    with pytest.raises(TargetUnreachable):
        target.connect("127.0.0.1", listener.getsockname()[1], 0.5)
    server.kill()
    assert 1 <= len(accepted) <= 15


def test_a_port_where_nobody_listens() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        with pytest.raises(TargetUnreachable, match="cannot be reached") as caught:
            target.connect("127.0.0.1", bound.getsockname()[1], 5)
    assert "refused" in caught.value.why
