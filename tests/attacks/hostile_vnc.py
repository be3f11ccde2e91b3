"""A VNC server that says what a script tells it to, at the address and port where a guest's QEMU is expected."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable

Script = Callable[[socket.socket], None]
"""Speaks with one client; when it returns, the connection is closed."""

VERSION = b"RFB 003.008\n"
SERVER_INIT = b"\x00\x10\x00\x10" + bytes(16)
"""RFC 6143 7.3.2 without the name: 16 by 16 pixels and some format."""

HUGE = b"\xff\xff\xff\xff"
"""A length of 4 GiB less one byte."""

LONGEST = 60.0
"""Seconds that a script which is never done goes on at most."""


class HostileVnc:
    """One that listens, with a thread for each client.

    :ivar script: what it does with the next client
    :ivar chosen: the security types and subtypes that clients chose, as scripts report them
    :ivar open: how many clients it has now
    """

    def __init__(self, ip: str, port: int) -> None:
        self.script: Script = silence
        self.chosen: list[int] = []
        self.open = 0
        self._lock = threading.Lock()
        self._listener = socket.create_server((ip, port), backlog=256)
        self._over = False
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        """Take no more clients."""
        self._over = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while not self._over:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client, self.script), daemon=True).start()

    def _serve(self, client: socket.socket, script: Script) -> None:
        with self._lock:
            self.open += 1
        try:
            with client, contextlib.suppress(OSError):
                client.settimeout(LONGEST)
                script(client)
        finally:
            with self._lock:
                self.open -= 1


# -- the parts of scripts


def read(client: socket.socket, count: int) -> bytes:
    """Exactly so many bytes.

    :raises ConnectionError: the client is gone
    """
    data = b""
    while len(data) < count:
        piece = client.recv(count - len(data))
        if not piece:
            raise ConnectionError
        data += piece
    return data


def silence(client: socket.socket) -> None:
    """Say nothing until the client is gone."""
    while client.recv(4096):
        pass


def flood(client: socket.socket) -> None:
    """Send for as long as the client takes it, and longer than it should."""
    piece, end = b"\x01" * 65536, time.monotonic() + LONGEST
    while time.monotonic() < end:
        client.sendall(piece)


def saying(*steps: bytes | int, then: Script = silence) -> Script:
    """Send these bytes and await so many, in this order, and then do something else."""

    def script(client: socket.socket) -> None:
        for step in steps:
            if isinstance(step, int):
                read(client, step)
            else:
                client.sendall(step)
        then(client)

    return script


def close(client: socket.socket) -> None:
    """Close; what the client has sent is read first, so that it sees an end and no reset."""
    client.shutdown(socket.SHUT_WR)
    client.settimeout(1)
    with contextlib.suppress(TimeoutError):
        silence(client)


def dripping(data: bytes, seconds: float = 1.0) -> Script:
    """Send a byte at a time, with a pause after each."""

    def script(client: socket.socket) -> None:
        for number in range(len(data)):
            client.sendall(data[number : number + 1])
            time.sleep(seconds)
        silence(client)

    return script
