"""WebSocket frames (RFC 6455 section 5) from the client's side, cheap enough not to be what is measured."""

from __future__ import annotations

import os
from collections.abc import Callable

BINARY, CLOSE, PING, PONG = 2, 8, 9, 10
_FIN, _MASKED, _LENGTH = 0x80, 0x80, 0x7F
_LENGTH_16, _LENGTH_64 = 126, 127
_SHORT = 2
"""Bytes of a server's shortest header."""

Take = Callable[[memoryview], None]


class Closed(Exception):
    """The relay closed the WebSocket."""


def client_frame(payload: bytes, opcode: int = BINARY) -> bytes:
    """A whole frame of a client, masked with a key of its own (RFC 6455 5.3)."""
    size = len(payload)
    if size < _LENGTH_16:
        head = bytes((_FIN | opcode, _MASKED | size))
    elif size < 1 << 16:
        head = bytes((_FIN | opcode, _MASKED | _LENGTH_16)) + size.to_bytes(2, "big")
    else:
        head = bytes((_FIN | opcode, _MASKED | _LENGTH_64)) + size.to_bytes(8, "big")
    key = os.urandom(4)
    mask = (key * (size // 4 + 1))[:size]
    masked = (int.from_bytes(payload, "little") ^ int.from_bytes(mask, "little")).to_bytes(size, "little")
    return head + key + masked


class FrameReader:
    """Reads a server's frames from pieces of any size. Payload is handed on as it comes and never gathered.

    :ivar frames: data frames begun so far
    :ivar pings: payloads of pings that have not been answered; whoever reads empties it
    """

    def __init__(self) -> None:
        self.frames = 0
        self.pings: list[bytes] = []
        self._head = b""  # an incomplete header
        self._left = 0  # bytes still to come of this frame
        self._opcode = BINARY
        self._control = b""

    def feed(self, data: memoryview, take: Take | None = None) -> int:
        """Take what arrived.

        :param take: is given each piece of data frames' payload, in order
        :returns: bytes of payload of data frames in it
        :raises Closed: a Close frame is in it, or a frame that is masked
        """
        if self._head:
            data = memoryview(self._head + bytes(data))
            self._head = b""
        at, end, payload = 0, len(data), 0
        while at < end:
            if not self._left:
                size = self._header(data, at, end)
                if not size:
                    self._head = bytes(data[at:])
                    break
                at += size
            piece = min(self._left, end - at)
            self._left -= piece
            if self._opcode < CLOSE:
                payload += piece
                if take is not None and piece:
                    take(data[at : at + piece])
            else:
                self._control += data[at : at + piece]
                if not self._left:
                    self._end_of_control()
            at += piece
        return payload

    def _header(self, data: memoryview, at: int, end: int) -> int:
        """Read a header; returns its size, 0 when it is not complete."""
        if end - at < _SHORT:
            return 0
        length = data[at + 1]
        if length & _MASKED:
            raise Closed("The relay masks its frames, which RFC 6455 5.1 forbids.")
        size = _SHORT if length < _LENGTH_16 else 4 if length == _LENGTH_16 else 10
        if end - at < size:
            return 0
        self._left = length if size == _SHORT else int.from_bytes(data[at + 2 : at + size], "big")
        self._opcode = data[at] & 0x0F
        if self._opcode < CLOSE:
            self.frames += 1
        return size

    def _end_of_control(self) -> None:
        payload, self._control = self._control, b""
        if self._opcode == CLOSE:
            raise Closed(
                f"The relay closed: {int.from_bytes(payload[:2], 'big')} {payload[2:].decode(errors='replace')}"
            )
        if self._opcode == PING:
            self.pings.append(payload)
