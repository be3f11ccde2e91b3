"""The connection to an instance's VNC server, and the opening that we do there as its client."""

from __future__ import annotations

import ipaddress
import socket as stdlib_socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gevent
from gevent import ssl
from gevent.socket import create_connection, socket

from porthole.proxy import tls
from porthole.proxy.access_path import ask_for
from porthole.proxy.address import Address, SocketAddress
from porthole.proxy.errors import TargetInsecure, TargetLocked, TargetUnreachable
from porthole.proxy.rfb.conversation import Conversation
from porthole.proxy.rfb.errors import PasswordRefused, RfbError, SecurityMismatch
from porthole.proxy.rfb.password import VncPassword
from porthole.proxy.rfb.policy import SecurityPolicy
from porthole.proxy.rfb.server import Opened, open_server

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


@dataclass(frozen=True, slots=True)
class Target:
    """A connection to a VNC server that awaits ClientInit (RFC 6143 7.3.1), or a response to its challenge.

    :ivar socket: plain or TLS; nothing of what comes next has been read from it
    :ivar opened: what was agreed on
    :ivar local: our own end, ``address:port``
    """

    socket: socket
    opened: Opened
    local: str = ""


class _OutOfTime(BaseException):
    """The time for all together is over."""


def connect(
    address: Address,
    timeout: float,
    policy: SecurityPolicy,
    context: ssl.SSLContext | None,
    password: VncPassword | None = None,
    dialled: Callable[[str], None] = lambda local: None,
    access_path: str = "",
) -> Target:
    """Connect to a VNC server, which speaks first (RFC 6143 7.1.1), and go through the opening up to its end.

    A compute that vanishes later is noticed within about a minute.

    :param address: a port at the compute's ``server_proxyclient_address``, or a socket of this machine
    :param timeout: seconds for all together: looking up the name, each address that it has, the opening with TLS
    :param policy: what the VNC server has to offer
    :param context: our side of TLS
    :param password: the guest's VNC password, None when libvirt tells none
    :param dialled: told our own end of each TCP connection that is made, whatever becomes of it; it must not block
    :param access_path: what is asked for by CONNECT before the VNC server speaks; empty for nothing
    :raises TargetUnreachable: refused, no route, not accepted in time, silent, or no VNC server that lets us in
    :raises TargetInsecure: its security types or its certificate are not what the policy wants
    :raises TargetLocked: it wants another password than this one
    """
    end = time.monotonic() + timeout
    while True:
        target = _connected(address, max(0.0, end - time.monotonic()))
        dialled(_local(target))
        opening = _Opening(target, policy, context, password, str(address))
        if access_path:
            opening.ask_for(access_path, end, timeout)
        if _greets(target, min(GREETING_TIMEOUT, max(0.0, end - time.monotonic()))):
            return opening.run(end, timeout)
        target.close()
        if time.monotonic() + PAUSE >= end:
            raise TargetUnreachable(f"{address}: accepted, and said nothing within {timeout:g} s")
        gevent.sleep(PAUSE)


def _connected(address: Address, timeout: float) -> socket:
    try:
        with gevent.Timeout(timeout, TimeoutError("timed out")):
            if isinstance(address, SocketAddress):
                return _connected_to_socket(address.path)
            target = _connected_to_port(address.host, address.port, timeout)
    except PermissionError as error:
        what = ": the user of this service may not open it" if isinstance(address, SocketAddress) else ""
        raise TargetUnreachable(f"{address}: {error}{what}") from None
    except OSError as error:
        raise TargetUnreachable(f"{address}: {error}") from None
    target.setsockopt(stdlib_socket.SOL_SOCKET, stdlib_socket.SO_KEEPALIVE, 1)
    for option, value in _KEEPALIVE.items():
        target.setsockopt(stdlib_socket.IPPROTO_TCP, option, value)
    return target


def _connected_to_port(host: str, port: int, timeout: float) -> socket:
    """Connect to a TCP port; only a name is looked up, which takes a thread."""
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        return create_connection((host, port), timeout=timeout)
    target = socket(stdlib_socket.AF_INET6 if version == 6 else stdlib_socket.AF_INET, stdlib_socket.SOCK_STREAM)  # noqa: PLR2004 - IPv6
    try:
        target.settimeout(timeout)
        target.connect((host, port))
    except BaseException:
        target.close()
        raise
    return target


def _connected_to_socket(path: str) -> socket:
    """Connect to a UNIX socket; what bounds it is the caller's timeout."""
    target = socket(stdlib_socket.AF_UNIX, stdlib_socket.SOCK_STREAM)
    try:
        # A full backlog is told at once (unix(7), EAGAIN); gevent would ask again and again without a pause.
        target.settimeout(0.0)
        while True:
            try:
                target.connect(path)
                return target
            except BlockingIOError:
                gevent.sleep(PAUSE)
    except BaseException:
        target.close()
        raise


