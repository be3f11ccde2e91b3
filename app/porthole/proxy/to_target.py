"""From the browser to the VNC server: nearly all the messages, a few bytes each.

Whatever the VNC server does not take stops the reads from the browser until it is gone.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from gevent import socket, ssl

from porthole.proxy.buffers import CLIENT_CHUNK, ReadBuffers
from porthole.proxy.direct import calls, pending
from porthole.proxy.ended import End, Ended
from porthole.proxy.errors import CloseCode, FrameError
from porthole.proxy.frames import FrameParser, Opcode, check_close
from porthole.proxy.rfb.errors import RfbError
from porthole.proxy.to_client import CLOSED, GONE, ToClient
from porthole.proxy.watchers import READ, WRITE, Watchers

_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

Look = Callable[[bytes], bytes]


class ToTarget:
    """One session's way to the VNC server.

    :param client: to the browser
    :param target: to the VNC server
    :param back: the other way, for what a control frame asks for
    :param buffers: the process's
    :param watchers: the session's
    :param end: ends the session
    :ivar look: what the payload goes through, which may raise :class:`porthole.proxy.rfb.errors.RfbError`; or None
    :ivar on_pong: called with the payload of each Pong; None for nothing
    :ivar relayed: bytes of RFB so far, without framing
    :ivar heard_at: when the browser last sent something (or could, after the VNC server held it up), monotonic
    :ivar stalled_at: when the VNC server last took something of what waits for it
    :ivar is_broken: whether the browser broke the protocol of WebSockets, so that nothing more it sends is understood
    """

    def __init__(
        self,
        client: socket.socket,
        target: socket.socket,
        back: ToClient,
        buffers: ReadBuffers,
        watchers: Watchers,
        end: End,
    ) -> None:
        self.look: Look | None = None
        self.on_pong: Callable[[bytes], None] | None = None
        self.relayed = 0
        self.heard_at = self.stalled_at = time.monotonic()
        self.is_broken = False
        self.parser = FrameParser()
        self._client = client
        self._is_client_tls = isinstance(client, ssl.SSLSocket)
        self._receive, self._send = calls(client).recv_into, calls(target).send
        self._view = buffers.from_client_view
        self._back, self._watchers, self._end = back, watchers, end
        self._rest = b""  # payload that the VNC server has not taken yet
        self._readable = watchers.io(client, READ, self._on_readable)
        self._writable = watchers.io(target, WRITE, self._on_writable)

    @property
    def is_stuck(self) -> bool:
        """Whether the VNC server has to take something before the browser is read from."""
        return bool(self._rest)

    def begin(self, early: bytes) -> None:
        """Read from the browser from now on.

        :param early: what it has sent already
        """
        self._readable.start()
        if early:
            self._take(early)
        if self._is_client_tls and not self._watchers.over:
            self._on_readable()  # TLS may hold decrypted bytes that no io watcher will announce

    def put(self, message: bytes) -> None:
        """Send a message that is ours, between two of the browser's; only while not :attr:`is_stuck`."""
        self._pass_on(message)

    def rest(self) -> bytes:
        """Take what was accepted and not written, so that somebody else delivers it."""
        rest, self._rest = self._rest, b""
        return rest

    # -- reading

    def _on_readable(self) -> None:
        if self._rest:
            return  # the VNC server has to take that first
        limit = CLIENT_CHUNK
        if (remaining := self.parser.remaining) > limit:
            limit = min(remaining, len(self._view))
        try:
            size = self._receive(self._view, limit)
        except _WOULD_BLOCK:
            return
        except OSError:
            size = 0
        if size == 0:
            self._end(GONE)
            return
        self._take(self._view[:size])
        if self._is_client_tls and pending(self._client):
            self._watchers.soon(self._on_readable)

    def _take(self, data: bytes | memoryview) -> None:
        self.heard_at = time.monotonic()
        try:
            payload = self.parser.feed(data)
        except FrameError:
            self.is_broken = True
            raise
        if payload and self.look is not None:
            try:
                payload = self.look(payload)
            except RfbError as error:
                self._end(Ended(CloseCode.PROTOCOL_ERROR, str(error), "service"))
                return
        if payload:
            self._pass_on(payload)
        if self.parser.controls:
            self._obey_controls()

    def _obey_controls(self) -> None:
        controls, self.parser.controls = self.parser.controls, []
        for opcode, payload in controls:
            if opcode == Opcode.PING:
                self._back.pong(payload)
            elif opcode == Opcode.PONG:
                if self.on_pong is not None:
                    self.on_pong(payload)
            elif opcode == Opcode.CLOSE:
                self._end(Ended(check_close(payload), "The browser closed the console.", "client"))

    # -- writing

    def _pass_on(self, payload: bytes) -> None:
        self.relayed += len(payload)
        sent = self._write(payload)
        if sent < len(payload):
            self._rest = payload[sent:]
            self.stalled_at = time.monotonic()
            self._readable.stop()
            self._writable.start()

    def _on_writable(self) -> None:
        sent = self._write(self._rest)
        self._rest = self._rest[sent:]
        if self._rest:
            if sent:
                self.stalled_at = time.monotonic()
            return
        self._writable.stop()
        self.heard_at = time.monotonic()
        self._readable.start()
        if self._is_client_tls and pending(self._client):
            self._on_readable()

    def _write(self, data: bytes) -> int:
        """Write what fits; a VNC server that is gone ends the session."""
        try:
            return int(self._send(data))
        except _WOULD_BLOCK:
            return 0
        except OSError:
            self._end(CLOSED)
            return 0
