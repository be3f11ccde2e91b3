"""Many clients in one process: ``python -m bench.loads.crowd``, which is told what to do on standard input.

Each line in is a JSON object; each has one line as its answer:

- ``{"open": [[port, path], ...], "together": 64}``: open these sessions, so many at once;
- ``{"echo": seconds}``: each session sends a key and waits for it, all spread over so much time;
- an empty line: end.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import gevent
import gevent.event
import gevent.pool
import gevent.socket
from gevent.fileobject import FileObjectThread

from bench.loads import messages
from bench.loads.link import Door, Link, LinkError
from bench.peers.base import raise_file_limit

ANSWER_TIMEOUT = 30.0
MOST_REASONS = 3
MOST_FAILURES = 20
"""Then no more sessions are opened."""

OPEN_TIMEOUT = 300.0


class Client:
    """One of them: it answers pings as long as it lives."""

    def __init__(self, door: Door) -> None:
        self._link = Link(door, sockets=gevent.socket)
        self._link.socket.settimeout(None)
        self._answer: gevent.event.AsyncResult[bytes] = gevent.event.AsyncResult()
        self._received = b""
        gevent.spawn(self._listen)

    def _listen(self) -> None:
        try:
            while True:
                self._link.receive(self._take)
        except (OSError, LinkError) as error:
            self._answer.set_exception(error)

    def _take(self, piece: memoryview) -> None:
        self._received += piece
        if len(self._received) >= messages.KEY_LENGTH:
            self._answer.set(self._received)

    def echo(self, number: int) -> float:
        """Send a key; seconds until it is back.

        :raises LinkError: something else came
        """
        if not self._answer.ready():
            self._received = b""
        key = messages.key_event(number)
        began = time.perf_counter()
        self._link.send(key)
        if self._answer.get(timeout=ANSWER_TIMEOUT) != key:
            raise LinkError("a key came back changed")
        taken = time.perf_counter() - began
        self._answer = gevent.event.AsyncResult()
        self._received = b""
        return taken


class Crowd:
    """All of them."""

    def __init__(self) -> None:
        self._clients: list[Client] = []
        self._reasons: list[str] = []

    def open(self, doors: list[Door], together: int) -> dict[str, Any]:
        """Open sessions up to ServerInit; how many were opened, and how long it took."""
        pool = gevent.pool.Pool(together)
        before, began = len(self._clients), time.perf_counter()
        for door in doors:
            if len(self._reasons) > MOST_FAILURES or time.perf_counter() - began > OPEN_TIMEOUT:
                break
            pool.spawn(self._try, self._open_one, door)
        pool.join(OPEN_TIMEOUT)
        return self._told(opened=len(self._clients) - before, seconds=time.perf_counter() - began)

    def _open_one(self, door: Door) -> None:
        self._clients.append(Client(door))

    def echo(self, seconds: float) -> dict[str, Any]:
        """A key of each; how many came back, and how long each took in seconds."""
        taken: list[float] = []
        pool = gevent.pool.Group()
        began = time.perf_counter()
        for number, client in enumerate(self._clients):
            due = began + seconds * number / len(self._clients)
            gevent.sleep(max(0.0, due - time.perf_counter()))
            pool.spawn(self._try, lambda client=client, number=number: taken.append(client.echo(number)))
        pool.join()
        return self._told(answered=len(taken), taken=taken)

    def _try(self, act: Any, *arguments: Any) -> None:
        try:
            act(*arguments)
        except (OSError, LinkError, gevent.Timeout) as error:
            self._reasons.append(str(error) or type(error).__name__)

    def _told(self, **facts: Any) -> dict[str, Any]:
        reasons, self._reasons = self._reasons, []
        return {**facts, "failed": len(reasons), "reasons": sorted(set(reasons))[:MOST_REASONS]}


def main() -> int:
    """Obey until the input ends."""
    raise_file_limit()
    crowd = Crowd()
    lines = FileObjectThread(sys.stdin.fileno(), "rb")  # pings are answered meanwhile
    for line in lines:
        if not line.strip():
            break
        order = json.loads(line)
        if "open" in order:
            answer = crowd.open([Door(port, path) for port, path in order["open"]], order["together"])
        else:
            answer = crowd.echo(order["echo"])
        print(json.dumps(answer), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
