"""A relay with both of its ends in the test's hands, over real TCP connections."""

from __future__ import annotations

import contextlib
import struct

import gevent
from gevent import socket

from porthole.proxy.ended import Ended
from porthole.proxy.frames import Opcode
from porthole.proxy.relay import Relay
from tests.unit.proxy.wire import client_frame, server_frames


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        one = socket.create_connection(listener.getsockname())
        other, _ = listener.accept()
    return one, other


class Dialogue:
    """A relay with a browser and a VNC server on its ends."""

    def __init__(self, relay: Relay, browser: socket.socket, vnc: socket.socket) -> None:
        self.relay = relay
        self.browser = browser
        self.vnc = vnc
        for side in (browser, vnc):
            side.settimeout(10)
        self._running = gevent.spawn(relay.run)

    def types(self, payload: bytes) -> None:
        """The browser sends RFB bytes in one frame."""
        self.browser.sendall(client_frame(Opcode.BINARY, payload))

    def browser_gets(self, data: bytes = b"") -> list[tuple[int, bytes]]:
        """All frames until the connection ends.

        :param data: what was read before
        """
        with contextlib.suppress(ConnectionResetError):
            while chunk := self.browser.recv(65536):
                data += chunk
        self.browser.close()
        return server_frames(data)

    def browser_gets_close(self) -> tuple[int, str]:
        opcode, payload = self.browser_gets()[-1]
        assert opcode == Opcode.CLOSE
        return struct.unpack("!H", payload[:2])[0], payload[2:].decode()

    def vnc_gets(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            chunk = self.vnc.recv(min(65536, size - len(data)))
            assert chunk, f"the relay closed after {len(data)} of {size} bytes"
            data += chunk
        return data

    def until_stuck(self) -> None:
        """Wait until TCP's buffers towards the browser are full."""
        before = -1
        while self.relay.traffic.to_client > before:
            before = self.relay.traffic.to_client
            gevent.sleep(0.1)

    def ended(self) -> Ended:
        return self._running.get(timeout=10)

    @property
    def is_running(self) -> bool:
        return not self._running.dead
