"""The worker: gunicorn's gevent worker with a life of our own: prepare, serve, perhaps drain, stop."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Protocol

import gevent
import structlog
from gevent import socket
from gevent.event import Event
from gevent.hub import get_hub
from gevent.pool import Pool
from gunicorn.arbiter import Arbiter
from gunicorn.http.wsgi import base_environ
from gunicorn.workers.ggevent import GeventPyWSGIWorker

from porthole.config import ComputeSettings, ConfigError
from porthole.metrics import Metrics
from porthole.proxy.connections import Connections
from porthole.proxy.handler import ConsoleHandler
from porthole.server.certificate import Certificate, Loaded
from porthole.server.http import MAX_CONNECTIONS, Application, ConsoleServer
from porthole.server.listeners import BACKLOG, prefer_the_newest
from porthole.server.metrics import MetricsServer
from porthole.server.page import Page

GRACEFUL_TIMEOUT = 15
"""Seconds that requests have to end when the service is stopped; sessions are told at once."""

HANDOVER_TIME = 0.5
"""Seconds for which a draining service goes on accepting what was on its way to it, while new clients go elsewhere."""

TICK = 1.0
"""Seconds between signs of life for the master."""

log = structlog.get_logger("porthole.server")


class Service(Application, Protocol):
    """The wired service (:class:`porthole.service.Service`)."""

    metrics: Metrics

    @property
    def sessions(self) -> int:
        """How many consoles are open."""

    def computes(self) -> dict[str, bool]:
        """Whether each compute can be reached, by name."""

    def wait_until_asked(self, timeout: float) -> bool:
        """Wait until each compute has been asked once, for so many seconds at most."""

    def exposition(self) -> bytes:
        """The metrics in Prometheus' text format."""

    def take_computes(self, computes: tuple[ComputeSettings, ...]) -> None:
        """Work with these computes from now on."""

    def stop(self) -> None:
        """End all sessions and stop what runs in the background."""


