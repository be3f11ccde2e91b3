"""The main process: gunicorn's arbiter with one worker, other signals, and word to systemd."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import structlog
from gunicorn.arbiter import Arbiter

from porthole.config import ConfigError
from porthole.server.notify import Notifier
from porthole.server.worker import ConsoleWorker

if TYPE_CHECKING:
    from porthole.server.application import ConsoleApplication

_IMPATIENT = 0.05
"""Seconds between looks at the worker while something is awaited of it."""

log = structlog.get_logger("porthole.server")


class Master(Arbiter):  # type: ignore[misc]
    """The arbiter. Its signals, beside gunicorn's SIGTERM, SIGINT and SIGQUIT, which end it:

    - SIGHUP: read the configuration again, and take over the list of computes and a renewed certificate
    - SIGUSR2: drain: new clients are left to others, and it ends when its sessions have
    - SIGTTIN and SIGTTOU, which would change the number of workers, are ignored: sessions, limits
      and metrics are one worker's
    """

    app: ConsoleApplication
    WORKERS: dict[int, ConsoleWorker]

    def __init__(self, app: ConsoleApplication, notifier: Notifier) -> None:
        super().__init__(app)
        self._notifier = notifier
        self._announced = False  # whether READY=1 is the last word to systemd
        self._draining_until = ""

    # --- signals

    def handle_hup(self) -> None:
        """SIGHUP: reload."""
        if self._draining_until:
            log.info("not reloaded, for it drains")
            return
        self._notifier.reloading()
        self._announced = False
        try:
            self.app.take_computes()
        except ConfigError as error:
            log.error("configuration not taken over", why=str(error))
            return
        for pid, worker in list(self.WORKERS.items()):
            worker.page.reloads_wanted += 1
            self.kill_worker(pid, signal.SIGHUP)

    def handle_usr2(self) -> None:
        """SIGUSR2: drain."""
        if self._draining_until:
            return
        end = time.gmtime(time.time() + self.app.settings.graceful_shutdown_timeout)
        self._draining_until = time.strftime("%Y-%m-%d %H:%M:%SZ", end)
        if not any(worker.page.answers for worker in self.WORKERS.values()):
            raise StopIteration  # nobody is here yet
        # The kernel would go on queueing connections for this process.
        self._close_listeners()
        for pid, worker in list(self.WORKERS.items()):
            worker.page.drain = 1
            self.kill_worker(pid, signal.SIGUSR2)

    def handle_ttin(self) -> None:
        """SIGTTIN: nothing."""
        log.info("the number of workers does not change")

    def handle_ttou(self) -> None:
        """SIGTTOU: nothing."""
        self.handle_ttin()

    # --- its life

    def start(self) -> None:
        """Take the listeners that were made before."""
        if self.app.listeners.public is not None:
            self.LISTENERS = [self.app.listeners.public]
        super().start()

    def wait_for_signals(self, timeout: float = 1.0) -> list[int]:
        """Wait for signals, for a shorter time while the worker is to become ready."""
        signals: list[int] = super().wait_for_signals(timeout if self._announced else _IMPATIENT)
        return signals

    def manage_workers(self) -> None:
        """Keep one worker, and let systemd know. While draining none is started anew.

        :raises StopIteration: the drain is over
        """
        if not self._draining_until:
            super().manage_workers()
        elif not self.WORKERS:
            raise StopIteration
        self._report()

    def stop(self, graceful: bool = True) -> None:
        """End the worker."""
        self._notifier.stopping()
        super().stop(graceful)

    def _report(self) -> None:
        for worker in self.WORKERS.values():
            page = worker.page
            status = _status(page.sessions, page.reachable, page.computes, self._draining_until)
            done = page.answers and page.reloads == page.reloads_wanted
            if done and not self._announced:
                self._announced = True
                self._notifier.ready(status)
            elif page.answers:
                self._notifier.status(status)

    def _close_listeners(self) -> None:
        for listener in (*self.LISTENERS, self.app.listeners.metrics):
            if listener is not None:
                listener.close()
        self.LISTENERS = []


def _status(sessions: int, reachable: int, computes: int, draining_until: str) -> str:
    """One line for ``systemctl status``."""
    consoles = f"{sessions} session{'' if sessions == 1 else 's'}"
    if draining_until:
        return f"Draining: {consoles} until {draining_until} at the latest"
    hosts = f"{reachable} of {computes} compute hosts reachable"
    return f"{'Not ready' if computes and not reachable else 'Ready'}: {consoles}, {hosts}"
