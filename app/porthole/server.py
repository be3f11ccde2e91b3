"""The HTTP server: gunicorn's master and one gevent worker, listening as ``[vnc]`` says."""

from __future__ import annotations

import functools
import logging
import os
import resource
import ssl
from collections.abc import Callable
from typing import Any, Protocol

import gevent
import structlog
from gevent import socket
from gevent.hub import get_hub
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger
from gunicorn.workers.ggevent import GeventPyWSGIWorker, PyWSGIServer

from porthole.config import ConfigError, Settings
from porthole.proxy.connections import Connections
from porthole.proxy.gate import Gate
from porthole.proxy.handler import ConsoleHandler
from porthole.proxy.relay import ReadBuffers

GRACEFUL_TIMEOUT = 15
"""Seconds that requests have to end when the service is stopped; sessions are told at once."""

MAX_CONNECTIONS = 900
"""Connections that are no console: requests being waited for, read and answered. Beyond, the oldest is cut off."""

_SPARE = 1000
"""Places for them and for those that come and go meanwhile."""

_OTHER_FILES = 200
"""File descriptors beside the connections: listeners, libvirt, the store, the pages."""

_TLS_HANDSHAKE = 0x16
"""First byte of a TLS connection: a handshake record (RFC 8446 5.1)."""

_TLS_ONLY = (
    b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: TLS/1.2, HTTP/1.1\r\nConnection: Upgrade, close\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 52\r\n\r\n"
    b"Only TLS is taken here: start the URL with https://\n"
)


log = structlog.get_logger("porthole.server")


class Service(Protocol):
    """The wired service (:class:`porthole.service.Service`): a WSGI application, and its gate for upgrades."""

    settings: Settings
    gate: Gate

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        """Answer an HTTP request (PEP 3333)."""

    def stop(self) -> None:
        """End all sessions and stop what runs in the background."""


class ConsoleServer(PyWSGIServer):  # type: ignore[misc]
    """pywsgi's server with what :class:`ConsoleHandler` needs, and time limits on TLS handshakes."""

    def __init__(
        self, listener: Any, application: Service, *, connections: Connections | None = None, **kwargs: Any
    ) -> None:
        settings = application.settings
        # pywsgi would ask the DNS for our own name, and wait for it.
        kwargs["environ"] = {"SERVER_NAME": "porthole", **kwargs.get("environ", {})}
        super().__init__(listener, application, **kwargs)
        self.gate = application.gate
        self.connections = Connections(MAX_CONNECTIONS) if connections is None else connections
        self.buffers = ReadBuffers()
        self.request_timeout = settings.request_timeout
        self.ping_interval = settings.ping_interval
        self.ping_timeout = settings.ping_timeout
        self.ssl_only = settings.ssl_only

    def handle(self, client_socket: socket.socket, address: Any) -> None:
        """Handle a connection, which is one of :attr:`connections` until it is a console's."""
        with self.connections.carrying(client_socket):
            super().handle(client_socket, address)

    def wrap_socket_and_handle(self, client_socket: socket.socket, address: Any) -> None:
        """Take TLS and, unless ``ssl_only``, plain connections on one port, as nova-novncproxy does."""
        try:
            with self.connections.carrying(client_socket), gevent.Timeout(self.request_timeout, TimeoutError):
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


class ConsoleWorker(GeventPyWSGIWorker):  # type: ignore[misc]
    """gunicorn's pywsgi worker; told to stop, it ends its sessions with a reason at once."""

    server_class: Callable[..., ConsoleServer] = ConsoleServer
    wsgi_handler = ConsoleHandler
    _connections: Connections | None = None

    def run(self) -> None:
        """Serve until a signal ends it."""
        get_hub().print_exception = log_unhandled  # type: ignore[assignment, method-assign]
        self._connections = Connections(MAX_CONNECTIONS)
        self.server_class = functools.partial(ConsoleServer, connections=self._connections)
        super().run()

    def handle_exit(self, sig: int, frame: Any) -> None:
        """SIGTERM: end the sessions, outside the signal handler, then stop as gunicorn does."""
        if self.alive and self._connections is not None:
            gevent.spawn(self._connections.close_idle)
            gevent.spawn(self.wsgi.stop)
        super().handle_exit(sig, frame)

    def handle_quit(self, sig: int, frame: Any) -> None:
        """SIGINT and SIGQUIT: the same; gunicorn would leave the browsers 0.1 s to hear of it."""
        self.handle_exit(sig, frame)


