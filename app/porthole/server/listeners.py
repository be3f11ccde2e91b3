"""The sockets that the service listens on: bound by the master, so that a wrong address ends the start in a sentence.

With ``beside`` they are bound with SO_REUSEPORT, so that another process of the same user
may listen on the same address: the next generation of the service. Such a socket
does not listen before the worker is ready, so the kernel gives it no client until then.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import struct
from dataclasses import dataclass

from gevent import socket

from porthole.config import ConfigError, Settings

BACKLOG = 2048
"""Connections that the kernel keeps waiting to be accepted."""

_SO_ATTACH_REUSEPORT_CBPF = 51  # asm-generic/socket.h; Python has no name for it
_BPF_RET_K = 0x06
_SHARED = "; or by another generation that was started without --beside or by another user"


class Listener:
    """A bound socket in the form that gunicorn's master and worker work with.

    :ivar sock: the socket
    :ivar FAMILY: its address family
    """

    def __init__(self, sock: socket.socket, scheme: str) -> None:
        self.FAMILY = sock.family
        self.sock = sock
        self._scheme = scheme

    def __str__(self) -> str:
        host, port = self.sock.getsockname()[:2]
        return f"{self._scheme}://{f'[{host}]' if ':' in host else host}:{port}"

    def fileno(self) -> int:
        """Its descriptor."""
        return self.sock.fileno()

    def getsockname(self) -> object:
        """Its address."""
        return self.sock.getsockname()

    def close(self) -> None:
        """Close this process's copy."""
        self.sock.close()


@dataclass(frozen=True, slots=True)
class Listeners:
    """All that one service listens on.

    :ivar public: for browsers and the API; None when systemd has opened it for us
    :ivar metrics: for Prometheus; None when that is switched off
    """

    public: Listener | None
    metrics: Listener | None


def listeners_of(settings: Settings, *, beside: bool) -> Listeners:
    """Bind the addresses of a configuration.

    :param beside: let other processes of this user listen there too, and do not listen yet
    :raises ConfigError: an address is not ours, in use, or not for this user
    """
    public = None
    if "LISTEN_FDS" not in os.environ:
        public = bind(
            settings.novncproxy_host, settings.novncproxy_port,
            options="novncproxy_host and novncproxy_port in [vnc]",
            scheme="https" if settings.cert else "http", beside=beside,
        )  # fmt: skip
    metrics = None
    if settings.metrics_port:
        metrics = bind(
            settings.metrics_host, settings.metrics_port,
            options="host and port in [metrics]", scheme="http", beside=beside,
        )  # fmt: skip
    return Listeners(public, metrics)


def bind(host: str, port: int, *, options: str, scheme: str, beside: bool) -> Listener:
    """Bind one address.

    :param options: what sets it, for the error
    :raises ConfigError: it is not ours, in use, or not for this user
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if beside:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((host, port))
        if not beside:
            listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        shared = _SHARED if beside and error.errno == errno.EADDRINUSE else ""
        raise ConfigError(
            f"options {options} are {host} and {port}, where this service cannot listen: {said(error)}{shared}. "
            "They have to be an address of this machine and a free port."
        ) from None
    return Listener(listener, scheme)


def prefer_the_newest(listener: socket.socket) -> None:
    """Have the kernel give new clients to the newest socket of those that share this one's address.

    They are numbered by when they began to listen, from 0. The program of one instruction answers 1 to
    every new client, for the sockets are those of an old generation and of the new one. Where
    there is no such socket (any more) the kernel chooses as it does without a program.
    What was under way to the old one, a handshake of TCP included, still arrives there:
    so it can be accepted, and then the socket be closed, with nobody refused.
    """
    instruction = ctypes.create_string_buffer(struct.pack("HBBI", _BPF_RET_K, 0, 0, 1))
    program = struct.pack("HP", 1, ctypes.addressof(instruction))
    with contextlib.suppress(OSError):  # its address is not shared
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_REUSEPORT_CBPF, program)


def said(error: OSError) -> str:
    """The system's words for an error."""
    return str(error.strerror or error).lower()
