"""A long way between a client and the service: a TCP port whose bytes arrive later."""

from __future__ import annotations

import collections
import contextlib
import math
import socket
import sys
import threading
import time
from collections.abc import Iterator

MOST_UNDER_WAY = 4096
"""Pieces; a sender waits while there are more."""

MOST_QUEUED = 0.2
"""Seconds for which bytes wait before a narrow way; beyond that a sender waits."""

PIECE, NARROW_PIECE = 65536, 1400
"""Bytes that move at once."""


@contextlib.contextmanager
def far_away(target: tuple[str, int], seconds: float, rate: float = math.inf) -> Iterator[int]:
    """Listen on a port of 127.0.0.1 that leads to the target.

    :param seconds: there and back
    :param rate: bytes a second, each way
    :returns: the port
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_serve, args=(listener, target, seconds / 2, rate), daemon=True).start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)


def _serve(listener: socket.socket, target: tuple[str, int], seconds: float, rate: float) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        server = socket.socket()
        if rate < math.inf:  # what waits is to wait before the way, not in its end
            server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
        server.connect(target)
        for source, sink in ((client, server), (server, client)):
            sink.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            way: collections.deque[tuple[float, bytes]] = collections.deque()
            ready = threading.Condition()
            threading.Thread(target=_enter, args=(source, way, ready, seconds, rate), daemon=True).start()
            threading.Thread(target=_leave, args=(sink, way, ready), daemon=True).start()


def _enter(
    source: socket.socket,
    way: collections.deque[tuple[float, bytes]],
    ready: threading.Condition,
    seconds: float,
    rate: float,
) -> None:
    free_at = 0.0
    while True:
        try:
            data = source.recv(PIECE if rate == math.inf else NARROW_PIECE)
        except OSError:
            data = b""
        now = time.monotonic()
        free_at = max(free_at, now) + len(data) / rate
        with ready:
            ready.wait_for(lambda: len(way) < MOST_UNDER_WAY)
            way.append((free_at + seconds, data))
            ready.notify_all()
        if not data:
            return
        time.sleep(max(0.0, free_at - now - MOST_QUEUED))


def _leave(sink: socket.socket, way: collections.deque[tuple[float, bytes]], ready: threading.Condition) -> None:
    while True:
        with ready:
            ready.wait_for(lambda: way)
            arrives_at, data = way.popleft()
            ready.notify_all()
        time.sleep(max(0, arrives_at - time.monotonic()))
        try:
            if not data:
                sink.shutdown(socket.SHUT_WR)
                return
            sink.sendall(data)
        except OSError:
            return


def main() -> None:
    """``python -m tests.service.distance HOST PORT SECONDS``: print the port, and go on until standard input ends."""
    host, port, seconds = sys.argv[1:]
    with far_away((host, int(port)), float(seconds)) as here:
        print(here, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
