"""The relay: a browser's WebSocket on one side, an instance's VNC server on the other.

Both directions are callbacks on the loop's io watchers; the greenlet that calls
:meth:`Relay.run` sleeps until the session ends. The directions share nothing but
the end: a browser that stops reading stops the reads from the VNC server (so TCP
slows QEMU down), and its keystrokes go on being delivered, and the other way round.

The first bytes are the opening of RFB with the browser, whose server we are; the VNC
server is not read from before that is over. Then nobody looks at the bytes any more.
Either side may be TLS.

What is held in memory for a session is at most one chunk a direction plus one
control frame of each kind.
"""

from __future__ import annotations

import fcntl
import socket as stdlib_socket
import struct
import termios
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gevent
from gevent import ssl
from gevent.event import Event
from gevent.hub import get_hub
from gevent.socket import SHUT_WR, socket

from porthole.proxy.errors import CloseCode, FrameError
from porthole.proxy.frames import (
    MAX_SERVER_HEADER,
    FrameParser,
    Opcode,
    check_close,
    close_frame,
    control_frame,
    header,
)
from porthole.proxy.input import BrowserInput
from porthole.proxy.rfb.conversation import Conversation
from porthole.proxy.rfb.errors import RfbError

CHUNK = 64 * 1024
"""Bytes read at once from the VNC server, and the most of them that wait for a slow browser."""

CLIENT_CHUNK = 16 * 1024
"""The same for the browser. Its frames may be tiny, and nobody else gets a turn while those of one read are parsed."""

CLOSE_TIMEOUT = 2.0
"""Seconds for what is still to be delivered, and again for the browser's answer to a Close frame."""

OPENING_TIMEOUT = 30.0
"""Seconds a browser has for its part of the opening: a version and a security type, which no person is asked for."""

MAX_AFTER_CLOSE = 1024 * 1024
"""Bytes read and thrown away while waiting for that answer."""

READ, WRITE = 1, 2
_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

