"""From the VNC server to the browser: nearly all the bytes.

A server's frames are not masked (RFC 6455 5.1), so between two plain sockets the payload need not be seen: it goes
through a pipe by reference (splice(2)), once the frame's header, whose length is known then, was sent with MSG_MORE.
Small pieces are cheaper read and written, and TLS has to be. What a connection does is judged by its last read.

Whatever the browser does not take stops the reads from the VNC server until it is gone.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from gevent import socket, ssl

from porthole.proxy.buffers import CHUNK, PIPE_SIZE, RECORD, TLS_CHUNK, Pipe, ReadBuffers
from porthole.proxy.direct import calls, pending
from porthole.proxy.ended import End, Ended
from porthole.proxy.errors import CloseCode
from porthole.proxy.frames import MAX_SERVER_HEADER, Opcode, control_frame, data_frame, header
from porthole.proxy.watchers import READ, WRITE, Watchers

BULK = 24 * 1024
"""Bytes of a read from which on the next is spliced."""

_BINARY = int(Opcode.BINARY)
_MOVE = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK
_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

GONE = Ended(CloseCode.NO_STATUS, "The browser closed the connection.", "client")
CLOSED = Ended(0, "", "target")


class ToClient:
    """One session's way to the browser. It does not read from the VNC server before :meth:`begin`.

    :param client: to the browser
    :param target: to the VNC server
    :param buffers: the process's
    :param watchers: the session's
    :param end: ends the session
    :ivar relayed: bytes of RFB so far, without framing
    :ivar written: bytes on the browser's connection
    :ivar before_read: called when there is something of the VNC server to read; None for nothing
    """

    def __init__(
        self, client: socket.socket, target: socket.socket, buffers: ReadBuffers, watchers: Watchers, end: End
    ) -> None:
        self.relayed = self.written = 0
        self._client, self._target = client, target
        self._is_target_tls = isinstance(target, ssl.SSLSocket)
        self._can_splice = not (self._is_target_tls or isinstance(client, ssl.SSLSocket))
        self._send, self._receive = calls(client).send, calls(target).recv_into
        self._buffers, self._watchers, self._end = buffers, watchers, end
        # A frame with its header fills whole records of the browser's; of the VNC server's records none is cut.
        self._most = CHUNK if self._can_splice else TLS_CHUNK - (RECORD if self._is_target_tls else MAX_SERVER_HEADER)
        self.before_read: Callable[[], None] | None = None
        self._begun = False
        self._is_bulk = False
        self._rest = b""  # of a frame that was copied, or the header of one that was not
        self._pipe: Pipe | None = None  # with the rest of a frame's payload
        self._in_pipe = 0
        self._pong = self._ping = b""
        self._readable = watchers.io(target, READ, self._on_readable)
        self._writable = watchers.io(client, WRITE, self._on_writable)
        self._target_writable = watchers.io(target, WRITE, self._read_on)

    @property
    def is_stuck(self) -> bool:
        """Whether the browser has to take something before there is more."""
        return bool(self._rest or self._in_pipe)

    def begin(self) -> None:
        """Read from the VNC server from now on."""
        self._begun = True
        if not self.is_stuck:
            self._read_on()

    def put(self, data: bytes) -> None:
        """Send bytes of RFB that are ours; only before :meth:`begin`."""
        self._rest += data_frame(data)
        self._on_writable()

    def pong(self, payload: bytes) -> None:
        """Answer a ping, of which only the latest has to be (RFC 6455 5.5.3)."""
        self._pong = control_frame(Opcode.PONG, payload)
        self._send_controls()

    def ping(self, payload: bytes = b"") -> None:
        """Ask for a sign of life; of several that wait, the last one is sent."""
        self._ping = control_frame(Opcode.PING, payload)
        self._send_controls()

    def rest(self) -> bytes:
        """Take what was accepted and not written, so that somebody else delivers it."""
        rest, self._rest = self._rest, b""
        if self._pipe is not None:
            while self._in_pipe:
                data = os.read(self._pipe.reader, self._in_pipe)
                self._in_pipe -= len(data)
                rest += data
            self._let_go()
        return rest

    def close(self) -> None:
        """Let go of what is shared."""
        if self._pipe is not None:
            self._let_go()

    # -- reading

    def _read_on(self) -> None:
        """Go on reading; what TLS holds already is announced by no io watcher."""
        self._target_writable.stop()
        if self.is_stuck:
            return
        self._readable.start()
        if self._is_target_tls and not self._watchers.over:
            self._on_readable()

    def _on_readable(self) -> None:
        if self.before_read is not None:
            self.before_read()
            if self.is_stuck or self._watchers.over:
                return
        if self._is_bulk and (pipe := self._buffers.pipes.take()) is not None:
            self._splice(pipe)
        else:
            self._copy()

    def _copy(self) -> None:
        """Read a piece and write it as a frame."""
        buffers = self._buffers
        try:
            size = self._receive(buffers.from_target_payload, self._most)
        except ssl.SSLWantWriteError:
            self._readable.stop()
            self._target_writable.start()
            return
        except _WOULD_BLOCK:
            return
        except OSError:
            size = 0
        if size == 0:
            self._end(CLOSED)
            return
        if size == RECORD and self._is_target_tls:
            size = self._more_records(size)
        self.relayed += size
        head = header(_BINARY, size)
        start = MAX_SERVER_HEADER - len(head)
        buffers.from_target[start:MAX_SERVER_HEADER] = head
        frame = buffers.from_target_view[start : MAX_SERVER_HEADER + size]
        sent = self._write(frame)
        if sent < len(frame):
            self._rest = bytes(frame[sent:])
            self._wait()
        elif self._is_target_tls and pending(self._target):
            self._watchers.soon(self._on_pending)
        self._is_bulk = self._can_splice and size >= BULK

    def _more_records(self, size: int) -> int:
        """Read further records that are there, as many as fit; one that fails shows at the next read."""
        view = self._buffers.from_target_payload
        try:
            while size + RECORD <= self._most:
                got = self._receive(view[size:], RECORD)
                size += got
                if got < RECORD:
                    break
        except OSError:
            pass
        return size

    def _on_pending(self) -> None:
        """Bytes of the VNC server that TLS has decrypted, and that no io watcher will announce."""
        if not self.is_stuck:
            self._on_readable()

    def _splice(self, pipe: Pipe) -> None:
        """Move a piece through a pipe, behind its header."""
        size = 0
        try:
            size = os.splice(self._target.fileno(), pipe.writer, PIPE_SIZE, flags=_MOVE)
        except BlockingIOError:
            self._buffers.pipes.give(pipe)
            return
        except OSError:
            pass
        if size == 0:
            self._buffers.pipes.give(pipe)
            self._end(CLOSED)
            return
        self._is_bulk = size >= BULK
        self.relayed += size
        self._pipe, self._in_pipe = pipe, size
        head = header(_BINARY, size)
        sent = self._write(head, socket.MSG_MORE)
        self._rest = head[sent:]
        self._pour()
        if self.is_stuck:
            self._wait()

    def _pour(self) -> None:
        """Move what the browser takes out of the pipe, unless something is before it."""
        pipe = self._pipe
        if pipe is None or self._rest or self._watchers.over:
            return
        try:
            moved = os.splice(pipe.reader, self._client.fileno(), self._in_pipe, flags=_MOVE)
        except BlockingIOError:
            return
        except OSError:
            self._end(GONE)
            return
        self.written += moved
        self._in_pipe -= moved
        if not self._in_pipe:
            self._let_go()

    def _let_go(self) -> None:
        if self._pipe is not None:
            self._buffers.pipes.give(self._pipe, is_empty=not self._in_pipe)
        self._pipe, self._in_pipe = None, 0

    # -- writing

    def _write(self, data: Any, flags: int = 0) -> int:
        """Write what fits; a browser that is gone ends the session."""
        try:
            sent = int(self._send(data, flags))
        except _WOULD_BLOCK:
            return 0
        except OSError:
            self._end(GONE)
            return 0
        self.written += sent
        return sent

    def _wait(self) -> None:
        self._readable.stop()
        self._writable.start()

    def _on_writable(self) -> None:
        if self._rest:
            more = socket.MSG_MORE if self._in_pipe else 0
            self._rest = self._rest[self._write(self._rest, more) :]
        self._pour()
        self._send_controls()

    def _send_controls(self) -> None:
        """At a frame's end: control frames first, then go on reading."""
        while not self.is_stuck and (self._pong or self._ping) and not self._watchers.over:
            if self._pong:
                frame, self._pong = self._pong, b""
            else:
                frame, self._ping = self._ping, b""
            self._rest = frame[self._write(frame) :]
        if self.is_stuck:
            self._wait()
            return
        self._writable.stop()
        if self._begun and not self._readable.is_active:
            self._read_on()