class ConsoleWorker(GeventPyWSGIWorker):  # type: ignore[misc]
    """gunicorn's pywsgi worker, with these signals, which the master sends:

    - SIGHUP: look at the page, whether the list of computes and the certificate are to be read again
    - SIGUSR2: look at the page, whether to drain: leave new clients to others, and end when the sessions have
    - SIGTERM, SIGINT, SIGQUIT: end now; sessions are told with a reason
    """

    # What is left out keeps the master's handler, which does nothing here, until ours is set: no signal kills it.
    SIGNALS: ClassVar[list[signal.Signals]] = [
        number for number in GeventPyWSGIWorker.SIGNALS if number not in (signal.SIGHUP, signal.SIGUSR2)
    ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.page = Page()
        self._wake: Event | None = None
        self._servers: Sequence[ConsoleServer] = ()
        self._metrics: MetricsServer | None = None
        self._certificate: Certificate | None = None

    # --- signals

    def init_signals(self) -> None:
        """Take the signals."""
        self._wake = Event()
        super().init_signals()
        for number in (signal.SIGHUP, signal.SIGUSR2):
            signal.signal(number, self._wake_up)
            signal.siginterrupt(number, False)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """SIGTERM: end."""
        self.alive = False
        self._wake_up()

    def handle_quit(self, sig: int, frame: Any) -> None:
        """SIGINT and SIGQUIT: the same; gunicorn would leave the browsers 0.1 s to hear of it."""
        self.handle_exit(sig, frame)

    def _wake_up(self, *_: object) -> None:
        if self._wake is not None:
            self._wake.set()

    # --- its life

    def run(self) -> None:
        """Serve until a signal ends it."""
        get_hub().print_exception = log_unhandled  # type: ignore[assignment, method-assign]
        service: Service = self.wsgi
        connections = Connections(MAX_CONNECTIONS)
        try:
            self._prepare(service)
            if self.alive:
                self._listen(service, connections)
        except Exception:
            log.exception("the worker cannot serve")
            sys.exit(Arbiter.WORKER_BOOT_ERROR)
        self._stay(lambda: not self.alive or bool(self.page.drain), self._reload_if_wanted)
        if self.alive:
            self._drain(connections)
        self._stop(service, connections)

    def _prepare(self, service: Service) -> None:
        """Ask the computes first: until it knows their instances it would show an empty list."""
        asked = gevent.spawn(service.wait_until_asked, 2 * service.settings.libvirt_call_timeout + 1)
        asked.link(self._wake_up)
        self._stay(lambda: not self.alive or asked.ready())
        asked.kill(block=False)

    def _listen(self, service: Service, connections: Connections) -> None:
        """Begin to serve, and make sure that it does.

        :raises OSError: the address is not free any more
        :raises RuntimeError: it does not answer
        """
        environ = {**base_environ(self.cfg), "wsgi.multithread": True}
        self._servers = [
            ConsoleServer(
                listener, service, connections=connections, spawn=Pool(self.worker_connections), log=self.log,
                handler_class=ConsoleHandler, environ=environ,
            )
            for listener in self.sockets
        ]  # fmt: skip
        self._use_certificate(service)
        for server in self._servers:
            server.ask_itself()
        metrics = self.app.listeners.metrics
        if metrics is not None:
            # Detached, as gunicorn does with the others: this process has one descriptor of it, which can be closed.
            listener = socket.socket(metrics.FAMILY, socket.SOCK_STREAM, fileno=metrics.sock.detach())
            self._metrics = MetricsServer(listener, service.exposition, service.settings.request_timeout)
        for server in (*self._servers, *([self._metrics] if self._metrics else [])):
            server.socket.listen(BACKLOG)
            prefer_the_newest(server.socket)
            server.start()
        self.page.answers = 1

    def _use_certificate(self, service: Service) -> None:
        """Begin to speak TLS, and go on with each certificate that takes the place of this one.

        :raises Refused: the files cannot be used
        """
        settings = service.settings
        if settings.cert is None:
            return
        self._certificate = Certificate(settings.cert, settings.key or settings.cert, service.metrics, self._take)
        self._take(self._certificate.start())
        gevent.spawn(self._certificate.follow)  # until the process ends

    def _take(self, loaded: Loaded) -> None:
        for server in self._servers:
            server.take_context(loaded.context, self_signed=loaded.self_signed)

    def _reload_if_wanted(self) -> None:
        wanted = self.page.reloads_wanted
        if self.page.reloads == wanted:
            return
        try:
            self.wsgi.take_computes(self.app.reread().computes)
        except ConfigError as error:  # it was good a moment ago, when the master read it
            log.error("configuration not taken over", why=str(error))
        if self._certificate is not None:
            self._certificate.look(now=True)
        self.page.reloads = wanted

    def _drain(self, connections: Connections) -> None:
        """Leave new clients to others, and wait until requests and sessions have ended, or their time has."""
        limit = self.app.settings.graceful_shutdown_timeout
        end = time.monotonic() + limit
        log.info("draining", sessions=self.wsgi.sessions, seconds=limit)
        handover = gevent.spawn(self._hand_over, connections)
        self._stay(lambda: not self.alive or (handover.ready() and (self._idle or time.monotonic() >= end)))
        handover.kill()
        log.info("drained", sessions=self.wsgi.sessions)

    def _hand_over(self, connections: Connections) -> None:
        if self._metrics is not None:
            self._metrics.close()
        connections.drain()
        gevent.sleep(HANDOVER_TIME)
        for server in self._servers:
            server.accept_waiting()
            server.close()

    def _stop(self, service: Service, connections: Connections) -> None:
        """Tell the browsers, and give requests and sessions a moment to end."""
        for server in (*self._servers, *([self._metrics] if self._metrics else [])):
            server.close()
        connections.close_idle()
        stopping = gevent.spawn(service.stop)
        stopping.link(self._wake_up)
        end = time.monotonic() + self.cfg.graceful_timeout
        self._stay(lambda: (stopping.ready() and self._idle) or time.monotonic() >= end)
        if not self._idle:
            log.warning("requests were cut off")
            for server in self._servers:
                server.stop(timeout=1)

    @property
    def _idle(self) -> bool:
        """Whether no request is being answered and no session is open."""
        return all(server.pool.free_count() == server.pool.size for server in self._servers)

    def _stay(self, until: Callable[[], bool], each: Callable[[], None] = lambda: None) -> None:
        """Show signs of life until something is so."""
        wake = self._wake
        assert wake is not None  # noqa: S101 - init_signals was called before run
        while not until():
            each()
            self.notify()
            self._tell()
            wake.wait(TICK)
            wake.clear()

    def _tell(self) -> None:
        computes = self.wsgi.computes()
        self.page.sessions = self.wsgi.sessions
        self.page.computes, self.page.reachable = len(computes), sum(computes.values())


def log_unhandled(_context: object, kind: Any, error: Any, traceback: Any) -> None:
    """Log an error that reached gevent's hub as one line like all others (in place of ``Hub.print_exception``)."""
    if not isinstance(error, BaseException):
        error = kind(error)
    log.error("unhandled error", exc_info=(kind, error, traceback))
