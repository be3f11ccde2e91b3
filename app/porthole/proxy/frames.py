"""WebSocket frames (RFC 6455 section 5), sans I/O: bytes in, bytes out.

The payload of data frames is passed on as it arrives; no message is ever gathered,
so memory does not depend on what the client sends.
"""

from __future__ import annotations

import struct
from enum import IntEnum

from websockets.speedups import apply_mask

from porthole.proxy.errors import MAX_REASON_BYTES, CloseCode, FrameError

MAX_FRAME_PAYLOAD = 16 * 1024 * 1024
"""Bytes; no VNC client sends a larger frame (noVNC: 10 KiB)."""

MAX_CONTROL_PAYLOAD = 125
MAX_SERVER_HEADER = 10

_FIN, _RSV, _OPCODE = 0x80, 0x70, 0x0F
_MASKED, _LENGTH = 0x80, 0x7F
_LENGTH_16, _LENGTH_64 = 126, 127
_MAX_16 = 0xFFFF
_WHOLE_BINARY = _FIN | 0x2
_SHORT_HEAD = 6  # two bytes and the key
_U16 = struct.Struct("!H")
_U64 = struct.Struct("!Q")
_FIRST_PRIVATE_CODE, _LAST_CODE = 3000, 4999


class Opcode(IntEnum):
    """RFC 6455 5.2."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


# Plain numbers, for they are compared for each of a browser's frames.
_CONTINUATION, _TEXT, _CLOSE = int(Opcode.CONTINUATION), int(Opcode.TEXT), int(Opcode.CLOSE)
_KNOWN = frozenset(map(int, Opcode))


def header(opcode: int, length: int) -> bytes:
    """The header of an unmasked, unfragmented frame (a server's, RFC 6455 5.1): 2, 4 or 10 bytes."""
    first = _FIN | opcode
    if length < _LENGTH_16:
        return bytes((first, length))
    if length <= _MAX_16:
        return bytes((first, _LENGTH_16)) + _U16.pack(length)
    return bytes((first, _LENGTH_64)) + _U64.pack(length)


def close_frame(code: int, reason: str) -> bytes:
    """A Close frame; a reason that is too long is cut at a character's end (RFC 6455 5.5.1)."""
    text = reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore").encode()
    return header(Opcode.CLOSE, 2 + len(text)) + _U16.pack(code) + text


def data_frame(data: bytes) -> bytes:
    """A whole message of bytes."""
    return header(Opcode.BINARY, len(data)) + data


def control_frame(opcode: Opcode, payload: bytes) -> bytes:
    """A Ping or Pong frame with at most 125 bytes of payload (RFC 6455 5.5.2, 5.5.3)."""
    return header(opcode, len(payload)) + payload


def unmask(data: bytes | memoryview, key: bytes, offset: int = 0) -> bytes:
    """RFC 6455 5.3: XOR with a 4-byte key, the first byte of ``data`` being number ``offset`` of its frame.

    It is done in C (docs/decisions/0024 has what it was measured against).
    """
    shift = offset & 3
    return apply_mask(data, key[shift:] + key[:shift] if shift else key)


def _whole(data: bytes | memoryview) -> bytes | None:
    """The payload when this is exactly one short frame of a whole message, as nearly always: a key, a move, a request.

    :returns: None when a closer look is needed
    """
    size = len(data) - _SHORT_HEAD
    if size <= 0 or data[0] != _WHOLE_BINARY or data[1] != _MASKED | size or size >= _LENGTH_16:
        return None
    return apply_mask(data[_SHORT_HEAD:], bytes(data[2:_SHORT_HEAD]))


class FrameParser:
    """Reads a client's frames from chunks of any size.

    After :meth:`feed`, ``controls`` holds the control frames that were completed, in
    their order, as ``(opcode, payload)``; the caller empties it. Once a Close frame
    was seen (``closed``), whatever follows is ignored (RFC 6455 5.5.1).
    """

    __slots__ = ("_control", "_head", "_in_message", "_key", "_offset", "_opcode", "_remaining", "closed", "controls")

    def __init__(self) -> None:
        self.controls: list[tuple[Opcode, bytes]] = []
        self.closed = False
        self._head = b""  # an incomplete header, 13 bytes at most
        self._remaining = -1  # payload bytes still to come of this frame; -1 between frames
        self._offset = 0
        self._key = b""
        self._opcode = int(Opcode.BINARY)
        self._control = b""
        self._in_message = False

    @property
    def remaining(self) -> int:
        """Bytes of payload still to come of the frame that has begun; 0 between frames."""
        return max(0, self._remaining)

    def feed(self, data: bytes | memoryview) -> bytes:
        """Take what arrived.

        :param data: any number of bytes
        :returns: the unmasked payload of data frames in it, perhaps empty
        :raises FrameError: the client broke the protocol; the parser is of no use afterwards
        """
        if self._remaining < 0 and not (self._head or self._in_message or self.closed):
            payload = _whole(data)
            if payload is not None:
                return payload
        if self._head:
            data = self._head + bytes(data)
            self._head = b""
        out: list[bytes] = []
        position, end = 0, len(data)
        while not self.closed:
            if self._remaining < 0:
                size = self._read_header(data, position, end)
                if size == 0:
                    self._head = bytes(data[position:end])
                    break
                position += size
            take = min(self._remaining, end - position)
            if take:
                payload = unmask(data[position : position + take], self._key, self._offset)
                position += take
                self._offset += take
                self._remaining -= take
                if self._opcode < _CLOSE:
                    out.append(payload)
                else:
                    self._control += payload
            if self._remaining:
                break
            self._end_of_frame()
        return out[0] if len(out) == 1 else b"".join(out)

    def _read_header(self, data: bytes | memoryview, position: int, end: int) -> int:
        """Take a frame's header; returns its size, or 0 when it is not complete yet."""
        if end - position < 1:
            return 0
        first = data[position]
        self._check_first_byte(first)
        if end - position < 2:  # noqa: PLR2004 - the two fixed bytes
            return 0
        second = data[position + 1]
        if not second & _MASKED:
            raise FrameError(CloseCode.PROTOCOL_ERROR, "A client has to mask its frames (RFC 6455 5.1).")
        length = second & _LENGTH
        extended = 0 if length < _LENGTH_16 else 2 if length == _LENGTH_16 else 8
        if extended and first & _OPCODE >= _CLOSE:
            raise FrameError(CloseCode.PROTOCOL_ERROR, "A control frame carries 125 bytes at most (RFC 6455 5.5).")
        size = 2 + extended + 4
        if extended:
            if end - position < 2 + extended:
                return 0
            length = self._extended_length(bytes(data[position + 2 : position + 2 + extended]))
        if end - position < size:
            return 0
        self._key = bytes(data[position + size - 4 : position + size])
        self._opcode = first & _OPCODE
        self._remaining = length
        self._offset = 0
        if self._opcode < _CLOSE:
            self._in_message = not first & _FIN
        return size

    def _check_first_byte(self, first: int) -> None:
        opcode = first & _OPCODE
        if first & _RSV:
            raise FrameError(CloseCode.PROTOCOL_ERROR, "A reserved bit is set and no extension was agreed on.")
        if opcode == _TEXT:
            raise FrameError(CloseCode.UNSUPPORTED_DATA, "RFB is binary; text frames are not taken here.")
        if opcode not in _KNOWN:
            raise FrameError(CloseCode.PROTOCOL_ERROR, f"Opcode {opcode} is reserved (RFC 6455 5.2).")
        if opcode >= _CLOSE:
            if not first & _FIN:
                raise FrameError(CloseCode.PROTOCOL_ERROR, "A control frame may not be fragmented (RFC 6455 5.5).")
        elif (opcode == _CONTINUATION) != self._in_message:
            raise FrameError(CloseCode.PROTOCOL_ERROR, "A fragment is out of its order (RFC 6455 5.4).")

    @staticmethod
    def _extended_length(field: bytes) -> int:
        length = int.from_bytes(field, "big")
        smallest = _LENGTH_16 if len(field) == 2 else _MAX_16 + 1  # noqa: PLR2004 - the 16-bit field
        if length < smallest:
            raise FrameError(CloseCode.PROTOCOL_ERROR, "A length has to take the fewest bytes (RFC 6455 5.2).")
        if length > MAX_FRAME_PAYLOAD:
            raise FrameError(CloseCode.TOO_BIG, f"A frame may carry {MAX_FRAME_PAYLOAD} bytes at most.")
        return length

    def _end_of_frame(self) -> None:
        self._remaining = -1
        if self._opcode < _CLOSE:
            return
        payload, self._control = self._control, b""
        if self._opcode == _CLOSE:
            check_close(payload)
            self.closed = True
        self.controls.append((Opcode(self._opcode), payload))


def check_close(payload: bytes) -> int:
    """The code of a Close frame's payload (RFC 6455 5.5.1, 7.4).

    :returns: the code, :data:`CloseCode.NO_STATUS` when there is none
    :raises FrameError: a single byte, a code that may not be sent, or a reason that is not UTF-8
    """
    if not payload:
        return CloseCode.NO_STATUS
    if len(payload) == 1:
        raise FrameError(CloseCode.PROTOCOL_ERROR, "A close code has two bytes (RFC 6455 5.5.1).")
    code = int(_U16.unpack(payload[:2])[0])
    if not (code in (*range(1000, 1004), *range(1007, 1015)) or _FIRST_PRIVATE_CODE <= code <= _LAST_CODE):
        raise FrameError(CloseCode.PROTOCOL_ERROR, f"Close code {code} may not be sent (RFC 6455 7.4).")
    try:
        payload[2:].decode()
    except UnicodeDecodeError:
        raise FrameError(CloseCode.INVALID_PAYLOAD, "A close reason has to be UTF-8 (RFC 6455 5.5.1).") from None
    return code