PING = control_frame(Opcode.PING, b"")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a session ended.

    :ivar code: WebSocket close code sent to the browser, or received from it
    :ivar reason: a sentence for the person in front of it
    :ivar by: ``client``, ``target`` (the VNC server) or ``service``
    """

    code: int
    reason: str
    by: str


@dataclass(slots=True)
class Traffic:
    """Bytes of RFB relayed so far, without WebSocket framing."""

    to_client: int = 0
    to_target: int = 0


class ReadBuffers:
    """Where sockets are read into, shared by all relays of a process.

    A callback never leaves anything in them: what could not be written is copied out.
    """

    def __init__(self) -> None:
        # A frame's header is put right before its payload, so that one write sends both.
        self.from_target = bytearray(MAX_SERVER_HEADER + CHUNK)
        self.from_target_view = memoryview(self.from_target)
        self.from_target_payload = self.from_target_view[MAX_SERVER_HEADER:]
        self.from_client = bytearray(CLIENT_CHUNK)
        self.from_client_view = memoryview(self.from_client)


class Relay:
    """One session's relay.

    :param client: the upgraded connection to the browser, plain or TLS
    :param target: the connection to the instance's VNC server, which awaits the browser's ClientInit; plain or TLS
    :param early: the few bytes that the client sent together with its upgrade request
    :param opening: the opening with the browser, just begun; None when there is none
    :param buffers: the process's read buffers
    :param ping_interval: seconds of silence after which the browser is pinged
    :param ping_timeout: seconds to wait for any byte from it after that
    :param input_: what the browser's bytes go through once the opening is over; None when they are not looked at
    :param explain: asked, in the calling greenlet, why the VNC server closed the connection
    """

    def __init__(
        self,
        client: socket,
        target: socket,
        *,
        early: bytes,
        opening: Conversation[None] | None,
        buffers: ReadBuffers,
        ping_interval: float,
        ping_timeout: float,
        explain: Callable[[], tuple[int, str]],
        input_: BrowserInput | None = None,
    ) -> None:
        self.traffic = Traffic()
        self._client = client
        self._target = target
        self._early = early
        self._opening = opening
        self._is_client_tls = isinstance(client, ssl.SSLSocket)
        self._is_target_tls = isinstance(target, ssl.SSLSocket)
        self._buffers = buffers
        self._ping_interval = ping_interval
        self._ping_timeout = ping_timeout
        self._explain = explain
        self._input = input_
        self._parser = FrameParser()
        self._broken = False  # the browser broke the protocol; nothing more it sends is understood
        self._to_client = b""  # the rest of a frame that the browser has not taken yet
        self._to_target = b""  # payload that the VNC server has not taken yet
        self._must_write_to_read = False  # TLS has something of its own to send before it reads from the VNC server
        self._pong = b""
        self._ping = b""
        self._pinged_at: float | None = None
        self._ended: Ended | None = None
        self._wake = Event()
        self._loop = get_hub().loop
        self._began_at = self._heard_at = self._stalled_at = time.monotonic()
        self._written = self._acknowledged = 0  # bytes on the browser's connection, those of its TCP's answers
        self._watchers: list[Any] = []

    def run(self) -> Ended:
        """Relay until either side, :meth:`end` or silence ends the session; then close both sockets.

        :returns: how it ended
        """
        for side in (self._client, self._target):
            side.settimeout(0.0)
            _no_delay(side)
        self._client_readable = self._watch(self._client, READ)
        self._client_writable = self._watch(self._client, WRITE)
        self._target_readable = self._watch(self._target, READ)
        self._target_writable = self._watch(self._target, WRITE)
        tick = min(self._ping_interval, self._ping_timeout) / 2
        timer = self._loop.timer(tick, tick)
        self._watchers.append(timer)
        try:
            timer.start(self._guarded(self._on_tick))
            self._client_readable.start(self._guarded(self._on_client_readable))
            self._guarded(self._begin)()
            self._wake.wait()
        finally:
            for watcher in self._watchers:
                watcher.stop()
                watcher.close()
            self._watchers.clear()
            ended = self._finish()
        return ended

    @property
    def inputs(self) -> int:
        """Messages so far that somebody's doing caused; 0 when nobody looks at them."""
        return self._input.inputs if self._input is not None else 0

    def end(self, code: int, reason: str) -> None:
        """End the session from outside, once; later calls change nothing. Safe in any greenlet."""
        self._end(Ended(code, reason, "service"))

    # -- the browser's side

    def _begin(self) -> None:
        if self._opening is None:
            self._read_target()
        else:
            self._speak(self._opening)
        # TLS may hold decrypted bytes that no io watcher will announce.
        if self._early:
            self._from_client(self._early)
            self._early = b""
        if self._is_client_tls:
            self._on_client_readable()

    def _speak(self, opening: Conversation[None]) -> None:
        """Send our part of the opening, a few bytes; when it is over, the VNC server's turn has come."""
        if data := opening.outgoing():
            self._to_client += header(Opcode.BINARY, len(data)) + data
            self._on_client_writable()
        if opening.over and self._ended is None:
            self._opening = None
            if not self._to_client:
                self._read_target()

    def _read_target(self) -> None:
        """Go on reading from the VNC server; what TLS holds already is announced by no io watcher."""
        self._start(self._target_readable, self._on_target_readable)
        if self._is_target_tls and self._ended is None:
            self._on_target_readable()

    def _hear(self, opening: Conversation[None], payload: bytes) -> bytes:
        """Take the browser's part of the opening; returns what comes after it."""
        try:
            rest = opening.feed(payload)
        except RfbError as error:
            self._end(Ended(CloseCode.PROTOCOL_ERROR, str(error), "service"))
            return b""
        self._speak(opening)
        return rest

    def _look_at(self, input_: BrowserInput, payload: bytes) -> bytes:
        """What the VNC server gets of the browser's bytes."""
        try:
            return input_.feed(payload)
        except RfbError as error:
            self._end(Ended(CloseCode.PROTOCOL_ERROR, str(error), "service"))
            return b""

    def _on_client_readable(self) -> None:
        if self._to_target:
            return  # the VNC server has to take that first; its writable watcher comes back here
        view = self._buffers.from_client_view
        try:
            size = self._client.recv_into(view)
        except _WOULD_BLOCK:
            return
        except OSError:
            size = 0
        if size == 0:
            self._end(Ended(CloseCode.NO_STATUS, "The browser closed the connection.", "client"))
            return
        self._from_client(view[:size])
        if self._is_client_tls and _pending(self._client):
            self._loop.run_callback(self._guarded(self._on_client_readable))

    def _from_client(self, data: bytes | memoryview) -> None:
        self._heard_at = time.monotonic()
        self._pinged_at = None
        payload = self._parser.feed(data)
        if payload and self._opening is not None:
            payload = self._hear(self._opening, payload)
        if payload and self._input is not None:
            payload = self._look_at(self._input, payload)
        if payload:
            self._send_to_target(payload)
        if self._parser.controls:
            self._obey_controls()

    def _obey_controls(self) -> None:
        controls, self._parser.controls = self._parser.controls, []
        for opcode, payload in controls:
            if opcode == Opcode.PING:
                # RFC 6455 5.5.3: only the latest ping has to be answered.
                self._pong = control_frame(Opcode.PONG, payload)
            elif opcode == Opcode.CLOSE:
                self._end(Ended(check_close(payload), "The browser closed the console.", "client"))
        self._flush_client()

    def _on_client_writable(self) -> None:
        if self._to_client:
            sent = self._send(self._client, self._to_client)
            self._to_client = self._to_client[sent:]
        self._flush_client()

    def _flush_client(self) -> None:
        """At a frame's end: control frames first, then go on reading from the VNC server."""
        while not self._to_client and (self._pong or self._ping) and not self._ended:
            if self._pong:
                frame, self._pong = self._pong, b""
            else:
                frame, self._ping = self._ping, b""
            self._to_client = frame[self._send(self._client, frame) :]
        if self._to_client:
            self._target_readable.stop()
            self._start(self._client_writable, self._on_client_writable)
        else:
            self._client_writable.stop()
            if self._opening is None:
                self._read_target()

    # -- the VNC server's side

    def _on_target_readable(self) -> None:
        buffers = self._buffers
        try:
            size = self._target.recv_into(buffers.from_target_payload)
        except ssl.SSLWantWriteError:
            self._must_write_to_read = True
            self._target_readable.stop()
            self._start(self._target_writable, self._on_target_writable)
            return
        except _WOULD_BLOCK:
            return
        except OSError:
            size = 0
        if size == 0:
            self._end(Ended(0, "", "target"))
            return
        self.traffic.to_client += size
        head = header(Opcode.BINARY, size)
        start = MAX_SERVER_HEADER - len(head)
        buffers.from_target[start:MAX_SERVER_HEADER] = head
        frame = buffers.from_target_view[start : MAX_SERVER_HEADER + size]
        sent = self._send(self._client, frame)
        if sent < len(frame):
            self._to_client = bytes(frame[sent:])
            self._flush_client()
        elif self._is_target_tls and _pending(self._target):
            self._loop.run_callback(self._guarded(self._on_pending))

    def _on_pending(self) -> None:
        """Bytes of the VNC server that TLS has decrypted, and that no io watcher will announce."""
        if not self._to_client:
            self._on_target_readable()

    def _send_to_target(self, payload: bytes) -> None:
        self.traffic.to_target += len(payload)
        sent = self._send(self._target, payload)
        if sent < len(payload):
            self._to_target = payload[sent:]
            self._stalled_at = time.monotonic()
            self._client_readable.stop()
            self._start(self._target_writable, self._on_target_writable)

    def _on_target_writable(self) -> None:
        if self._must_write_to_read:
            self._must_write_to_read = False
            if not self._to_client:
                self._read_target()
        if not self._to_target:
            if not self._must_write_to_read:
                self._target_writable.stop()
            return
        sent = self._send(self._target, self._to_target)
        self._to_target = self._to_target[sent:]
        if self._to_target:
            self._stalled_at = time.monotonic() if sent else self._stalled_at
            return
        self._heard_at = time.monotonic()
        if not self._must_write_to_read:
            self._target_writable.stop()
        self._start(self._client_readable, self._on_client_readable)
        if self._is_client_tls and _pending(self._client):
            self._on_client_readable()

    # -- both

    def _on_tick(self) -> None:
        """Keepalive: a browser that does not answer, or a VNC server that takes nothing, ends the session."""
        now = time.monotonic()
        if self._opening is not None and now - self._began_at >= OPENING_TIMEOUT:
            self._end(Ended(CloseCode.CLIENT_SILENT, "The viewer did not begin in time.", "service"))
        elif self._to_target:
            # The browser is not being read from meanwhile, so neither its silence nor its leaving shows.
            if now - self._stalled_at >= self._ping_interval + self._ping_timeout:
                self._end(
                    Ended(CloseCode.VNC_SERVER_CLOSED, "The instance's screen took no input for too long.", "service")
                )
        elif self._is_taking():
            # A large picture on a slow line: the ping and its answer would be stuck behind it.
            self._heard_at = now
            self._pinged_at = None
        elif self._pinged_at is not None and now - self._pinged_at >= self._ping_timeout:
            self._end(Ended(CloseCode.CLIENT_SILENT, "The browser did not answer for too long.", "service"))
        elif self._pinged_at is None and now - self._heard_at >= self._ping_interval:
            self._pinged_at = now
            self._ping = PING
            self._flush_client()

    def _is_taking(self) -> bool:
        """Whether the browser's TCP has acknowledged bytes since the last time, and others are still on their way."""
        waiting = _unacknowledged(self._client)
        before, self._acknowledged = self._acknowledged, self._written - waiting
        return bool(waiting or self._to_client) and self._acknowledged > before

    def _send(self, side: socket, data: bytes | memoryview) -> int:
        """Write what fits; a peer that is gone ends the session."""
        try:
            sent = int(side.send(data))
        except _WOULD_BLOCK:
            return 0
        except OSError:
            if side is self._client:
                self._end(Ended(CloseCode.NO_STATUS, "The browser closed the connection.", "client"))
            else:
                self._end(Ended(0, "", "target"))
            return 0
        if side is self._client:
            self._written += sent
        return sent

    def _end(self, ended: Ended) -> None:
        if self._ended is None:
            self._ended = ended
            for watcher in self._watchers:
                watcher.stop()
            self._wake.set()

    def _start(self, watcher: Any, callback: Callable[[], None]) -> None:
        if not watcher.active and self._ended is None:
            watcher.start(self._guarded(callback))

    def _watch(self, side: socket, events: int) -> Any:
        watcher = self._loop.io(side.fileno(), events)
        self._watchers.append(watcher)
        return watcher

    def _guarded(self, callback: Callable[[], None]) -> Callable[[], None]:
        """A callback that ends the session on an error, and does nothing once it has ended."""

        def run() -> None:
            if self._ended is not None:
                return
            try:
                callback()
            except FrameError as error:
                self._broken = True
                self._end(Ended(error.code, error.reason, "service"))
            except Exception:
                self._end(Ended(CloseCode.INTERNAL_ERROR, "The service met an error of its own.", "service"))
                raise  # the hub logs it

        return run

    def _finish(self) -> Ended:
        """Deliver what was accepted, say why, and close. Ordinary blocking calls with time limits."""
        ended = self._ended or Ended(CloseCode.GOING_AWAY, "The service is stopping.", "service")
        try:
            if ended.by == "client":
                self._deliver(self._target, self._to_target)
            if ended.by == "target":
                # What the VNC server sent before it closed is delivered before the question why, which takes a moment.
                is_whole = self._deliver(self._client, self._to_client)
                self._to_client = b""
                code, reason = self._explain()
                ended = Ended(code, reason, "target")
                if not is_whole:
                    return ended  # a Close frame would land inside the frame that the browser did not take
            self._say_goodbye(ended)
        finally:
            self._target.close()
            self._client.close()
        return ended

    def _say_goodbye(self, ended: Ended) -> None:
        """Send the Close frame, then wait for the browser's (RFC 6455 7.1.1: the server closes first)."""
        code = CloseCode.NORMAL if ended.code == CloseCode.NO_STATUS else ended.code
        if not self._deliver(self._client, self._to_client + close_frame(code, ended.reason)):
            return
        gevent.with_timeout(CLOSE_TIMEOUT, self._wait_for_close, timeout_value=None)

    def _wait_for_close(self) -> None:
        try:
            self._client.settimeout(None)
            if not isinstance(self._client, ssl.SSLSocket):
                self._client.shutdown(SHUT_WR)
            left = MAX_AFTER_CLOSE
            while left > 0 and not self._parser.closed:
                data = self._client.recv(CHUNK)
                if not data:
                    break
                left -= len(data)
                if not self._broken:
                    self._parser.feed(data)
        except (OSError, FrameError):
            pass  # it is closed either way

    @staticmethod
    def _deliver(side: socket, data: bytes) -> bool:
        """Write all of it, for at most :data:`CLOSE_TIMEOUT`; returns whether that succeeded."""
        try:
            side.settimeout(CLOSE_TIMEOUT)
            if data:
                side.sendall(data)
        except OSError:
            return False
        return True


def _pending(side: socket) -> bool:
    """Whether a TLS connection holds bytes that are decrypted already."""
    return isinstance(side, ssl.SSLSocket) and bool(side.pending())


def _unacknowledged(side: socket) -> int:
    """Bytes that were written and not acknowledged by the peer's TCP (tcp(7), SIOCOUTQ); 0 when nobody can say."""
    try:
        return int(struct.unpack("i", fcntl.ioctl(side.fileno(), termios.TIOCOUTQ, bytes(4)))[0])
    except OSError:
        return 0


def _no_delay(side: socket) -> None:
    if side.family in (stdlib_socket.AF_INET, stdlib_socket.AF_INET6):
        side.setsockopt(stdlib_socket.IPPROTO_TCP, stdlib_socket.TCP_NODELAY, 1)
