"""The service manager's end of systemd's notification protocol."""

from __future__ import annotations

import socket
import time
from pathlib import Path


class Manager:
    """A datagram socket that a service sends its state to.

    :ivar environment: what the service needs to find it
    :ivar heard: all messages so far, each a mapping of its lines
    """

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(0.1)
        self.environment = {"NOTIFY_SOCKET": str(path)}
        self.heard: list[dict[str, str]] = []

    def wait_for(self, name: str, value: str, seconds: float = 30) -> dict[str, str]:
        """Wait for a message that has not been heard yet, with this line; ``value`` may be its beginning."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for message in self._received():
                if message.get(name, "").startswith(value):
                    return message
        raise AssertionError(f"no {name}={value} within {seconds} s: {self.heard}")

    def _received(self) -> list[dict[str, str]]:
        try:
            data = self._socket.recv(4096)
        except TimeoutError:
            return []
        message = {name: value for name, _, value in (line.partition("=") for line in data.decode().splitlines())}
        self.heard.append(message)
        return [message]

    def close(self) -> None:
        """Hear no more."""
        self._socket.close()
