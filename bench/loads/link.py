"""A client of a relay: the upgrade, RFB's opening, and bytes both ways."""

from __future__ import annotations

import socket
import ssl
import struct
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.loads import messages
from bench.loads.frames import PONG, Closed, FrameReader, Take, client_frame

TIMEOUT = 20.0
"""Seconds for any answer of a relay; then it has failed."""

CHUNK = 256 * 1024
MAX_HEAD = 64 * 1024
HOST = "127.0.0.1"


class LinkError(Exception):
    """The relay did not do what was expected of it; ``str()`` says what."""


@dataclass(frozen=True, slots=True)
class Door:
    """How one session gets into a relay.

    :ivar port: on 127.0.0.1
    :ivar path: of the upgrade, with what admits it; None for a relay of plain TCP
    :ivar authority: certificate of the authority, for TLS
    """

    port: int
    path: str | None = field(repr=False)  # it may have a token
    authority: Path | None = None

    def tls(self) -> ssl.SSLContext | None:
        """A new context for TLS, None without it."""
        return ssl.create_default_context(cafile=str(self.authority)) if self.authority else None


class Link:
    """One session.

    :ivar first_byte: seconds from the first byte sent to the first byte of RFB, TCP's and TLS's handshakes included
    """

    def __init__(self, door: Door, tls: ssl.SSLContext | None = None, sockets: Any = socket, opening: bool = True):
        """Connect, upgrade, and go through RFB's opening.

        :param tls: the context, when there are several links; by default a new one where TLS is wanted
        :param sockets: the module whose ``create_connection`` is used, gevent's for instance
        :param opening: whether to go on after the first byte of RFB
        :raises LinkError: the relay refused, or what is behind it does not speak RFB
        :raises OSError: the network's own errors, a timeout for instance
        """
        self.reader = FrameReader() if door.path is not None else None
        self._buffer = memoryview(bytearray(CHUNK))[: CHUNK if opening and sockets is socket else 4096]
        self._early: list[bytes] = []
        began = time.perf_counter()
        self.socket = sockets.create_connection((HOST, door.port), TIMEOUT)
        try:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if context := tls or door.tls():
                self.socket = context.wrap_socket(self.socket, server_hostname=HOST)
            if door.path is not None:
                self._upgrade(door)
            while not self._early:
                self.receive(self._keep)
            self.first_byte = time.perf_counter() - began
            if opening:
                self._open()
        except BaseException:
            self.socket.close()
            raise

    def _keep(self, piece: memoryview) -> None:
        self._early.append(bytes(piece))

    def _upgrade(self, door: Door) -> None:
        """RFC 6455 4.1."""
        request = (
            f"GET {door.path} HTTP/1.1\r\nHost: {HOST}:{door.port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "Sec-WebSocket-Protocol: binary\r\n\r\n"
        )
        self.socket.sendall(request.encode())
        head = b""
        while b"\r\n\r\n" not in head:
            data = self.socket.recv(4096)
            if not data or len(head) > MAX_HEAD:
                raise LinkError("the relay closed the connection instead of answering the upgrade")
            head += data
        head, _, rest = head.partition(b"\r\n\r\n")
        status = head.split(b"\r\n")[0].decode(errors="replace")
        if " 101" not in status:
            raise LinkError(f"the upgrade was answered with {status!r}")
        if rest and self.reader is not None:
            self.reader.feed(memoryview(rest), self._keep)

    def _open(self) -> None:
        """RFC 6143 7.1 to 7.3, with security type None."""
        if (version := self.read(12)) != messages.VERSION:
            raise LinkError(f"the VNC server greets with {version!r}")
        self.send(messages.VERSION)
        if 1 not in self.read(self.read(1)[0]):
            raise LinkError("security type None is not offered")
        self.send(b"\x01")
        if any(self.read(4)):
            raise LinkError("security type None was refused")
        self.send(b"\x01")
        self.read(struct.unpack("!I", self.read(24)[20:])[0])

    def framed(self, message: bytes) -> bytes:
        """A message as it is put on the wire."""
        return client_frame(message) if self.reader is not None else message

    def send(self, message: bytes) -> None:
        """Send a message in one frame."""
        self.socket.sendall(self.framed(message))

    def receive(self, take: Take | None = None) -> int:
        """Receive once.

        :param take: is given each piece of payload; without it, payload is only counted
        :returns: bytes of payload, 0 when there were only parts of headers or pings
        :raises LinkError: the relay closed
        """
        size = self.socket.recv_into(self._buffer)
        if not size:
            raise LinkError("the relay closed the connection")
        if self.reader is None:
            if take is not None:
                take(self._buffer[:size])
            return int(size)
        try:
            payload = self.reader.feed(self._buffer[:size], take)
        except Closed as closed:
            raise LinkError(str(closed)) from None
        while self.reader.pings:
            self.socket.sendall(client_frame(self.reader.pings.pop(), PONG))
        return payload

    def read(self, count: int) -> bytes:
        """Exactly so many bytes of payload; what came with them is kept for the next call."""
        have = sum(map(len, self._early))
        while have < count:
            have += self.receive(self._keep)
        data = b"".join(self._early)
        self._early = [data[count:]] if data[count:] else []
        return data[:count]

    def close(self) -> None:
        """Close without a word, as a browser that vanishes."""
        self.socket.close()

    def __enter__(self) -> Link:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
