"""A VNC server whose screen changes all the time, and shows which key it got last.

It does as QEMU does (ui/vnc.c): one update for one request, thirty a second at most, none while the one before has not
been sent whole; of requests that come meanwhile one counts.
"""

from __future__ import annotations

import select
import struct
import time
from typing import Any

from bench.loads.messages import KEY_EVENT, KEY_LENGTH, REQUEST_LENGTH, UPDATE_REQUEST

REFRESH = 0.033
"""Seconds."""

SIDES = (64, 80)
UPDATE_LENGTH = 4 + 12 + SIDES[0] * SIDES[1] * 4
_HEAD = struct.Struct("!BxHHHHHiI")


def update(key: int) -> bytes:
    """A FramebufferUpdate of one rectangle in raw encoding (RFC 6143 7.6.1); its first pixel is the last key."""
    return _HEAD.pack(0, 1, 0, 0, *SIDES, 0, key).ljust(UPDATE_LENGTH, b"\x55")


def key_in(update_: bytes) -> int:
    """What the other end reads in it."""
    return int(_HEAD.unpack_from(update_)[-1])


class Film:
    """One client's.

    :param client: the connection
    :param data: what was read from it and not used
    """

    def __init__(self, client: Any, data: bytes) -> None:
        self._client = client
        self._data = data
        self._rest = b""
        self._key = 0
        self._is_asked = False
        self._due = 0.0

    def play(self) -> None:
        """Until the client leaves.

        :raises OSError: it has left without a word
        """
        self._client.setblocking(False)
        self._take_messages()
        while True:
            pause = None
            if self._is_asked and not self._rest:
                pause = max(0.0, self._due - time.monotonic())
                if not pause:
                    self._draw()
            readable, writable, _ = select.select([self._client], [self._client] if self._rest else [], [], pause)
            if writable:
                self._rest = self._rest[self._client.send(self._rest) :]
            if readable:
                data = self._client.recv(65536)
                if not data:
                    return
                self._data += data
                self._take_messages()

    def _draw(self) -> None:
        self._is_asked = False
        self._due = time.monotonic() + REFRESH
        self._rest = update(self._key)

    def _take_messages(self) -> None:
        while self._data:
            length = {KEY_EVENT: KEY_LENGTH, UPDATE_REQUEST: REQUEST_LENGTH}.get(self._data[0])
            if length is None:
                raise OSError("a message that is neither a key nor a request")
            if len(self._data) < length:
                return
            message, self._data = self._data[:length], self._data[length:]
            if message[0] == UPDATE_REQUEST:
                self._is_asked = True
            else:
                self._key = int.from_bytes(message[4:], "big")
