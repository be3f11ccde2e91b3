"""A server that waits with others at one socket takes a client when it is its turn, or when nobody else does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import gevent
import pytest
from gevent import socket

from porthole.proxy.connections import Connections
from porthole.proxy.handler import ConsoleHandler
from porthole.server.http import HttpServer


class Turn:
    """One that says what it is told."""

    def __init__(self) -> None:
        self.others = False
        self.asked = 0
        self.open = 0

    def others_first(self) -> bool:
        self.asked += 1
        return self.others

    def opened(self) -> None:
        self.open += 1

    def closed(self) -> None:
        self.open -= 1


class Handler(ConsoleHandler):
    """Without upgrades."""

    def run_application(self) -> None:
        self._answer()

    def log_request(self) -> None:
        pass


class Worker:
    """A server of its own at a socket that others have too."""

    def __init__(self, listener: socket.socket) -> None:
        self.turn = Turn()
        self.served = 0
        self.server = HttpServer(
            socket.socket(fileno=listener.dup().detach()), self.answer, connections=Connections(10),
            request_timeout=5.0, handler_class=Handler, log=None, environ={"wsgi.multiprocess": True},
        )  # fmt: skip
        self.server.turn = self.turn
        self.server.start()

    def answer(self, _environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        self.served += 1
        start_response("200 OK", [("Connection", "close")])
        return [b""]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(100)
        yield listener


@pytest.fixture
def workers(listener: socket.socket) -> Iterator[list[Worker]]:
    made = [Worker(listener), Worker(listener)]
    yield made
    for worker in made:
        worker.server.stop(timeout=1)


def ask(listener: socket.socket) -> None:
    with socket.create_connection(listener.getsockname(), timeout=10) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200 ")
        while client.recv(100):
            pass


def test_who_has_more_leaves_clients_to_the_other(listener: socket.socket, workers: list[Worker]) -> None:
    one, other = workers
    one.turn.others = True
    for _ in range(20):
        ask(listener)
    assert other.served >= 18
    one.served = 0
    one.turn.others, other.turn.others = False, True
    for _ in range(20):
        ask(listener)
    # The first of these may come while one still holds back.
    assert one.served >= 18


def test_when_nobody_else_takes_them_they_are_served_all_the_same(
    listener: socket.socket, workers: list[Worker]
) -> None:
    one, other = workers
    other.server.stop(timeout=1)
    one.turn.others = True
    for _ in range(20):
        ask(listener)
    assert one.served == 20


def test_it_does_not_spin_meanwhile(listener: socket.socket, workers: list[Worker]) -> None:
    for worker in workers:
        worker.turn.others = True
    end = time.monotonic() + 0.3
    while time.monotonic() < end:
        ask(listener)
    assert sum(worker.turn.asked for worker in workers) < 500


def test_connections_are_counted_until_they_are_over(listener: socket.socket, workers: list[Worker]) -> None:
    one, other = workers
    clients = [socket.create_connection(listener.getsockname(), timeout=10) for _ in range(10)]
    with gevent.Timeout(10):
        while one.turn.open + other.turn.open < 10:
            gevent.sleep(0.01)
        for client in clients:
            client.close()
        while one.turn.open + other.turn.open:
            gevent.sleep(0.01)
