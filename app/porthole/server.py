"""The HTTP server: gunicorn's master and one gevent worker, listening as ``[vnc]`` says."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable
from typing import Any, Protocol

import gevent
from gevent import socket
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger
from gunicorn.workers.ggevent import GeventPyWSGIWorker, PyWSGIServer

from porthole.config import Settings
from porthole.proxy.gate import Gate
from porthole.proxy.handler import ConsoleHandler
from porthole.proxy.relay import ReadBuffers

GRACEFUL_TIMEOUT = 10
"""Seconds that requests have to end when the service is stopped; sessions are told at once."""

_TLS_HANDSHAKE = 0x16
"""First byte of a TLS connection: a handshake record (RFC 8446 5.1)."""

_TLS_ONLY = (
    b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: TLS/1.2, HTTP/1.1\r\nConnection: Upgrade, close\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 52\r\n\r\n"
    b"Only TLS is taken here: start the URL with https://\n"
)


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

    def __init__(self, listener: Any, application: Service, **kwargs: Any) -> None:
        super().__init__(listener, application, **kwargs)
        settings = application.settings
        self.gate = application.gate
        self.buffers = ReadBuffers()
        self.request_timeout = settings.request_timeout
        self.ping_interval = settings.ping_interval
        self.ping_timeout = settings.ping_timeout
        self.ssl_only = settings.ssl_only

    def wrap_socket_and_handle(self, client_socket: socket.socket, address: Any) -> None:
        """Take TLS and, unless ``ssl_only``, plain connections on one port, as nova-novncproxy does."""
        try:
            with gevent.Timeout(self.request_timeout, TimeoutError):
                first = client_socket.recv(1, socket.MSG_PEEK)
                if first and first[0] == _TLS_HANDSHAKE:
                    client_socket = self.wrap_socket(client_socket, **self.ssl_args)
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

    server_class = ConsoleServer
    wsgi_handler = ConsoleHandler

    def handle_exit(self, sig: int, frame: Any) -> None:
        """SIGTERM: end the sessions, outside the signal handler, then stop as gunicorn does."""
        gevent.spawn(self.wsgi.stop)
        super().handle_exit(sig, frame)

    def handle_quit(self, sig: int, frame: Any) -> None:
        """SIGINT and SIGQUIT: the same."""
        gevent.spawn(self.wsgi.stop)
        super().handle_quit(sig, frame)


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
            "worker_connections": settings.max_sessions + 1000,
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
