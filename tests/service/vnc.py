"""A VNC server of one process's own: it greets, lets everybody in, and then echoes. For tests without a hypervisor."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path

_SERVER_INIT = b"\x00\x10\x00\x10" + bytes(16) + b"\x00\x00\x00\x04echo"
"""RFC 6143 7.3.2: 16 by 16 pixels, some format, a name."""

GUEST = "0a000000-0000-4000-8000-00000000000a"
"""Id of the instance of :meth:`EchoingVnc.node`."""


class EchoingVnc:
    """One that listens on 127.0.0.1, with a thread for each client.

    :ivar port: where
    """

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def node(self, folder: Path, name: str = "guest", id_: str = GUEST) -> str:
        """The URI of a host of libvirt's test driver with one running guest, which has this screen."""
        path = folder / f"{name}.xml"
        path.write_text(
            f"<node><domain type='test'><name>{name}</name><uuid>{id_}</uuid><memory>8192</memory><vcpu>1</vcpu>"
            f"<os><type>hvm</type></os><devices><graphics type='vnc' port='{self.port}' autoport='no'/></devices>"
            "</domain></node>"
        )
        return f"test://{path}"

    def stop(self) -> None:
        """Take no more clients."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # closing alone would leave the thread one more client
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    @staticmethod
    def _serve(client: socket.socket) -> None:
        with client:
            try:
                client.sendall(b"RFB 003.008\n")
                client.recv(12, socket.MSG_WAITALL)
                client.sendall(b"\x01\x01")
                client.recv(1)
                client.sendall(bytes(4))
                client.recv(1)
                client.sendall(_SERVER_INIT)
                while data := client.recv(4096):
                    client.sendall(data)
            except OSError:
                return
