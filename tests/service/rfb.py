"""RFB (RFC 6143) over websocket-client, as far as these tests need it."""

from __future__ import annotations

import struct

import websocket

RAW = 0


class Closed(Exception):
    """The service closed the WebSocket.

    :ivar code: the close code, 1005 for none
    :ivar reason: the reason
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}")
        self.code = code
        self.reason = reason


class RfbClient:
    """A VNC client on a WebSocket.

    :ivar width: of the screen in pixels, after the handshake
    :ivar height: likewise
    :ivar name: the desktop's name; QEMU's is ``QEMU (NAME)``
    """

    def __init__(self, connection: websocket.WebSocket) -> None:
        self.websocket = connection
        self.width = self.height = 0
        self.name = ""
        self._received = bytearray()

    def handshake(self) -> RfbClient:
        """Up to ServerInit (7.1 to 7.3), with security type None, sharing the screen."""
        assert self.read(12) == b"RFB 003.008\n"
        self.send(b"RFB 003.008\n")
        assert 1 in self.read(self.read(1)[0])
        self.send(b"\x01")
        assert self.read(4) == b"\0\0\0\0"
        self.send(b"\x01")
        self.width, self.height = struct.unpack("!HH", self.read(4))
        self.read(16)
        self.name = self.read(struct.unpack("!I", self.read(4))[0]).decode()
        return self

    def key(self, keysym: int) -> None:
        """Press and release a key (7.5.4)."""
        for down in (1, 0):
            self.send(struct.pack("!BBxxI", 4, down, keysym))

    def request_update(self, *, incremental: bool = False) -> None:
        """Ask for the whole screen (7.5.3)."""
        self.send(struct.pack("!BBHHHH", 3, incremental, 0, 0, self.width, self.height))

    def raw_update(self) -> int:
        """Read one FramebufferUpdate in raw encoding (7.6.1, 7.7.1); returns its bytes of pixels."""
        kind, count = struct.unpack("!BxH", self.read(4))
        assert kind == 0
        total = 0
        for _ in range(count):
            _, _, width, height, encoding = struct.unpack("!HHHHi", self.read(12))
            assert encoding == RAW
            self.read(width * height * 4)
            total += width * height * 4
        return total

    def send(self, data: bytes) -> None:
        """Send bytes in one binary frame."""
        self.websocket.send_binary(data)

    def read(self, count: int) -> bytes:
        """Exactly so many bytes.

        :raises Closed: the service closed the WebSocket first
        """
        while len(self._received) < count:
            opcode, data = self.websocket.recv_data()
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                code = struct.unpack("!H", data[:2])[0] if len(data) >= 2 else 1005
                raise Closed(code, data[2:].decode())
            self._received += data
        taken = bytes(self._received[:count])
        del self._received[:count]
        return taken

    def wait_for_close(self) -> Closed:
        """Read whatever comes until the service closes."""
        while True:
            try:
                self.read(len(self._received) + 1)
            except Closed as closed:
                self.websocket.close(timeout=1)
                return closed

    def close(self) -> None:
        """Close the WebSocket and wait for the answer."""
        self.websocket.close(timeout=5)
