"""What client and source say to each other: RFB's own messages (RFC 6143), which every relay lets through.

A FramebufferUpdateRequest that is not incremental is an order to the source; its rectangle has the order's numbers. A
KeyEvent is answered with itself. A ClientCutText is an upload.
"""

from __future__ import annotations

import random
import struct
from enum import IntEnum

VERSION = b"RFB 003.008\n"
SERVER_INIT = struct.pack("!HH", 1024, 768) + bytes((32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0))
NAME = b"source"
KEY_EVENT, UPDATE_REQUEST, CUT_TEXT, SET_ENCODINGS = 4, 3, 6, 2
KEY_LENGTH, REQUEST_LENGTH, CUT_TEXT_HEAD = 8, 10, 8
REPORT = struct.Struct("!QI")
"""The source's report of an upload: bytes of text, and their CRC-32."""

UNIT = 256
"""Bytes; the size of the source's writes is told in it."""

MIB = 1 << 20
LARGEST_WRITE = 64 * 1024
_REQUEST = struct.Struct("!BBHHHH")


class Order(IntEnum):
    """What a source is to do."""

    STREAM = 1
    REPORT = 2


def key_event(number: int) -> bytes:
    """A key goes down; *number* is its keysym."""
    return struct.pack("!BBxxI", KEY_EVENT, 1, number & 0xFFFFFFFF)


def stream(write: int, mib: int = 0, mb_per_second: int = 0) -> bytes:
    """An order to send the pattern.

    :param write: bytes of each write, a multiple of :data:`UNIT`
    :param mib: MiB in all; 0 for as long as the client stays
    :param mb_per_second: millions of bytes a second; 0 for as fast as they are taken
    """
    if write % UNIT or not 0 < write <= LARGEST_WRITE:
        raise ValueError(f"Writes of {write} bytes cannot be ordered: at most {LARGEST_WRITE}, in steps of {UNIT}.")
    return _REQUEST.pack(UPDATE_REQUEST, 0, Order.STREAM, write // UNIT, mib, mb_per_second)


def report() -> bytes:
    """An order to say what has been uploaded since the last one."""
    return _REQUEST.pack(UPDATE_REQUEST, 0, Order.REPORT, 0, 0, 0)


def next_update() -> bytes:
    """Asks for the next update of the recording."""
    return _REQUEST.pack(UPDATE_REQUEST, 1, 0, 0, 1024, 768)


def order_of(request: bytes) -> tuple[Order, int, int, int] | None:
    """The order in a FramebufferUpdateRequest: what, bytes a write, MiB, MB a second; None when it is incremental."""
    _, incremental, what, write, mib, rate = _REQUEST.unpack(request)
    return None if incremental else (Order(what), write * UNIT, mib, rate)


def cut_text(text: bytes) -> bytes:
    """A ClientCutText (7.5.6)."""
    return struct.pack("!BxxxI", CUT_TEXT, len(text)) + text


def pattern() -> bytes:
    """What a stream repeats: 1 MiB without a pattern of its own, the same in every run."""
    return random.Random(6143).randbytes(MIB)  # noqa: S311 - not a secret


class Comparison:
    """Compares a stream with the pattern, byte by byte.

    :ivar position: bytes so far
    :ivar wrong_at: position of the first piece that differed, or None
    """

    def __init__(self) -> None:
        self._pattern = pattern() * 2
        self.position = 0
        self.wrong_at: int | None = None

    def take(self, piece: memoryview) -> None:
        """Compare the next piece, of any size up to 1 MiB."""
        start = self.position % MIB
        if self.wrong_at is None and self._pattern[start : start + len(piece)] != piece:
            self.wrong_at = self.position
        self.position += len(piece)
