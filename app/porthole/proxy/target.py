"""The connection to an instance's VNC server."""

from __future__ import annotations

import socket as stdlib_socket
import time

import gevent
from gevent.socket import create_connection, socket

from porthole.proxy.errors import TargetUnreachable

_KEEPALIVE = {
    stdlib_socket.TCP_KEEPIDLE: 30,  # seconds of silence before the first probe
    stdlib_socket.TCP_KEEPINTVL: 10,
    stdlib_socket.TCP_KEEPCNT: 3,
    stdlib_socket.TCP_USER_TIMEOUT: 60_000,  # milliseconds for which sent bytes may stay unacknowledged
}


GREETING_TIMEOUT = 1.0
"""Seconds a VNC server has to begin its greeting before another connection is tried.

QEMU listens with a backlog of one (ui/vnc.c), so of several connects at the same moment some are taken for established
here and are not there; the kernel tells only after seconds, and never as long as neither side sends.
"""

PAUSE = 0.05
"""Seconds between two tries."""


def connect(host: str, port: int, timeout: float) -> socket:
    """Connect to a VNC server that has begun to speak, as the server does first (RFC 6143 7.1.1).

    Its greeting is left in the socket. A compute that vanishes later is noticed within about a minute.

    :param host: the compute's ``server_proxyclient_address``
    :param port: TCP port
    :param timeout: seconds for all together: looking up the name, each address that it has, the greeting
    :raises TargetUnreachable: refused, no route, not accepted in time, or silent
    """
    end = time.monotonic() + timeout
    while True:
        target = _connected(host, port, max(0.0, end - time.monotonic()))
        if _greets(target, min(GREETING_TIMEOUT, max(0.0, end - time.monotonic()))):
            return target
        target.close()
        if time.monotonic() + PAUSE >= end:
            raise TargetUnreachable(f"{host} port {port}: accepted, and said nothing within {timeout:g} s")
        gevent.sleep(PAUSE)


def _connected(host: str, port: int, timeout: float) -> socket:
    try:
        with gevent.Timeout(timeout, TimeoutError("timed out")):
            target = create_connection((host, port), timeout=timeout)
    except OSError as error:
        raise TargetUnreachable(f"{host} port {port}: {error}") from None
    target.setsockopt(stdlib_socket.SOL_SOCKET, stdlib_socket.SO_KEEPALIVE, 1)
    for option, value in _KEEPALIVE.items():
        target.setsockopt(stdlib_socket.IPPROTO_TCP, option, value)
    return target


def _greets(target: socket, timeout: float) -> bool:
    """Whether a first byte comes in time; it stays in the socket."""
    target.settimeout(timeout)
    try:
        return bool(target.recv(1, stdlib_socket.MSG_PEEK))
    except OSError:
        return False
