"""The worker: gunicorn's gevent worker with a life of our own: prepare, wait, serve, perhaps drain, stop."""

from __future__ import annotations

import gc
import signal
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import gevent
import structlog
from gevent.event import Event
from gevent.hub import get_hub
from gunicorn.arbiter import Arbiter
from gunicorn.http.wsgi import base_environ
from gunicorn.workers.ggevent import GeventPyWSGIWorker

from porthole import log as logging
from porthole.config import ConfigError
from porthole.metrics import share
from porthole.server.board import Drain, Slot
from porthole.server.places import SharedPlaces
from porthole.server.serving import Serving
from porthole.server.tools import Service, Tools
from porthole.service import Process

if TYPE_CHECKING:
    from porthole.server.application import ConsoleApplication

GRACEFUL_TIMEOUT = 15
"""Seconds that requests have to end when the service is stopped; sessions are told at once."""

TICK = 1.0
"""Seconds between signs of life for the master."""

log = structlog.get_logger("porthole.server")


class ConsoleWorker(GeventPyWSGIWorker):  # type: ignore[misc]
    """gunicorn's pywsgi worker, with these signals, which the master sends:

    - SIGHUP: look at the slot, whether the list of computes and the certificate are to be read again
    - SIGUSR2: look at slot and board, whether to begin to take clients, or to drain: to leave new ones to others, and
      end when the sessions have
    - SIGTERM, SIGINT, SIGQUIT: end now; sessions are told with a reason

    :ivar tools: what it shares with others; set by the master before the fork
    """

    app: ConsoleApplication
    tools: Tools
    wsgi: Service

    # What is left out keeps the master's handler, which does nothing here, until ours is set: no signal kills it.
    SIGNALS: ClassVar[list[signal.Signals]] = [
        number for number in GeventPyWSGIWorker.SIGNALS if number not in (signal.SIGHUP, signal.SIGUSR2)
    ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._wake: Event | None = None
        self._serving: Serving | None = None

    @property
    def slot(self) -> Slot:
        """This worker's part of the board."""
        return self.tools.slot

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

    def load_wsgi(self) -> None:
        """Make the service, with the settings of this worker's set."""
        try:
            self.wsgi = self._make()
        except Exception:
            log.exception("the worker cannot be made")
            sys.exit(Arbiter.WORKER_BOOT_ERROR)

    def _make(self) -> Service:
        tools, settings = self.tools, self.tools.workers.settings
        logging.configure(settings.debug)
        share(tools.metrics_folder.path, tools.name)
        return self.app.build(
            settings,
            Process(
                name=tools.name,
                places=SharedPlaces(tools.board, tools.slot, settings.max_sessions),
                is_first=tools.index == 0,
                is_draining=lambda: tools.slot.drain == Drain.FOR_ANOTHER_SERVICE,
                lost=tools.lost,
                metrics_folder=tools.metrics_folder.path,
                memory=lambda name: self.app.memories[name],
            ),
        )

    def run(self) -> None:
        """Serve until a signal ends it."""
        get_hub().print_exception = log_unhandled  # type: ignore[assignment, method-assign]
        try:
            self._ask_computes()
            if self._goes_on:
                self._serving = self._begin()
        except Exception:
            log.exception("the worker cannot serve")
            sys.exit(Arbiter.WORKER_BOOT_ERROR)
        if self._serving is not None:
            self._stay(lambda: not self._goes_on, self._reload_if_wanted)
            if self.alive:
                self._drain(self._serving)
        self._stop()
        self.slot.done = 1

    @property
    def _goes_on(self) -> bool:
        """Whether it is neither to end nor to drain."""
        return self.alive and not self.slot.drain

    def _ask_computes(self) -> None:
        """Until it knows their instances it would show an empty list."""
        asked = gevent.spawn(self.wsgi.wait_until_asked, 2 * self.wsgi.settings.libvirt_call_timeout + 1)
        asked.link(self._wake_up)
        self._stay(lambda: not self._goes_on or asked.ready())
        asked.kill(block=False)

    def _begin(self) -> Serving:
        """Make and try all that is needed, and begin to take clients when it is this set's turn.

        :raises OSError: the address is not free any more
        :raises RuntimeError: it does not answer itself
        :raises Refused: the files of the certificate cannot be used
        """
        listeners = self.app.listeners
        serving = Serving(
            self.wsgi, self.tools, self.sockets, listeners.metrics, log=self.log, environ=base_environ(self.cfg)
        )
        serving.ask_themselves()
        # What is here now stays: to look through all of it for garbage takes tens of milliseconds, again and again.
        gc.collect()
        gc.freeze()
        self.slot.ready = 1
        # Workers that serve already may have other keys: they have to stop first.
        self._stay(lambda: not self._goes_on or self.tools.board.serving == self.slot.set_number)
        if self._goes_on:
            serving.accept()
        return serving

    def _reload_if_wanted(self) -> None:
        wanted = self.slot.reloads_wanted
        if self.slot.reloads == wanted:
            return
        try:
            self.wsgi.take_computes(self.app.reread().computes)
        except ConfigError as error:  # it was good a moment ago, when the master read it
            log.error("configuration not taken over", why=str(error))
        if self._serving is not None:
            self._serving.look_at_certificate()
        self.slot.reloads = wanted

    def _drain(self, serving: Serving) -> None:
        """Leave new clients to others, and wait until requests and sessions have ended, or their time has."""
        seconds = max(0, self.slot.deadline - int(time.monotonic()))
        log.info("draining", sessions=self.wsgi.sessions, seconds=seconds)
        if self.slot.drain == Drain.FOR_THE_NEXT_SET:
            leaving = gevent.spawn(serving.leave_to_workers)
        else:
            leaving = gevent.spawn(serving.leave_to_another_service)
        leaving.link(self._wake_up)
        self._stay(
            lambda: not self.alive or (leaving.ready() and (serving.is_idle or time.monotonic() >= self.slot.deadline))
        )
        leaving.kill()
        log.info("drained", sessions=self.wsgi.sessions)

    def _stop(self) -> None:
        """Tell the browsers, and give requests and sessions a moment to end."""
        serving = self._serving
        if serving is not None:
            serving.close()
        stopping = gevent.spawn(self.wsgi.stop)
        stopping.link(self._wake_up)
        end = time.monotonic() + self.cfg.graceful_timeout
        self._stay(lambda: (stopping.ready() and (serving is None or serving.is_idle)) or time.monotonic() >= end)
        if serving is not None and not serving.is_idle:
            log.warning("requests were cut off")
            serving.cut_off()

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
        computes, slot = self.wsgi.computes(), self.slot
        slot.seen = int(time.monotonic())
        slot.sessions = self.wsgi.sessions
        slot.computes, slot.reachable = len(computes), sum(computes.values())


def log_unhandled(_context: object, kind: Any, error: Any, traceback: Any) -> None:
    """Log an error that reached gevent's hub as one line like all others (in place of ``Hub.print_exception``)."""
    if not isinstance(error, BaseException):
        error = kind(error)
    log.error("unhandled error", exc_info=(kind, error, traceback))