def _local(target: socket) -> str:
    """Our own end; empty when the connection has ended already, or is that of a UNIX socket."""
    if target.family == stdlib_socket.AF_UNIX:
        return ""
    try:
        address, port = target.getsockname()[:2]
    except OSError:
        return ""
    return end_name(str(address), str(port))


def end_name(address: str, port: str) -> str:
    """One end of a TCP connection as all of the service writes it, whatever the other side made of its address.

    An IPv4 client of a socket of IPv6 is seen there as ``::ffff:192.0.2.1`` (RFC 4291 2.5.5.2), and a link-local
    address has a zone, which is each side's own (RFC 4007 6).
    """
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return f"{address}:{port}"
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    found = mapped or found
    return f"[{found}]:{port}" if isinstance(found, ipaddress.IPv6Address) else f"{found}:{port}"


def socket_end(instance_id: str) -> str:
    """The same for a UNIX socket, whose clients have no address: any client of the instance's display."""
    return f"unix {instance_id}"


def _greets(target: socket, timeout: float) -> bool:
    """Whether a first byte comes in time; it stays in the socket."""
    target.settimeout(timeout)
    try:
        return bool(target.recv(1, stdlib_socket.MSG_PEEK))
    except OSError:
        return False


class _Opening:
    """The conversation with one VNC server, over its socket.

    :param connection: without TLS; closed when it fails
    :param where: its address, for the log
    """

    def __init__(
        self,
        connection: socket,
        policy: SecurityPolicy,
        context: ssl.SSLContext | None,
        password: VncPassword | None,
        where: str,
    ) -> None:
        self._connection = connection
        self._policy = policy
        self._context = context
        self._password = password
        self._where = where
        self._is_tls = False

    def run(self, end: float, timeout: float) -> Target:
        """Go through it.

        :param end: when it has to be over, in the time of ``time.monotonic``
        :param timeout: the seconds that this came from
        """
        conversation = open_server(self._policy, self._password)
        self._hold(conversation, end, timeout)
        return Target(self._connection, conversation.outcome, _local(self._connection))

    def ask_for(self, access_path: str, end: float, timeout: float) -> None:
        """Have what is in front of the VNC server let us through to it; parameters as for :meth:`run`."""
        self._hold(Conversation(ask_for(access_path)), end, timeout)

    def _hold(self, conversation: Conversation[Any], end: float, timeout: float) -> None:
        try:
            with gevent.Timeout(max(0.0, end - time.monotonic()), _OutOfTime):
                self._converse(conversation)
        except _OutOfTime:
            self._connection.close()
            awaited = "the end of its TLS handshake" if conversation.wants_tls else conversation.awaited
            raise self._unreachable(f"accepted, and {awaited} did not come within {timeout:g} s") from None
        except BaseException:
            self._connection.close()
            raise

    def _converse(self, conversation: Conversation[Any]) -> None:
        self._connection.settimeout(None)
        while True:
            try:
                if data := conversation.outgoing():
                    self._connection.sendall(data)
                if conversation.wants_tls:
                    self._start_tls()
                    conversation.tls_started()
                elif conversation.over:
                    return
                else:
                    conversation.feed(self._received(conversation))
            except SecurityMismatch as error:
                raise self._insecure(str(error)) from None
            except PasswordRefused as error:
                raise TargetLocked(f"{self._where}: {error}") from None
            except RfbError as error:
                raise self._unreachable(str(error)) from None
            except OSError as error:
                if self._is_tls:
                    raise self._insecure(f"TLS failed: {tls.why(error)}") from None
                raise self._unreachable(f"{conversation.awaited} did not come: {error}") from None

    def _received(self, conversation: Conversation[Any]) -> bytes:
        """What comes next, and nothing of what comes after that."""
        data = self._connection.recv(conversation.missing)
        if data:
            return data
        if self._is_tls:
            # QEMU looks at our certificate when TLS stands, and says nothing.
            raise self._insecure(
                "it ended the connection after the TLS handshake. Most likely it does not accept our certificate: see "
                "vencrypt_client_cert in [vnc], and the authority of the VNC server"
            )
        raise self._unreachable(f"it ended the connection before {conversation.awaited}")

    def _start_tls(self) -> None:
        if self._context is None:
            raise self._insecure(
                "it wants TLS, and this service was started without vencrypt_ca_certs in [vnc]; set it and restart"
            )
        self._is_tls = True
        secure = self._context.wrap_socket(
            self._connection, server_hostname=self._policy.server_name, do_handshake_on_connect=False
        )
        self._connection = secure  # the other object is without its descriptor now
        secure.do_handshake()

    def _unreachable(self, what: str) -> TargetUnreachable:
        return TargetUnreachable(f"{self._where}: {what}")

    def _insecure(self, what: str) -> TargetInsecure:
        return TargetInsecure(f"{self._where}: {what}")
