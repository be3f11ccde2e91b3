"""A TCP port that leads through a WebSocket, for VNC clients that speak no WebSocket."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import websocket


@contextlib.contextmanager
def tunnel(upgrade: Callable[[], websocket.WebSocket]) -> Iterator[int]:
    """Listen on a port of 127.0.0.1; the first connection to it is joined with a new WebSocket.

    :returns: the port
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_serve, args=(listener, upgrade), daemon=True)
        thread.start()
        yield listener.getsockname()[1]


def _serve(listener: socket.socket, upgrade: Callable[[], websocket.WebSocket]) -> None:
    client, _ = listener.accept()
    connection = upgrade()
    sender = threading.Thread(target=_to_service, args=(client, connection), daemon=True)
    sender.start()
    with contextlib.suppress(websocket.WebSocketException, OSError):
        while data := connection.recv():
            client.sendall(data if isinstance(data, bytes) else data.encode())
    client.close()


def _to_service(client: socket.socket, connection: websocket.WebSocket) -> None:
    with contextlib.suppress(websocket.WebSocketException, OSError):
        while data := client.recv(65536):
            connection.send_binary(data)
    with contextlib.suppress(websocket.WebSocketException, OSError):
        connection.close(timeout=1)
