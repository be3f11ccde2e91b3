"""A TCP port between two others that keeps what goes through it, as whoever sits in between would."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator


class Tap:
    """What has gone through.

    :ivar from_client: of all connections, in the order in which it came
    :ivar from_server: likewise
    """

    def __init__(self, listener: socket.socket, target: tuple[str, int]) -> None:
        self.from_client = bytearray()
        self.from_server = bytearray()
        self._listener = listener
        self._target = target
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target, timeout=10)
            except OSError:
                return
            for source, sink, kept in ((client, server, self.from_client), (server, client, self.from_server)):
                source.settimeout(None)
                threading.Thread(target=_pump, args=(source, sink, kept), daemon=True).start()


@contextlib.contextmanager
def tap(listen: tuple[str, int], target: tuple[str, int]) -> Iterator[Tap]:
    """Listen there and pass everything on."""
    with socket.create_server(listen) as listener:
        try:
            yield Tap(listener, target)
        finally:
            listener.shutdown(socket.SHUT_RDWR)


def _pump(source: socket.socket, sink: socket.socket, kept: bytearray) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            kept += data
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
