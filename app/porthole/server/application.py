"""What gunicorn is told, and the configuration that master and worker go by."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from porthole.config import Settings
from porthole.server.board import Board
from porthole.server.listeners import Listeners
from porthole.server.master import Master
from porthole.server.metrics_folder import MetricsFolder
from porthole.server.notify import Notifier
from porthole.server.remembered import FIRST_LOCK, TABLES, SharedMemory
from porthole.server.sets import MAX_DRAINING, MAX_WORKERS
from porthole.server.tools import Service
from porthole.server.worker import GRACEFUL_TIMEOUT, ConsoleWorker
from porthole.service import Process

_OTHER_SETS = 4
"""Of workers, beside those that drain: one that serves, one that starts, and some that have been told to end."""


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
    :param build: makes the service; called in each worker, after the fork
    :param listeners: what it listens on
    :param reread: reads the configuration again, from where ``settings`` came from
    :param check: reads the files that a configuration names, so that a reload is refused when one is wrong
    :ivar settings: what the first workers are made with
    :ivar board: what master and workers share
    :ivar metrics_folder: where the workers count
    :ivar memories: where the limits of requests count, by their names
    """

    def __init__(
        self,
        settings: Settings,
        build: Callable[[Settings, Process], Service],
        *,
        listeners: Listeners,
        reread: Callable[[], Settings],
        check: Callable[[Settings], None],
    ) -> None:
        self.settings = settings
        self.build = build
        self.listeners = listeners
        self.reread = reread
        self.check = check
        self.board = Board((MAX_DRAINING + _OTHER_SETS) * MAX_WORKERS)
        self.metrics_folder = MetricsFolder(self.board)
        self.memories = {name: SharedMemory(self.board, FIRST_LOCK + n) for n, name in enumerate(TABLES)}
        super().__init__()

    def load_config(self) -> None:
        """Set gunicorn's options."""
        options: dict[str, Any] = {
            "worker_class": ConsoleWorker,
            "graceful_timeout": GRACEFUL_TIMEOUT,
            "logger_class": JournalLogger,
            "proc_name": "porthole",
            "control_socket_disable": True,
            "pre_fork": _equip,
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Service:
        """Not called: each worker makes its service with its set's settings."""
        raise NotImplementedError

    def run(self) -> None:
        """Serve until a signal ends it."""
        try:
            Master(self, Notifier.from_environment()).run()
        finally:
            self.metrics_folder.remove()


def _equip(master: Master, worker: ConsoleWorker) -> None:
    """gunicorn's hook takes a plain function of two arguments."""
    master.equip(worker)
