"""Reloads: what changed is taken over without the end of any session.

The list of computes and a renewed certificate for browsers are taken by the workers that run. For anything else a new
set of workers is started with the new configuration. When all of it is ready the set before stops to take clients,
which wait in the listening socket meanwhile, and then the new one begins: so nobody gets a token from a new worker and
shows it to an old one. The old set keeps its sessions until they end, or their time has.
"""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import structlog

from porthole.config import ConfigError, Settings, changes, contents, kept
from porthole.server.board import Drain
from porthole.server.sets import MAX_DRAINING, READY_TIME, State, WorkerSet

if TYPE_CHECKING:
    from porthole.server.master import Master

HAND_OVER_TIME = 2.0
"""Seconds that the set before has to stop taking clients; a worker of it that hangs is not waited for."""

log = structlog.get_logger("porthole.server")


class Reloads:
    """The sets of one master, and how one follows another.

    :ivar serving: the one that takes new clients
    :ivar starting: the one that is to take its place
    """

    serving: WorkerSet

    def __init__(self, master: Master) -> None:
        self._master = master
        self._numbers = 0
        self._before: list[WorkerSet] = []  # the oldest first
        self.starting: WorkerSet | None = None

    def start(self, settings: Settings) -> None:
        """The service begins: its first set is the one that serves."""
        self.serving = self._new_set(settings, State.SERVING)
        self._master.board.serving = self.serving.number

    def wanted(self) -> None:
        """Somebody wants the configuration to be taken over."""
        if self.starting is not None and self.starting.hand_over_by:
            self._take_the_clients(self.starting)
        newest = self.starting or self.serving
        app = self._master.app
        try:
            settings, fixed = kept(newest.settings, app.reread())
            options = changes(newest.settings, settings)
            takes_new_workers = bool(options) or contents(settings) != newest.read
            if takes_new_workers:
                app.check(settings)
        except ConfigError as error:
            log.error("configuration not taken over", why=str(error))
            return
        if fixed:
            log.warning("changed options need a restart", options=fixed)
        if takes_new_workers:
            self._begin(settings, options)
        else:
            self._let_them_read(settings)

    def _let_them_read(self, settings: Settings) -> None:
        """Nothing has changed but what running workers take themselves."""
        for those in (self.serving, self.starting):
            if those is not None:
                those.settings = settings
                for worker in self._master.workers_of(those):
                    worker.slot.reloads_wanted += 1
                self._master.wake(those, signal.SIGHUP)

    def _begin(self, settings: Settings, options: list[str]) -> None:
        if self.starting is not None:
            log.info("a newer reload takes the place of one that is not over")
            self._discard_starting()
        those = self._new_set(settings, State.STARTING)
        if self._master.board.free() < 2 * those.size:
            log.error("not reloaded: too many workers of earlier reloads have not ended yet")
            return
        self.starting = those
        log.info("new workers start", workers=those.size, options=options, set=those.number)

    def _new_set(self, settings: Settings, state: State) -> WorkerSet:
        self._numbers += 1
        give_up_at = time.monotonic() + READY_TIME + 2 * settings.libvirt_call_timeout
        return WorkerSet(self._numbers, settings, state, give_up_at)

    def give_up(self, why: str) -> None:
        """End the set that is to follow, if there is one; the one that serves goes on."""
        if self.starting is not None:
            log.error("configuration not taken over", why=why, set=self.starting.number)
            self._discard_starting()

    def _discard_starting(self) -> None:
        those, self.starting = self.starting, None
        if those is not None:
            self._master.end(those)
            self._before.append(those)

    @property
    def is_handing_over(self) -> bool:
        """Whether one set has stopped to take clients, and the next one does not yet."""
        if self.starting is not None:
            return bool(self.starting.hand_over_by)
        return bool(self.serving.hand_over_by) and not self._takes_clients(self.serving)

    @property
    def is_over(self) -> bool:
        """Whether all that was wanted is done: the workers that there should be take clients, and have read all."""
        slots = [worker.slot for worker in self._master.workers_of(self.serving)]
        return (
            self.starting is None
            and len(slots) >= self.serving.size
            and all(slot.accepts and slot.reloads == slot.reloads_wanted for slot in slots)
        )

    # --- step by step

    def go_on(self) -> None:
        """Do what can be done now."""
        self._before = [those for those in self._before if self._master.workers_of(those)]
        starting = self.starting
        if starting is None or not starting.hand_over_by:
            self._master.keep_up(self.serving)
        if starting is not None:
            self._master.keep_up(starting)
            self._hand_over(starting)

    def _hand_over(self, those: WorkerSet) -> None:
        now = time.monotonic()
        ready = [worker for worker in self._master.workers_of(those) if worker.slot.ready]
        if those.hand_over_by:
            if now >= those.hand_over_by or not self._takes_clients(self.serving):
                self._take_the_clients(those)
        elif len(ready) >= those.size:
            those.hand_over_by = now + HAND_OVER_TIME
            self._master.drain(self.serving, Drain.FOR_THE_NEXT_SET, those.settings.graceful_shutdown_timeout)
        elif now >= those.give_up_at:
            self.give_up("the new workers were not ready in time; those before go on")

    def _takes_clients(self, those: WorkerSet) -> bool:
        return any(worker.slot.accepts for worker in self._master.workers_of(those))

    def _take_the_clients(self, those: WorkerSet) -> None:
        self._before.append(self.serving)
        self.serving, self.starting = those, None
        those.state = State.SERVING
        self._master.board.serving = those.number
        self._master.wake(those)
        draining = [before for before in self._before if before.state is State.DRAINING]
        for oldest in draining[: max(0, len(draining) - MAX_DRAINING)]:
            log.warning("too many reloads: the sessions from before the oldest one are ended", set=oldest.number)
            self._master.end(oldest)
