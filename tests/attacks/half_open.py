"""Many clients that connect and then say half a request or nothing; a program, to be run where they are.

``python half_open.py IP PORT COUNT SENT ADDRESS...``: makes COUNT connections, from the addresses in turn, sends each
SENT (hexadecimal), prints ``open`` when all were made, and ``ended N`` when the last one was closed by the service or a
minute has passed. It ends when its input does.
"""

from __future__ import annotations

import contextlib
import resource
import select
import socket
import sys
import time

_LONGEST = 60
_AT_ONCE = 200
"""Connects under way at the same time; the kernel of the service has a queue for more than that."""


def connected(target: tuple[str, int], address: str) -> socket.socket:
    """Begin to connect, without waiting."""
    client = socket.socket()
    client.setblocking(False)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    client.bind((address, 0))
    with contextlib.suppress(BlockingIOError):
        client.connect(target)
    return client


def main() -> None:
    """See above."""
    target, count, sent = (sys.argv[1], int(sys.argv[2])), int(sys.argv[3]), bytes.fromhex(sys.argv[4])
    addresses = sys.argv[5:]
    resource.setrlimit(resource.RLIMIT_NOFILE, (count + 100, count + 100))
    clients: list[socket.socket] = []
    while len(clients) < count:
        fresh = [connected(target, addresses[n % len(addresses)]) for n in range(min(_AT_ONCE, count - len(clients)))]
        for client in fresh:
            poll = select.poll()
            poll.register(client, select.POLLOUT)
            poll.poll(10_000)
            with contextlib.suppress(OSError):
                client.send(sent)
        clients += fresh
    print("open", flush=True)
    print("ended", wait_for_ends(clients), flush=True)
    sys.stdin.read()


def wait_for_ends(clients: list[socket.socket]) -> int:
    """How many the service closes within a minute."""
    epoll, left = select.epoll(), {client.fileno(): client for client in clients}
    for number in left:
        epoll.register(number, select.EPOLLIN)
    ended, end = 0, time.monotonic() + _LONGEST
    while left and time.monotonic() < end:
        for number, _ in epoll.poll(1):
            try:
                over = not left[number].recv(4096)
            except OSError:
                over = True
            if over:
                ended += 1
                epoll.unregister(number)
                left.pop(number).close()
    return ended


if __name__ == "__main__":
    main()
