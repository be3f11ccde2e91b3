"""What all relays of a process share: where they read into, and the pipes through which pages move past them."""

from __future__ import annotations

import contextlib
import fcntl
import os

from porthole.proxy.frames import MAX_SERVER_HEADER

CHUNK = 64 * 1024
"""Bytes copied at once from the VNC server, and the most of them that wait for a slow browser."""

RECORD = 16 * 1024
"""A full record of TLS (RFC 8446 5.1)."""

TLS_CHUNK = 16 * RECORD
"""What :data:`CHUNK` is where TLS is on either leg: frames that fill whole records, and few of them."""

CLIENT_CHUNK = 16 * 1024
"""The same for the browser. Its frames may be tiny, and nobody else gets a turn while those of one read are parsed; of
a frame that is larger :data:`CHUNK` at once."""

PIPE_SIZE = 512 * 1024
"""Bytes of a pipe: what moves at once without being copied, and the most of it that waits for a slow browser."""

MAX_PIPES = 64
"""Pipes of a process; while all are in use its other sessions copy. Two descriptors each, and 32 MiB when all are full:
Linux gives an ordinary user 64 MiB (pipe(7), pipe-user-pages-soft)."""

IDLE_PIPES = 4
"""Empty ones that are kept. One is enough for all sessions whose browsers keep up."""


class Pipe:
    """A pipe that nobody waits for.

    :ivar reader: its descriptor for reading
    :ivar writer: for writing
    """

    __slots__ = ("reader", "writer")

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        with contextlib.suppress(PermissionError):  # the user's limit is reached: it stays as small as it is
            fcntl.fcntl(self.writer, fcntl.F_SETPIPE_SZ, PIPE_SIZE)

    def close(self) -> None:
        """Let go of it and of what is in it."""
        os.close(self.reader)
        os.close(self.writer)


class Pipes:
    """The pipes of a process. A session has one only while there is something in it.

    :ivar lent: how many are in use
    """

    def __init__(self) -> None:
        self._idle: list[Pipe] = []
        self.lent = 0

    def take(self) -> Pipe | None:
        """An empty one; None when there are too many, or no descriptors."""
        if self._idle:
            self.lent += 1
            return self._idle.pop()
        if self.lent >= MAX_PIPES:
            return None
        try:
            pipe = Pipe()
        except OSError:
            return None
        self.lent += 1
        return pipe

    def give(self, pipe: Pipe, *, is_empty: bool = True) -> None:
        """Have one back."""
        self.lent -= 1
        if is_empty and len(self._idle) < IDLE_PIPES:
            self._idle.append(pipe)
        else:
            pipe.close()

    def close(self) -> None:
        """Close those that nobody has."""
        while self._idle:
            self._idle.pop().close()


class ReadBuffers:
    """Where sockets are read into, shared by all relays of a process.

    A callback never leaves anything in them: what could not be written is copied out.
    """

    def __init__(self) -> None:
        # A frame's header is put right before its payload, so that one write sends both.
        self.from_target = bytearray(MAX_SERVER_HEADER + max(CHUNK, TLS_CHUNK))
        self.from_target_view = memoryview(self.from_target)
        self.from_target_payload = self.from_target_view[MAX_SERVER_HEADER:]
        self.from_client = bytearray(max(CHUNK, CLIENT_CHUNK))
        self.from_client_view = memoryview(self.from_client)
        self.pipes = Pipes()
