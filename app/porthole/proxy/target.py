"""The connection to an instance's VNC server."""

from __future__ import annotations

import socket as stdlib_socket

import gevent
from gevent.socket import create_connection, socket

from porthole.proxy.errors import TargetUnreachable

_KEEPALIVE = {
    stdlib_socket.TCP_KEEPIDLE: 30,  # seconds of silence before the first probe
    stdlib_socket.TCP_KEEPINTVL: 10,
    stdlib_socket.TCP_KEEPCNT: 3,
    stdlib_socket.TCP_USER_TIMEOUT: 60_000,  # milliseconds for which sent bytes may stay unacknowledged
}


def connect(host: str, port: int, timeout: float) -> socket:
    """Connect to a VNC server; a compute that vanishes later is noticed within about a minute.

    :param host: the compute's ``server_proxyclient_address``
    :param port: TCP port
    :param timeout: seconds
    :raises TargetUnreachable: refused, no route, or not accepted in time
    """
    try:
        # The limit is for all together: looking up the name, and each address that it has.
        with gevent.Timeout(timeout, TimeoutError("timed out")):
            target = create_connection((host, port), timeout=timeout)
    except OSError as error:
        raise TargetUnreachable(f"{host} port {port}: {error}") from None
    target.setsockopt(stdlib_socket.SOL_SOCKET, stdlib_socket.SO_KEEPALIVE, 1)
    for option, value in _KEEPALIVE.items():
        target.setsockopt(stdlib_socket.IPPROTO_TCP, option, value)
    return target
