"""The relay: a browser's WebSocket on one side, an instance's VNC server on the other.

Both directions are callbacks on the loop's io watchers (:mod:`~porthole.proxy.to_client`,
:mod:`~porthole.proxy.to_target`); the greenlet that calls :meth:`Relay.run` sleeps until the session ends. The
directions share nothing but the end: a browser that stops reading stops the reads from the VNC server (so TCP slows
QEMU down), and its keystrokes go on being delivered, and the other way round.

The first bytes are the opening of RFB with the browser, whose server we are; the VNC server is not read from before
that is over. After it nobody looks at what the VNC server sends. Either side may be TLS.

What is held in memory for a session is at most one chunk a direction plus one control frame of each kind.
"""

from __future__ import annotations

import fcntl
import socket as stdlib_socket
import struct
import termios
import time
from collections.abc import Callable
from dataclasses import dataclass

import gevent
from gevent import ssl
from gevent.event import Event
from gevent.socket import SHUT_WR, socket

from porthole.proxy.buffers import CHUNK, ReadBuffers
from porthole.proxy.ended import Ended
from porthole.proxy.errors import CloseCode, FrameError
from porthole.proxy.frames import close_frame
from porthole.proxy.input import BrowserInput
from porthole.proxy.pipelining import Pipelining
from porthole.proxy.rfb.conversation import Conversation
from porthole.proxy.to_client import ToClient
from porthole.proxy.to_target import ToTarget
from porthole.proxy.watchers import Watchers

CLOSE_TIMEOUT = 2.0
"""Seconds for what is still to be delivered, and again for the browser's answer to a Close frame."""

OPENING_TIMEOUT = 30.0
"""Seconds a browser has for its part of the opening: a version and a security type, which no person is asked for."""

MAX_AFTER_CLOSE = 1024 * 1024
"""Bytes read and thrown away while waiting for that answer."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes of RFB relayed so far, without WebSocket framing."""

    to_client: int
    to_target: int


