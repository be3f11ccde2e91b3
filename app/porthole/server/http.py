"""pywsgi's HTTP server with bounds, and what :class:`ConsoleHandler` needs of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import gevent
import structlog
from gevent import socket, ssl
from gunicorn.workers.ggevent import PyWSGIServer

from porthole.config import Settings
from porthole.proxy.buffers import ReadBuffers
from porthole.proxy.connections import Connections
from porthole.proxy.forwarded import TrustedProxies
from porthole.proxy.gate import Gate
from porthole.server.evenness import PAUSE, Turn

MAX_CONNECTIONS = 900
"""Connections that are no console: requests being waited for, read and answered. Beyond, one of the address with the
most is cut off."""

_TLS_HANDSHAKE = 0x16
"""First byte of a TLS connection: a handshake record (RFC 8446 5.1)."""

_TLS_ONLY = (
    b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: TLS/1.2, HTTP/1.1\r\nConnection: Upgrade, close\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 52\r\n\r\n"
    b"Only TLS is taken here: start the URL with https://\n"
)

_HEALTH = b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n"

log = structlog.get_logger("porthole.server")


class Application(Protocol):
    """What is served: a WSGI application, and its gate for upgrades."""

    settings: Settings
    gate: Gate

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        """Answer an HTTP request (PEP 3333)."""


class HttpServer(PyWSGIServer):  # type: ignore[misc]
    """pywsgi's server with bounded connections.

    :param connections: those that carry HTTP
    :param request_timeout: seconds a client has for each request
    :ivar turn: which of the workers that wait at the same socket takes the next client; None: this is the only one
    """

    turn: Turn | None = None
    _turn_over = 0.0  # until when the next client is left to others, in the loop's time; 0: it is not

    def __init__(
        self, listener: Any, application: Any, *, connections: Connections, request_timeout: float, **kwargs: Any
    ) -> None:
        # pywsgi would ask the DNS for our own name, and wait for it.
        kwargs["environ"] = {"SERVER_NAME": "porthole", **kwargs.get("environ", {})}
        super().__init__(listener, application, **kwargs)
        self.connections = connections
        self.request_timeout = request_timeout
        self.trusted_proxies = TrustedProxies(())
        self.secure_headers: tuple[tuple[str, str], ...] = ()
        self.silent_on_tls = False

    def handle(self, client_socket: socket.socket, address: Any) -> None:
        """Handle a connection, which is one of :attr:`connections` until it is a console's."""
        with self.connections.carrying(client_socket, _host(address)):
            super().handle(client_socket, address)

    def do_handle(self, *args: Any) -> None:
        """Handle a connection that was taken."""
        if self.turn is not None:
            self.turn.opened()
        super().do_handle(*args)

    def do_close(self, sock: socket.socket, *args: Any) -> None:
        """A connection is over."""
        if self.turn is not None:
            self.turn.closed()
        super().do_close(sock, *args)

    def _do_read(self) -> None:
        """A client waits (:class:`gevent.baseserver.BaseServer`): take it, or leave it to the others for a moment."""
        if self.turn is None or not self.turn.others_first():
            self._turn_over = 0.0
            super()._do_read()
            return
        now = self.loop.now()
        self._turn_over = self._turn_over or now + PAUSE
        # A watcher that goes on would fire again and again.
        self.stop_accepting()
        self._timer = self.loop.timer(max(0.0, self._turn_over - now))
        self._timer.start(self._take_what_is_left)

    def _take_what_is_left(self) -> None:
        """The others had their moment; a client that still waits is taken."""
        self._turn_over = 0.0
        if self.started:
            super()._do_read()
        if self.started:
            self.start_accepting()

    def accept_waiting(self) -> None:
        """Take the connections that the kernel has waiting, all of them now."""
        while self.started and not self.full():
            accepted = self.do_read()
            if not accepted:
                return
            self.do_handle(*accepted)


class ConsoleServer(HttpServer):
    """The public server: with what :class:`ConsoleHandler` needs, and time limits on TLS handshakes."""

    def __init__(
        self, listener: Any, application: Application, *, connections: Connections | None = None, **kwargs: Any
    ) -> None:
        settings = application.settings
        super().__init__(
            listener,
            application,
            connections=Connections(MAX_CONNECTIONS) if connections is None else connections,
            request_timeout=settings.request_timeout,
            **kwargs,
        )
        self.gate = application.gate
        self.buffers = ReadBuffers()
        self.ping_interval = settings.ping_interval
        self.ping_timeout = settings.ping_timeout
        self.pipelines = settings.pipeline_updates
        self.ssl_only = settings.ssl_only
        self.trusted_proxies = TrustedProxies(settings.trusted_proxies)
        if settings.hsts_max_age:
            self.secure_headers = (("Strict-Transport-Security", f"max-age={settings.hsts_max_age}"),)

    def take_context(self, context: ssl.SSLContext, *, self_signed: bool) -> None:
        """Make new connections of TLS with this from now on.

        :param self_signed: whether its certificate is: whoever takes one against the browser's advice must
            not be told to never do so again (RFC 6797 8.4), so nothing is said then
        """
        self.wrap_socket = context.wrap_socket
        self.ssl_args: dict[str, Any] = {"server_side": True}
        self.silent_on_tls = self_signed

    def wrap_socket_and_handle(self, client_socket: socket.socket, address: Any) -> None:
        """Take TLS and, unless ``ssl_only``, plain connections on one port, as nova-novncproxy does."""
        try:
            carrying = self.connections.carrying(client_socket, _host(address))
            with carrying, gevent.Timeout(self.request_timeout, TimeoutError):
                first = client_socket.recv(1, socket.MSG_PEEK)
                if first and first[0] == _TLS_HANDSHAKE:
                    secure = self.wrap_socket(client_socket, do_handshake_on_connect=False, **self.ssl_args)
                    client_socket = secure  # the other object is without its descriptor now
                    self.connections.waits(secure)
                    secure.do_handshake()
                elif first and self.ssl_only:
                    client_socket.sendall(_TLS_ONLY)
                    first = b""
        except (OSError, ssl.SSLError):
            first = b""
        try:
            if first:
                self.handle(client_socket, address)
        finally:
            client_socket.close()

    def ask_itself(self) -> None:
        """Ask for ``/healthz`` over a connection that needs no listener, as a client would.

        At the address itself another generation of the service might answer.

        :raises RuntimeError: the answer is not the right one
        """
        self.init_socket()  # start does the same
        ours, theirs = socket.socketpair()
        self.do_handle(theirs, ("itself", 0))
        answer = b""
        try:
            with gevent.Timeout(self.request_timeout, TimeoutError):
                if self.ssl_enabled:
                    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # it is us
                    ours = context.wrap_socket(ours)
                ours.sendall(_HEALTH)
                while data := ours.recv(4096):
                    answer += data
        except (OSError, ssl.SSLError) as error:
            raise RuntimeError(f"it does not answer itself: {error}") from error
        finally:
            ours.close()
        if b" 200 " not in answer.partition(b"\r\n")[0]:
            raise RuntimeError("it does not answer itself as it should")


def _host(address: Any) -> str:
    """The other end's IP address; nothing for a Unix socket, which has none."""
    return str(address[0]) if address else ""
