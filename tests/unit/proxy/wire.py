"""The client's side of RFC 6455 for these tests, byte by byte where they want it."""

from __future__ import annotations

import struct

KEY = b"\x37\xfa\x21\x3d"


def masked(payload: bytes, key: bytes = KEY) -> bytes:
    return bytes(byte ^ key[index % 4] for index, byte in enumerate(payload))


def client_frame(opcode: int, payload: bytes = b"", *, fin: bool = True, key: bytes = KEY) -> bytes:
    """A frame as a browser sends it."""
    first = (0x80 if fin else 0) | opcode
    if len(payload) < 126:
        head = struct.pack("!BB", first, 0x80 | len(payload))
    elif len(payload) < 65536:
        head = struct.pack("!BBH", first, 0x80 | 126, len(payload))
    else:
        head = struct.pack("!BBQ", first, 0x80 | 127, len(payload))
    return head + key + masked(payload, key)


def server_frames(data: bytes) -> list[tuple[int, bytes]]:
    """The frames that a server sent, which have to be whole, final and unmasked."""
    frames = []
    while data:
        first, second = data[0], data[1]
        assert first & 0x80, "a server frame here is never fragmented"
        assert not first & 0x70, "no reserved bit is set"
        assert not second & 0x80, "a server does not mask (RFC 6455 5.1)"
        length, size = second, 2
        if length == 126:
            (length,), size = struct.unpack_from("!H", data, 2), 4
        elif length == 127:
            (length,), size = struct.unpack_from("!Q", data, 2), 10
        assert len(data) >= size + length, "the last frame is cut"
        frames.append((first & 0x0F, data[size : size + length]))
        data = data[size + length :]
    return frames
