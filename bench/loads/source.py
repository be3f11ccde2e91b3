"""The VNC server behind every relay: ``python -m bench.loads.source --port PORT ...``.

It opens RFB and then does what it is told (:mod:`bench.loads.messages`). Each session has a process of its own, so that
one does not wait for another; with ``--crowd`` all have one, in which greenlets answer keys.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import select
import signal
import socket
import ssl
import struct
import sys
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.loads import messages, recording
from bench.loads.film import Film
from bench.loads.messages import MIB, Order

BACKLOG = 4096
CHUNK = 64 * 1024
KEYS = "keys"
"""The file in the folder of reports that grows by a byte for each key that came while a stream was sent."""

VENCRYPT, VENCRYPT_02, X509_NONE = 19, b"\x00\x02", 260
_PR_SET_TIMERSLACK = 29


class Gone(Exception):
    """The client has left."""


class Session:
    """One client.

    :param client: the connection, gevent's or the standard library's
    :param updates: of the recording
    :param reports: the folder of reports
    :param is_film: whether an incremental request begins a film (:mod:`bench.loads.film`)
    """

    def __init__(self, client: Any, updates: Sequence[bytes], reports: Path, *, is_film: bool = False) -> None:
        self._client = client
        self._is_film = is_film
        self._updates = updates
        self._reports = reports
        self._next_update = 0
        self._data = b""
        self._uploaded = self._checksum = 0

    def open(self, tls: ssl.SSLContext | None) -> None:
        """RFC 6143 7.1 to 7.3, as the server; the greeting has been sent.

        :param tls: when given, VeNCrypt with X509None is what is offered (rfbproto, VeNCrypt)
        """
        self._read(len(messages.VERSION))
        if tls is None:
            self._client.sendall(b"\x01\x01")
            self._read(1)
        else:
            self._client.sendall(bytes((1, VENCRYPT)))
            self._read(1)
            self._client.sendall(VENCRYPT_02)
            self._read(2)
            self._client.sendall(struct.pack("!BBI", 0, 1, X509_NONE))
            self._read(4)
            self._client.sendall(b"\x01")
            self._client = tls.wrap_socket(self._client, server_side=True)
        self._client.sendall(bytes(4))
        self._read(1)
        self._client.sendall(messages.SERVER_INIT + len(messages.NAME).to_bytes(4, "big") + messages.NAME)

    def serve(self) -> None:
        """Answer until the client leaves.

        :raises Gone: always, in the end
        """
        while True:
            if not self._data:
                self._data = self._receive()
            if len(self._data) == messages.KEY_LENGTH and self._data[0] == messages.KEY_EVENT:
                key, self._data = self._data, b""
                self._client.sendall(key)
                continue
            kind = self._data[0]
            if kind == messages.KEY_EVENT:
                self._client.sendall(self._read(messages.KEY_LENGTH))
            elif kind == messages.UPDATE_REQUEST:
                self._obey(self._read(messages.REQUEST_LENGTH))
            elif kind == messages.CUT_TEXT:
                self._upload(int.from_bytes(self._read(messages.CUT_TEXT_HEAD)[4:], "big"))
            elif kind == messages.SET_ENCODINGS:
                self._read(4 * int.from_bytes(self._read(4)[2:], "big"))
            else:
                raise Gone

    def _receive(self) -> bytes:
        data = bytes(self._client.recv(CHUNK))
        if not data:
            raise Gone
        return data

    def _read(self, count: int) -> bytes:
        while len(self._data) < count:
            self._data += self._receive()
        taken, self._data = self._data[:count], self._data[count:]
        return taken

    def _obey(self, request: bytes) -> None:
        order = messages.order_of(request)
        if order is None:
            if self._is_film:
                Film(self._client, request + self._data).play()
                raise Gone
            if self._updates:
                self._client.sendall(self._updates[self._next_update % len(self._updates)])
                self._next_update += 1
            return
        what, write, mib, rate = order
        if what is Order.STREAM:
            self._stream(write, mib * MIB, rate * 1_000_000)
        else:
            self._client.sendall(messages.REPORT.pack(self._uploaded, self._checksum))
            self._uploaded = self._checksum = 0

    def _upload(self, left: int) -> None:
        while left:
            if not self._data:
                self._data = self._receive()
            piece, self._data = self._data[:left], self._data[left:]
            self._uploaded += len(piece)
            self._checksum = zlib.crc32(piece, self._checksum)
            left -= len(piece)

    def _stream(self, write: int, total: int, rate: int) -> None:
        """Send the pattern: *total* bytes or without an end, *rate* bytes a second or as fast as they are taken."""
        source = memoryview(messages.pattern() + messages.pattern()[: messages.LARGEST_WRITE])
        sent = 0
        due = time.perf_counter()
        while not total or sent < total:
            start = sent % MIB
            size = min(write, total - sent) if total else write
            if rate:
                due += size / rate
                if (pause := due - time.perf_counter()) > 0:
                    time.sleep(pause)
            self._send(source[start : start + size])
            sent += size

    def _send(self, view: memoryview) -> None:
        """Send all of it; keys that come while nothing is taken are counted."""
        if isinstance(self._client, ssl.SSLSocket):
            self._client.sendall(view)
            return
        while view:
            try:
                view = view[self._client.send(view, socket.MSG_DONTWAIT) :]
            except BlockingIOError:
                readable, _, _ = select.select([self._client], [self._client], [])
                if readable:
                    self._count_keys()

    def _count_keys(self) -> None:
        self._data += self._receive()
        keys, rest = divmod(len(self._data), messages.KEY_LENGTH)
        self._data = self._data[len(self._data) - rest :]
        with (self._reports / KEYS).open("ab", buffering=0) as file:
            file.write(bytes(keys))


def _serve(
    client: Any, updates: Sequence[bytes], reports: Path, tls: ssl.SSLContext | None, *, is_film: bool = False
) -> None:
    session = Session(client, updates, reports, is_film=is_film)
    with contextlib.suppress(OSError, Gone):
        session.open(tls)
        session.serve()
    client.close()


def _fork_for_each(
    listener: socket.socket, updates: Sequence[bytes], reports: Path, tls: ssl.SSLContext | None, *, is_film: bool
) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children
    while True:
        client, _ = listener.accept()
        with contextlib.suppress(OSError):
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.sendall(messages.VERSION)
            if os.fork() == 0:
                listener.close()
                # A rate of thousands of writes a second needs sleeps that are exact.
                ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
                _serve(client, updates, reports, tls, is_film=is_film)
                os._exit(0)
        client.close()


def _greenlet_for_each(listener: socket.socket, updates: Sequence[bytes], reports: Path) -> None:
    from gevent.server import StreamServer  # noqa: PLC0415 - only a crowd needs it
    from gevent.socket import socket as gevent_socket  # noqa: PLC0415

    def serve(client: Any, _address: object) -> None:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError):
            client.sendall(messages.VERSION)
        _serve(client, updates, reports, None)

    listener.setblocking(False)
    server = StreamServer(gevent_socket(fileno=listener.detach()), serve)
    server.max_accept = 1000
    server.serve_forever()


def main(arguments: Sequence[str]) -> int:
    """Listen on 127.0.0.1; prints a line once it does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--reports", type=Path, required=True, help="folder of what is told besides RFB")
    parser.add_argument("--recording", type=Path)
    parser.add_argument("--crowd", action="store_true", help="all sessions in one process")
    parser.add_argument("--film", action="store_true", help="draw all the time")
    parser.add_argument("--cert", type=Path, help="offer VeNCrypt with this certificate, and nothing else")
    parser.add_argument("--key", type=Path)
    options = parser.parse_args(arguments)
    tls = None
    if options.cert:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(options.cert, options.key)
    updates = recording.load(options.recording) if options.recording else []
    listener = socket.create_server(("127.0.0.1", options.port), backlog=BACKLOG)
    print("listening", flush=True)
    if options.crowd:
        _greenlet_for_each(listener, updates, options.reports)
    else:
        _fork_for_each(listener, updates, options.reports, tls, is_film=options.film)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
