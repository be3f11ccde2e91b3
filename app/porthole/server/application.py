"""What gunicorn is told, and the configuration that master and worker go by."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from typing import Any

import structlog
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from porthole.config import Settings, changes
from porthole.server.listeners import Listeners
from porthole.server.master import Master
from porthole.server.notify import Notifier
from porthole.server.worker import GRACEFUL_TIMEOUT, ConsoleWorker, Service

_SPARE = 1000
"""Places for connections that are no console, and for those that come and go meanwhile."""

log = structlog.get_logger("porthole.server")


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
    :param listeners: what it listens on
    :param reread: reads the configuration again, from where ``settings`` came from
    :ivar settings: what the next worker is made with
    """

    def __init__(
        self,
        settings: Settings,
        build: Callable[[Settings], Service],
        *,
        listeners: Listeners,
        reread: Callable[[], Settings],
    ) -> None:
        self.settings = settings
        self.listeners = listeners
        self.reread = reread
        self._build = build
        super().__init__()

    def load_config(self) -> None:
        """Set gunicorn's options."""
        settings = self.settings
        options: dict[str, Any] = {
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
        return self._build(self.settings)

    def run(self) -> None:
        """Serve until a signal ends it."""
        Master(self, Notifier.from_environment()).run()

    def take_computes(self) -> None:
        """Read the configuration again, and keep its list of computes; nothing else of it counts before a restart.

        :raises ConfigError: it cannot be used; then nothing has changed
        """
        new = self.reread()
        if options := changes(self.settings, new):
            log.warning("changed options need a restart", options=options)
        self.settings = dataclasses.replace(self.settings, computes=new.computes)