class Relay:
    """One session's relay.

    :param client: the upgraded connection to the browser, plain or TLS
    :param target: the connection to the instance's VNC server, which awaits the browser's ClientInit; plain or TLS
    :param early: the few bytes that the client sent together with its upgrade request
    :param opening: the opening with the browser, just begun, its first words perhaps sent; None when there is none
    :param buffers: what the relays of a process share
    :param ping_interval: seconds of silence after which the browser is pinged
    :param ping_timeout: seconds to wait for any byte from it after that
    :param input_: what the browser's bytes go through once the opening is over; None when they are not looked at
    :param pipelines: whether updates are asked for ahead; only where ``input_`` is given
    :param confirm: called, in the calling greenlet, before anything is read from either side or sent to one; nothing
        is when it has ended the session
    :param explain: asked, in the calling greenlet, why the VNC server closed the connection
    """

    def __init__(  # noqa: PLR0913 - what it is made of is given by name
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
        confirm: Callable[[], None] = lambda: None,
        input_: BrowserInput | None = None,
        pipelines: bool = False,
    ) -> None:
        self._client = client
        self._target = target
        self._early = early
        self._opening = opening
        self._ping_interval = ping_interval
        self._ping_timeout = ping_timeout
        self._explain = explain
        self._confirm = confirm
        self._input = input_
        self._pipelines = pipelines
        self._pinged_at: float | None = None
        self._ended: Ended | None = None
        self._wake = Event()
        self._began_at = time.monotonic()
        self._acknowledged = 0  # bytes that the browser's TCP has answered
        self._watchers = Watchers(self._end)
        self._to_client = ToClient(client, target, buffers, self._watchers, self._end)
        self._to_target = ToTarget(client, target, self._to_client, buffers, self._watchers, self._end)

    def run(self) -> Ended:
        """Relay until either side, :meth:`end` or silence ends the session; then close both sockets.

        :returns: how it ended
        """
        try:
            for side in (self._client, self._target):
                side.settimeout(0.0)
                no_delay(side)
            self._confirm()
            if self._ended is None:
                tick = min(self._ping_interval, self._ping_timeout) / 2
                self._watchers.every(tick, self._on_tick).start()
                self._watchers.guarded(self._begin)()
            self._wake.wait()
        finally:
            self._watchers.close()
            ended = self._finish()
        return ended

    @property
    def traffic(self) -> Traffic:
        """What was relayed so far."""
        return Traffic(self._to_client.relayed, self._to_target.relayed)

    @property
    def is_client_stuck(self) -> bool:
        """Whether there is something that the browser has not taken yet."""
        return self._to_client.is_stuck

    @property
    def inputs(self) -> int:
        """Messages so far that somebody's doing caused; 0 when nobody looks at them."""
        return self._input.inputs if self._input is not None else 0

    def end(self, code: int, reason: str) -> None:
        """End the session from outside, once; later calls change nothing. Safe in any greenlet."""
        self._end(Ended(code, reason, "service"))

    # -- the opening

    def _begin(self) -> None:
        if self._opening is None:
            self._open()
        else:
            self._to_target.look = self._hear
            self._speak(self._opening)
        if self._ended is None:
            self._to_target.begin(self._early)
        self._early = b""

    def _open(self) -> None:
        """The opening is over: from now on bytes of both sides are the instance's."""
        self._opening = None
        if self._input is not None:
            self._to_target.look = self._input.feed
            if self._pipelines:
                ahead = Pipelining(self._input, self._to_client, self._to_target, self._watchers)
                self._to_target.look, self._to_target.on_pong = ahead.pass_on, ahead.answered
                self._to_client.before_read = ahead.begins
        else:
            self._to_target.look = None
        self._to_client.begin()

    def _speak(self, opening: Conversation[None]) -> None:
        """Send our part of the opening, a few bytes."""
        if data := opening.outgoing():
            self._to_client.put(data)
        if opening.over and self._ended is None:
            self._open()

    def _hear(self, payload: bytes) -> bytes:
        """Take the browser's part of the opening; returns what the VNC server gets of what comes after it.

        :raises porthole.proxy.rfb.errors.RfbError: it is not RFB
        """
        if self._opening is None:
            return payload
        rest = self._opening.feed(payload)
        self._speak(self._opening)
        look = self._to_target.look
        return look(rest) if rest and look is not None else rest

    # -- keepalive

    def _on_tick(self) -> None:
        """A browser that does not answer, or a VNC server that takes nothing, ends the session."""
        now = time.monotonic()
        heard_at = self._to_target.heard_at
        if self._pinged_at is not None and heard_at >= self._pinged_at:
            self._pinged_at = None
        if self._opening is not None and now - self._began_at >= OPENING_TIMEOUT:
            self._end(Ended(CloseCode.CLIENT_SILENT, "The viewer did not begin in time.", "service"))
        elif self._to_target.is_stuck:
            # The browser is not being read from meanwhile, so neither its silence nor its leaving shows.
            if now - self._to_target.stalled_at >= self._ping_interval + self._ping_timeout:
                self._end(
                    Ended(CloseCode.VNC_SERVER_CLOSED, "The instance's screen took no input for too long.", "service")
                )
        elif self._is_taking():
            # A large picture on a slow line: the ping and its answer would be stuck behind it.
            self._to_target.heard_at = now
            self._pinged_at = None
        elif self._pinged_at is not None and now - self._pinged_at >= self._ping_timeout:
            self._end(Ended(CloseCode.CLIENT_SILENT, "The browser did not answer for too long.", "service"))
        elif self._pinged_at is None and now - heard_at >= self._ping_interval:
            self._pinged_at = now
            self._to_client.ping()

    def _is_taking(self) -> bool:
        """Whether the browser's TCP has acknowledged bytes since the last time, and others are still on their way."""
        waiting = _unacknowledged(self._client)
        before, self._acknowledged = self._acknowledged, self._to_client.written - waiting
        return bool(waiting or self._to_client.is_stuck) and self._acknowledged > before

    # -- the end

    def _end(self, ended: Ended) -> None:
        if self._ended is None:
            self._ended = ended
            self._watchers.stop()
            self._wake.set()

    def _finish(self) -> Ended:
        """Deliver what was accepted, say why, and close. Ordinary blocking calls with time limits."""
        ended = self._ended or Ended(CloseCode.GOING_AWAY, "The service is stopping.", "service")
        try:
            if ended.by == "client":
                self._deliver(self._target, self._to_target.rest())
            if ended.by == "target":
                # What the VNC server sent before it closed is delivered before the question why, which takes a moment.
                is_whole = self._deliver(self._client, self._to_client.rest())
                code, reason = self._explain()
                ended = Ended(code, reason, "target")
                if not is_whole:
                    return ended  # a Close frame would land inside the frame that the browser did not take
            self._say_goodbye(ended)
        finally:
            self._to_client.close()
            self._target.close()
            self._client.close()
        return ended

    def _say_goodbye(self, ended: Ended) -> None:
        """Send the Close frame, then wait for the browser's (RFC 6455 7.1.1: the server closes first)."""
        code = CloseCode.NORMAL if ended.code == CloseCode.NO_STATUS else ended.code
        if not self._deliver(self._client, self._to_client.rest() + close_frame(code, ended.reason)):
            return
        gevent.with_timeout(CLOSE_TIMEOUT, self._wait_for_close, timeout_value=None)

    def _wait_for_close(self) -> None:
        parser = self._to_target.parser
        try:
            self._client.settimeout(None)
            if not isinstance(self._client, ssl.SSLSocket):
                self._client.shutdown(SHUT_WR)
            left = MAX_AFTER_CLOSE
            while left > 0 and not parser.closed:
                data = self._client.recv(CHUNK)
                if not data:
                    break
                left -= len(data)
                if not self._to_target.is_broken:
                    parser.feed(data)
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


def _unacknowledged(side: socket) -> int:
    """Bytes that were written and not acknowledged by the peer's TCP (tcp(7), SIOCOUTQ); 0 when nobody can say."""
    try:
        return int(struct.unpack("i", fcntl.ioctl(side.fileno(), termios.TIOCOUTQ, bytes(4)))[0])
    except OSError:
        return 0


def no_delay(side: socket) -> None:
    """Have small writes go out at once (tcp(7), TCP_NODELAY)."""
    if side.family in (stdlib_socket.AF_INET, stdlib_socket.AF_INET6):
        side.setsockopt(stdlib_socket.IPPROTO_TCP, stdlib_socket.TCP_NODELAY, 1)
