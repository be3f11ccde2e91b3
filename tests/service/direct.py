"""A VNC client of plain TCP, which goes to a guest's port past the appliance."""

from __future__ import annotations

import socket
from types import TracebackType


class DirectClient:
    """One that is connected, and not more before :meth:`open`.

    :ivar address: its own address and port, as the VNC server sees them
    """

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.create_connection((host, port), timeout=15)
        self.address: tuple[str, int] = self._socket.getsockname()[:2]
        assert self._read(12) == b"RFB 003.008\n"

    def open(self) -> DirectClient:
        """The handshake with security type None, up to ServerInit (RFC 6143 7.1 to 7.3)."""
        self._socket.sendall(b"RFB 003.008\n")
        assert 1 in self._read(self._read(1)[0])
        self._socket.sendall(b"\x01")
        assert self._read(4) == bytes(4)
        self._socket.sendall(b"\x01")
        self._read(24)
        return self

    def close(self) -> None:
        """Leave."""
        self._socket.close()

    def __enter__(self) -> DirectClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self, count: int) -> bytes:
        data = self._socket.recv(count, socket.MSG_WAITALL)
        assert len(data) == count, "the VNC server closed the connection"
        return data
