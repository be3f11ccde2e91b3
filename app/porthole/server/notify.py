"""systemd's notification protocol (sd_notify(3)): lines in a datagram to ``$NOTIFY_SOCKET``."""

from __future__ import annotations

import os
import time

import structlog
from gevent import socket

_TIMEOUT = 1.0

log = structlog.get_logger("porthole.server")


class Notifier:
    """Tells the service manager how the service is. Without one it does nothing.

    :param address: of its socket; ``@`` at the start stands for an abstract one
    """

    def __init__(self, address: str | None) -> None:
        self._address = address
        self._status = ""

    @classmethod
    def from_environment(cls) -> Notifier:
        """The one of this process; the variable is removed, so that neither gunicorn nor a child uses it."""
        return cls(os.environ.pop("NOTIFY_SOCKET", None))

    def ready(self, status: str) -> None:
        """The start, or a reload, is over."""
        self._send("READY=1", f"STATUS={status}")
        self._status = status

    def reloading(self) -> None:
        """A reload begins; :meth:`ready` ends it."""
        # systemd tells by the time which reload is meant.
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """The end has begun. From here systemd counts TimeoutStopSec=, so a drain is not told as one."""
        self._send("STOPPING=1", "STATUS=Stopping")

    def status(self, status: str) -> None:
        """One line about it, for ``systemctl status``; sent when it has changed."""
        if status != self._status:
            self._send(f"STATUS={status}")
            self._status = status

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
                manager.settimeout(_TIMEOUT)
                manager.connect(address)
                manager.send("\n".join(lines).encode())
        except OSError as error:
            log.warning("the service manager was not told", lines=lines[0], why=str(error))
