"""The main process: gunicorn's arbiter with sets of workers, other signals, and word to systemd."""

from __future__ import annotations

import gc
import math
import secrets
import signal
import time
from collections import deque
from typing import TYPE_CHECKING

import structlog
from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer

from porthole.server.board import Drain, Slot
from porthole.server.notify import Notifier
from porthole.server.reload import Reloads
from porthole.server.sets import State, WorkerSet
from porthole.server.status import status
from porthole.server.tools import Tools
from porthole.server.worker import ConsoleWorker

if TYPE_CHECKING:
    from porthole.server.application import ConsoleApplication

_IMPATIENT = 0.02
"""Seconds between looks at the workers while something is awaited of them."""

_MAX_LOST = 100
"""Workers that were killed and whose sessions nobody has put in order yet."""

log = structlog.get_logger("porthole.server")


class Master(Arbiter):  # type: ignore[misc]
    """The arbiter. Its signals, beside gunicorn's SIGTERM, SIGINT and SIGQUIT, which end it:

    - SIGHUP: read the configuration again and take it over (:mod:`porthole.server.reload`)
    - SIGUSR2: drain: new clients are left to others, and it ends when its sessions have
    - SIGTTIN and SIGTTOU are ignored: the number of workers is an option
    """

    app: ConsoleApplication
    WORKERS: dict[int, ConsoleWorker]

    def __init__(self, app: ConsoleApplication, notifier: Notifier) -> None:
        super().__init__(app)
        self.board = app.board
        self.notifier = notifier
        self.announced = False  # whether READY=1 is the last word to systemd
        self._draining_until = ""
        self._drain_wanted = False
        self._forked: dict[int, ConsoleWorker] = {}
        self._lost: deque[str] = deque(maxlen=_MAX_LOST)
        self._halt: HaltServer | None = None
        self._next: tuple[WorkerSet, int] | None = None
        self.reloads = Reloads(self)

    # --- signals

    def handle_hup(self) -> None:
        """SIGHUP: reload."""
        if self._draining_until:
            log.info("not reloaded, for it drains")
            return
        self.notifier.reloading()
        self.announced = False
        self.reloads.wanted()

    def handle_usr2(self) -> None:
        """SIGUSR2: drain."""
        if self._draining_until:
            return
        self._drain_wanted = self.reloads.is_handing_over
        if self._drain_wanted:
            return  # in a moment: now nobody takes the clients that wait
        limit = self.reloads.serving.settings.graceful_shutdown_timeout
        self._draining_until = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(time.time() + limit))
        if not any(worker.slot.ready for worker in self.WORKERS.values()):
            raise StopIteration  # nobody is here yet
        self.reloads.give_up("the service drains")
        # The kernel would go on queueing connections for this process.
        self._close_listeners()
        self.drain(self.reloads.serving, Drain.FOR_ANOTHER_SERVICE, limit)

    def handle_ttin(self) -> None:
        """SIGTTIN: nothing."""
        log.info("the number of workers is [DEFAULT] workers")

    def handle_ttou(self) -> None:
        """SIGTTOU: nothing."""
        self.handle_ttin()

    # --- its life

    def start(self) -> None:
        """Take the listeners that were made before."""
        if self.app.listeners.public is not None:
            self.LISTENERS = [self.app.listeners.public]
        super().start()
        self.reloads.start(self.app.settings)

    def wait_for_signals(self, timeout: float = 1.0) -> list[int]:
        """Wait for signals, for a shorter time while workers are to become ready."""
        signals: list[int] = super().wait_for_signals(timeout if self.announced else _IMPATIENT)
        return signals

    def reap_workers(self) -> None:
        """Let the dead go. What it means that one could not start is judged by :meth:`manage_workers`."""
        while True:
            try:
                super().reap_workers()
            except HaltServer as error:
                self._halt = error
            else:
                return

    def manage_workers(self) -> None:
        """Keep the workers that there should be, and let systemd know. While draining none is started anew.

        :raises StopIteration: the drain is over
        :raises HaltServer: nobody serves, and a worker cannot start
        """
        self._see_who_is_gone()
        if not self._draining_until:
            self.reloads.go_on()
            if self._drain_wanted:
                self.handle_usr2()
        elif not self.WORKERS:
            raise StopIteration
        self._report()

    def stop(self, graceful: bool = True) -> None:
        """End the workers."""
        self.notifier.stopping()
        super().stop(graceful)

    # --- workers

    def workers_of(self, those: WorkerSet) -> list[ConsoleWorker]:
        """The living workers of a set."""
        return [worker for worker in self.WORKERS.values() if worker.tools.workers is those]

    def keep_up(self, those: WorkerSet) -> None:
        """Start the workers of a set that are missing."""
        if time.monotonic() < those.next_try:
            return
        present = {worker.tools.index for worker in self.workers_of(those)}
        for index in range(those.size):
            if index not in present:
                self._next = (those, index)
                self.spawn_worker()

    def equip(self, worker: ConsoleWorker) -> None:
        """Give a worker what it shares with the others; gunicorn's ``pre_fork``."""
        if self._next is None:
            raise RuntimeError("workers are started by keep_up")
        those, index = self._next
        slot = self.board.take_slot(those.number)
        lost, name = tuple(self._lost), secrets.token_hex(8)
        self._lost.clear()
        worker.tools = Tools(self.board, slot, those, index, name, lost, self.app.metrics_folder)

    def spawn_worker(self) -> int:
        """Fork one. Its memory stays shared with ours as long as it does not look for garbage in it."""
        gc.freeze()
        pid: int = super().spawn_worker()
        self._forked[pid] = self.WORKERS[pid]
        return pid

    def wake(self, those: WorkerSet, number: signal.Signals = signal.SIGUSR2) -> None:
        """Have the workers of a set look at their slots, or send them another signal."""
        for worker in self.workers_of(those):
            self.kill_worker(worker.pid, number)

    def drain(self, those: WorkerSet, how: int, seconds: float) -> None:
        """Have the workers of a set leave new clients to others, and end when their sessions have.

        :param how: one of :class:`Drain`
        :param seconds: after which they end in any case
        """
        those.state = State.DRAINING
        end = time.monotonic() + seconds
        for worker in self.workers_of(those):
            worker.slot.deadline = math.ceil(end) if seconds else int(end)
            worker.slot.drain = how
        self.wake(those)

    def end(self, those: WorkerSet) -> None:
        """Have the workers of a set end now."""
        those.state = State.ENDING
        for worker in self.workers_of(those):
            # Said here as well, for one that was forked just now does not hear signals yet.
            worker.slot.deadline = int(time.monotonic())
            worker.slot.drain = worker.slot.drain or Drain.FOR_THE_NEXT_SET
        self.wake(those, signal.SIGTERM)

    def _see_who_is_gone(self) -> None:
        gone = [worker for pid, worker in self._forked.items() if pid not in self.WORKERS]
        self._forked = dict(self.WORKERS)
        for worker in gone:
            slot, those = worker.slot, worker.tools.workers
            was_ready, in_order = slot.ready, slot.done
            slot.clear()
            self.app.metrics_folder.bury(worker.tools.name)
            if was_ready and not in_order:
                self._lost.append(worker.tools.name)
            if not was_ready and not self._draining_until:
                self._could_not_start(those)
        self._halt = None

    def _could_not_start(self, those: WorkerSet) -> None:
        """A worker of this set has ended before it was ready."""
        if those.state is State.STARTING:
            self.reloads.give_up("a new worker could not start, and the log says why; those before go on")
        elif those.state is State.SERVING:
            if self._halt is not None and not any(worker.slot.ready for worker in self.workers_of(those)):
                raise self._halt
            those.put_off(time.monotonic())
            log.error("a worker could not start; it is tried again", seconds=round(those.next_try - time.monotonic()))

    # --- word to systemd

    def _report(self) -> None:
        serving = self._slots(State.SERVING)
        kept = self._slots(State.DRAINING, State.ENDING)
        if self._draining_until:
            self.notifier.status(status(serving, kept, self._draining_until))
        elif not self.announced and self.reloads.is_over:
            self.announced = True
            self.notifier.ready(status(serving, kept))
        elif self.announced and any(slot.ready for slot in serving):
            self.notifier.status(status([slot for slot in serving if slot.ready], kept))

    def _slots(self, *states: State) -> list[Slot]:
        return [worker.slot for worker in self.WORKERS.values() if worker.tools.workers.state in states]

    def _close_listeners(self) -> None:
        for listener in (*self.LISTENERS, self.app.listeners.metrics):
            if listener is not None:
                listener.close()
        self.LISTENERS = []