def log_unhandled(_context: object, kind: Any, error: Any, traceback: Any) -> None:
    """Log an error that reached gevent's hub as one line like all others (in place of ``Hub.print_exception``)."""
    if not isinstance(error, BaseException):
        error = kind(error)
    log.error("unhandled error", exc_info=(kind, error, traceback))


class JournalLogger(Logger):  # type: ignore[misc]
    """gunicorn's messages go the way of all others; it writes no access log, for we write our own."""

    def setup(self, cfg: Any) -> None:
        """Leave the root logger's handler, set up by :mod:`porthole.log`, in charge."""
        super().setup(cfg)
        for logger in (self.error_log, self.access_log):
            logger.handlers.clear()
            logger.propagate = True
        self.error_log.setLevel(logging.INFO)

    def access(self, *_args: Any, **_kwargs: Any) -> None:
        """Nothing: request lines hold tokens."""


class ConsoleApplication(BaseApplication):  # type: ignore[misc]
    """gunicorn with our settings instead of its own files and arguments.

    :param settings: the configuration
    :param build: makes the service; called in the worker, after the fork
    """

    def __init__(self, settings: Settings, build: Callable[[Settings], Service]) -> None:
        self._settings = settings
        self._build = build
        super().__init__()

    def load_config(self) -> None:
        """Set gunicorn's options."""
        settings = self._settings
        host = settings.novncproxy_host
        options: dict[str, Any] = {
            "bind": f"{f'[{host}]' if ':' in host else host}:{settings.novncproxy_port}",
            "worker_class": ConsoleWorker,
            "workers": 1,
            # Connections above our own limit are taken too, to be refused in words.
            "worker_connections": settings.max_sessions + _SPARE,
            "graceful_timeout": GRACEFUL_TIMEOUT,
            "logger_class": JournalLogger,
            "proc_name": "porthole",
            "control_socket_disable": True,
        }
        if settings.cert:
            options |= {"certfile": str(settings.cert), "keyfile": str(settings.key or settings.cert)}
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Service:
        """The application of a worker."""
        return self._build(self._settings)


# -- before the start


def check_certificate(settings: Settings) -> None:
    """Load certificate and key as the worker will.

    :raises ConfigError: they cannot be used
    """
    if settings.cert is None:
        return
    key = settings.key or settings.cert
    try:
        for path in (settings.cert, key):
            path.read_bytes()
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.cert, key, password=_refuse_password)
    except ssl.SSLError as error:
        why = (error.reason or "no PEM in it").replace("_", " ").lower()
        raise ConfigError(
            f"options cert and key in [DEFAULT] are {settings.cert} and {key}, which do not load ({why}). They have to "
            "be a certificate with its chain and the private key that belongs to it, without a password, in PEM."
        ) from None
    except OSError as error:
        raise ConfigError(f"options cert and key in [DEFAULT] are {settings.cert} and {key}: {_said(error)}.") from None


def _refuse_password() -> str:
    raise OSError("the private key has a password, and nobody is there to type it")


def check_address(settings: Settings) -> None:
    """Try to listen. gunicorn itself would try for 5 seconds and then end without a sentence.

    :raises ConfigError: the address is not ours, in use, or not for this user
    """
    if {"LISTEN_FDS", "GUNICORN_FD"} & os.environ.keys():
        return  # somebody listens for us: systemd, or the process that this one replaces
    host, port = settings.novncproxy_host, settings.novncproxy_port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen(1)
        except OSError as error:
            raise ConfigError(
                f"options novncproxy_host and novncproxy_port in [vnc] are {host} and {port}, where this service "
                f"cannot listen: {_said(error)}. They have to be an address of this machine and a free port."
            ) from None


def _said(error: OSError) -> str:
    return str(error.strerror or error).lower()


def sessions_that_fit(wanted: int) -> int:
    """How many sessions the process may have, after its limit of open files was raised as far as it goes.

    A session has two sockets.
    """
    others = MAX_CONNECTIONS + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    needed = 2 * wanted + others
    limit = max(soft, needed if hard == resource.RLIM_INFINITY else min(needed, hard))
    if limit > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    fitting = min(wanted, max(1, (limit - others) // 2))
    if fitting < wanted:
        log.warning("fewer sessions than max_sessions", open_files=limit, needed=needed, sessions=fitting)
    return fitting
