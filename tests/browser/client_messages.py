"""Reads what an RFB client sends (RFC 6143, 7.5, and the extensions noVNC uses with QEMU)."""

from __future__ import annotations

import struct
from typing import NamedTuple

OPENING = 12 + 1 + 1
"""ProtocolVersion, the chosen security type None, ClientInit."""

KEY_EVENT = 4
QEMU = 255
FIXED = {0: 20, 3: 10, KEY_EVENT: 8, 5: 6, 150: 10, QEMU: 12}
"""Length by message type: SetPixelFormat, FramebufferUpdateRequest, KeyEvent, PointerEvent, EnableContinuousUpdates,
QEMU's extended key event."""


class KeyEvent(NamedTuple):
    """A key went down or up; both kinds of key event carry the X11 keysym."""

    keysym: int
    down: bool


def key_events(stream: bytes) -> list[KeyEvent]:
    """All key events of a session, in order.

    :param stream: everything that the client has sent; what comes after the last whole message is not looked at
    :raises AssertionError: it has a message of an unknown type
    """
    found, at = [], OPENING
    while at < len(stream) and at + (length := _length(stream, at)) <= len(stream):
        if stream[at] == KEY_EVENT:
            down, keysym = struct.unpack_from("!BxxI", stream, at + 1)
            found.append(KeyEvent(keysym, bool(down)))
        elif stream[at] == QEMU:
            down, keysym = struct.unpack_from("!HI", stream, at + 2)
            found.append(KeyEvent(keysym, bool(down)))
        at += length
    return found


def _length(stream: bytes, at: int) -> int:
    kind = stream[at]
    if kind in FIXED:
        return FIXED[kind]
    head = stream[at : at + 9].ljust(9, b"\0")
    if kind == 2:  # SetEncodings
        return 4 + 4 * int.from_bytes(head[2:4], "big")
    if kind == 6:  # ClientCutText; extended ones have a negative length
        return 8 + abs(int.from_bytes(head[4:8], "big", signed=True))
    if kind == 248:  # ClientFence
        return 9 + head[8]
    raise AssertionError(f"message type {kind} is none that noVNC sends to QEMU")
