"""Is there a libvirt at that address? Asked through gevent, before libvirt blocks a thread on it.

``libvirt.open`` has no time limit: to a host that drops packets it waits for
the kernel to give up on the SYN (over two minutes), and to a port that accepts
and stays silent it waits for ever. So the port is tried first, and has to say
something: the reply to libvirt's own first question, a TLS record, or SSH's
banner.
"""

from __future__ import annotations

import contextlib
import ssl
import struct
import urllib.parse
from dataclasses import dataclass

import gevent
from gevent import socket

_DEFAULT_PORTS = {"tcp": 16509, "tls": 16514, "ssh": 22, "libssh": 22, "libssh2": 22}

# libvirt's RPC (docs: "libvirt RPC protocol"): length, program 0x20008086, version 1, procedure 66 (AUTH_LIST, the
# first a client may call), type 0 (call), serial 0, status 0 (ok).
_AUTH_LIST = struct.pack(">IIIIIII", 28, 0x20008086, 1, 66, 0, 0, 0)


class ProbeError(Exception):
    """There is no libvirt to talk to; ``str()`` is a sentence's end such as ``refused the connection``."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The network address of a libvirt URI.

    :ivar transport: ``tcp``, ``tls``, ``ssh``, ``libssh`` or ``libssh2``
    """

    transport: str
    host: str
    port: int


def endpoint(uri: str) -> Endpoint | None:
    """The address that a URI leads to, or None when it leads to no network.

    ``driver[+transport]://[user@][host][:port]/...`` (libvirt: "Connection URIs"):
    without a transport, a URI with a host means TLS and one without means local.
    """
    parts = urllib.parse.urlsplit(uri)
    transport = parts.scheme.partition("+")[2]
    host = parts.hostname or ""
    if not host and transport in ("tcp", "tls", "ssh", "libssh", "libssh2"):
        host = "localhost"
    if not host or parts.scheme == "test":
        return None
    transport = transport or "tls"
    if transport not in _DEFAULT_PORTS:
        return None  # unix and ext: the host is not where the connection goes
    return Endpoint(transport, host, parts.port or _DEFAULT_PORTS[transport])


def is_local(uri: str) -> bool:
    """Whether a URI leads to the libvirt of this machine: it names no host, and no network.

    :raises ValueError: it is malformed
    """
    parts = urllib.parse.urlsplit(uri)
    return not parts.hostname and parts.scheme.partition("+")[2] in ("", "unix")


def probe(where: Endpoint, addresses: list[str], timeout: float) -> None:
    """Check that a libvirt (or the SSH server before it) answers.

    :param addresses: IP addresses of ``where.host``, tried in this order
    :param timeout: seconds for all of it
    :raises ProbeError: none of the addresses answers in time
    """
    problem = "its name has no address"
    try:
        with gevent.Timeout(timeout, TimeoutError):
            for address in addresses:
                try:
                    _converse(where, address)
                except (OSError, ProbeError) as error:
                    if isinstance(error, TimeoutError):
                        raise
                    problem = _words(error)
                else:
                    return
    except TimeoutError:
        problem = f"did not answer within {timeout:.1f} s"
    raise ProbeError(f"{where.host} port {where.port}: {problem}")


def _converse(where: Endpoint, address: str) -> None:
    with socket.create_connection((address, where.port)) as sock:
        if where.transport == "tcp":
            sock.sendall(_AUTH_LIST)
        elif where.transport == "tls":
            sock.sendall(_client_hello(where.host))
        if not sock.recv(1):
            raise ProbeError("closed the connection")


def _client_hello(host: str) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    outgoing = ssl.MemoryBIO()
    hello = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=host)
    with contextlib.suppress(ssl.SSLWantReadError):
        hello.do_handshake()
    return outgoing.read()


def _words(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "refused the connection"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
