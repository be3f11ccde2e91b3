"""Where a VNC server listens."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A TCP port.

    :ivar host: name or IP address
    :ivar port: 1 to 65535
    """

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host} port {self.port}"


@dataclass(frozen=True, slots=True)
class SocketAddress:
    """A UNIX socket of this machine.

    :ivar path: an absolute path of at most :data:`MAX_PATH` bytes
    """

    path: str

    def __str__(self) -> str:
        return f"socket {self.path}"


Address = TcpAddress | SocketAddress

MAX_PATH = 107
"""Bytes of the longest path that a UNIX socket may have (unix(7): sun_path has 108, with a zero at its end)."""
