"""What may stand in front of a VNC server: it wants to be asked by CONNECT (``internal_access_path``)."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator


class Front:
    """Answers CONNECT, then passes everything on.

    :ivar asked: the request lines so far
    :ivar answer: what is answered; only after a 200 with its end anything is passed on
    """

    def __init__(self, address: str, target: tuple[str, int]) -> None:
        self.asked: list[str] = []
        self.answer = b"HTTP/1.1 200 OK\r\nVia: front\r\n\r\n"
        self._target = target
        self._listening = socket.create_server((address, 0))
        self.port = int(self._listening.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Take no further clients."""
        self._listening.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._serve_one, args=(client,), daemon=True).start()

    def _serve_one(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                byte = client.recv(1)
                if not byte:
                    return  # it went before it had asked
                head += byte
            self.asked.append(head.split(b"\r\n")[0].decode())
            if not self.answer.endswith(b"\r\n\r\n") or b" 200 " not in self.answer:
                client.sendall(self.answer)
                client.recv(1)
                return
            with socket.create_connection(self._target) as target:
                # In one piece with the first bytes of RFB, which must not be lost.
                client.sendall(self.answer + target.recv(4096))
                back = threading.Thread(target=_copy, args=(target, client), daemon=True)
                back.start()
                _copy(client, target)


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def connect_front(address: str, target: tuple[str, int]) -> Iterator[Front]:
    """A front at an address of this machine, on a free port."""
    front = Front(address, target)
    try:
        yield front
    finally:
        front.close()
