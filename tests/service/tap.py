"""A TCP port between two others that keeps what goes through it, as whoever sits in between would."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator

HANDSHAKE, ALERT, CHANGE_CIPHER_SPEC, DATA = 22, 21, 20, 23
"""Types of TLS records (RFC 8446 5.1)."""

Change = Callable[[bytes], bytes]


class Tap:
    """What has gone through.

    :ivar from_client: of all connections, in the order in which it came
    :ivar from_server: likewise
    """

    def __init__(self, listener: socket.socket, target: tuple[str, int], change: Change) -> None:
        self.from_client = bytearray()
        self.from_server = bytearray()
        self._listener = listener
        self._target = target
        self._change = change
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target, timeout=10)
            except OSError:
                return
            for source, sink, kept, change in (
                (client, server, self.from_client, bytes),
                (server, client, self.from_server, self._change),
            ):
                source.settimeout(None)
                threading.Thread(target=_pump, args=(source, sink, kept, change), daemon=True).start()


@contextlib.contextmanager
def tap(listen: tuple[str, int], target: tuple[str, int], change: Change = bytes) -> Iterator[Tap]:
    """Listen there and pass everything on.

    :param change: what becomes of a piece of the server's, as it came; kept is what it was
    """
    with socket.create_server(listen) as listener:
        try:
            yield Tap(listener, target, change)
        finally:
            listener.shutdown(socket.SHUT_RDWR)


def _pump(source: socket.socket, sink: socket.socket, kept: bytearray, change: Change) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            kept += data
            sink.sendall(change(data))
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def tls_records(data: bytes) -> list[int]:
    """The types of the TLS records that it is made of, with nothing in between (RFC 8446 5.1); the last may be cut."""
    found = []
    while data:
        kind, major, length = struct.unpack("!BBxH", data[:5].ljust(5, b"\0"))
        assert kind in (HANDSHAKE, ALERT, CHANGE_CIPHER_SPEC, DATA)
        assert major == 3
        found.append(kind)
        data = data[5 + length :]
    return found
