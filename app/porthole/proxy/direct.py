"""The two calls of a connection that move bytes, with nothing between them and the kernel or OpenSSL.

gevent's own methods of sockets are made for waiting greenlets. The relay's callbacks never wait, and each of its calls
is paid for once a piece; over TLS a piece is a record of 16 KiB.
"""

from __future__ import annotations

from typing import Any, Protocol

from gevent import socket, ssl


class Calls(Protocol):
    """What raises BlockingIOError, SSLWantReadError or SSLWantWriteError where it would have to wait."""

    def recv_into(self, buffer: memoryview, size: int, /) -> int:
        """Read at most so many bytes; 0 or an OSError at the end."""

    def send(self, data: Any, flags: int = 0, /) -> int:
        """Write what fits."""


class _Tls:
    """OpenSSL's SSL_read_ex and SSL_write_ex, as the module _ssl has them. There are no flags."""

    __slots__ = ("_read", "_write")

    def __init__(self, side: ssl.SSLSocket) -> None:
        openssl = getattr(side, "_sslobj")  # noqa: B009 - mypy knows no private name
        self._read, self._write = openssl.read, openssl.write

    def recv_into(self, buffer: memoryview, size: int, /) -> int:
        return int(self._read(size, buffer))

    def send(self, data: Any, _flags: int = 0, /) -> int:
        return int(self._write(data))


def calls(side: socket.socket) -> Calls:
    """Those of a connection, which has to be open and, with TLS, through its handshake."""
    if isinstance(side, ssl.SSLSocket):
        return _Tls(side)
    plain: Calls = getattr(side, "_sock")  # noqa: B009 - mypy knows no private name
    return plain


def pending(side: socket.socket) -> bool:
    """Whether a TLS connection holds bytes that are decrypted already."""
    return isinstance(side, ssl.SSLSocket) and bool(side.pending())
