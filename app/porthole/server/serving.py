"""The servers of one worker: made, tried, begun, left to others, closed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gevent
from gevent import socket
from gevent.pool import Pool

from porthole.proxy.connections import Connections
from porthole.proxy.handler import ConsoleHandler
from porthole.server.certificate import Certificate, Loaded
from porthole.server.evenness import Evenness
from porthole.server.http import MAX_CONNECTIONS, ConsoleServer, HttpServer
from porthole.server.listeners import BACKLOG, Listener, prefer_the_newest
from porthole.server.metrics import MetricsServer
from porthole.server.tools import Service, Tools

HANDOVER_TIME = 0.5
"""Seconds for which a draining service goes on accepting what was on its way to it, while new clients go elsewhere."""

SPARE = 1000
"""Places for connections that are no console, and for those that come and go meanwhile."""


class Serving:
    """The public servers and the one for Prometheus.

    :param service: what is served
    :param tools: what the worker shares with others
    :param sockets: the public ones
    :param metrics: the listener for Prometheus, if there is one
    :param more: further arguments of pywsgi's server
    :raises porthole.server.certificate.Refused: the files of the certificate cannot be used
    """

    def __init__(
        self,
        service: Service,
        tools: Tools,
        sockets: Sequence[socket.socket],
        metrics: Listener | None,
        **more: Any,
    ) -> None:
        self._service = service
        self._tools = tools
        self._connections = Connections(MAX_CONNECTIONS)
        # Of several workers, each takes one client at a time (pywsgi's max_accept).
        more["environ"] |= {"wsgi.multithread": True, "wsgi.multiprocess": tools.workers.size > 1}
        # Connections above our own limit are taken too, to be refused in words.
        most = service.settings.max_sessions + SPARE
        self._public = [
            ConsoleServer(
                listener, service, connections=self._connections, spawn=Pool(most), handler_class=ConsoleHandler, **more
            )
            for listener in sockets
        ]
        for server in self._public:
            server.turn = Evenness(tools.board, tools.slot)
        self._metrics = None if metrics is None else self._metrics_server(metrics)
        self._certificate = self._use_certificate()

    def _metrics_server(self, listener: Listener) -> MetricsServer:
        # Detached, as gunicorn does with the others: this process has one descriptor of it, which can be closed.
        detached = socket.socket(listener.FAMILY, socket.SOCK_STREAM, fileno=listener.sock.detach())
        return MetricsServer(detached, self._exposition, self._service.settings.request_timeout)

    def _exposition(self) -> bytes:
        with self._tools.metrics_folder.locked(gevent.sleep):
            return self._service.exposition()

    def _use_certificate(self) -> Certificate | None:
        """Begin to speak TLS, and go on with each certificate that takes the place of this one."""
        settings = self._service.settings
        if settings.cert is None:
            return None
        certificate = Certificate(settings.cert, settings.key or settings.cert, self._service.metrics, self._take)
        self._take(certificate.start())
        gevent.spawn(certificate.follow)  # until the process ends
        return certificate

    def _take(self, loaded: Loaded) -> None:
        for server in self._public:
            server.take_context(loaded.context, self_signed=loaded.self_signed)

    def look_at_certificate(self) -> None:
        """Take the certificate over if it is another one now, because somebody asked for it."""
        if self._certificate is not None:
            self._certificate.look(now=True)

    def ask_themselves(self) -> None:
        """Make sure that they answer.

        :raises RuntimeError: they do not
        """
        for server in self._public:
            server.ask_itself()

    def accept(self) -> None:
        """Begin to take clients.

        :raises OSError: the address is not free any more
        """
        for server in self._all():
            server.socket.listen(BACKLOG)
            prefer_the_newest(server.socket)
            server.start()
        self._tools.slot.accepts = 1

    @property
    def is_idle(self) -> bool:
        """Whether no request is being answered and no session is open."""
        return all(server.pool.free_count() == server.pool.size for server in self._public)

    # --- the end

    def leave_to_workers(self) -> None:
        """Workers of the same master have the sockets too: clients that wait there are theirs."""
        self._close()
        self._connections.drain()

    def leave_to_another_service(self) -> None:
        """It has a socket of its own, so what is under way to ours is taken first."""
        if self._metrics is not None:
            self._metrics.close()
        self._connections.drain()
        gevent.sleep(HANDOVER_TIME)
        for server in self._public:
            server.accept_waiting()
        self._close()

    def close(self) -> None:
        """Take nobody any more, and wait for no further request."""
        self._close()
        self._connections.close_idle()

    def cut_off(self) -> None:
        """End what is still being answered."""
        for server in self._public:
            server.stop(timeout=1)

    def _close(self) -> None:
        for server in self._all():
            server.close()
        self._tools.slot.accepts = 0

    def _all(self) -> list[HttpServer]:
        return [*self._public, *([self._metrics] if self._metrics else [])]
