"""A front end that ends TLS, as nginx or HAProxy would: one request a connection, with the headers of a proxy."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

IDLE = 60
"""Seconds of silence after which a connection is ended."""

_DROPPED = (b"x-forwarded-for:", b"x-forwarded-proto:", b"connection:")


@contextlib.contextmanager
def front_end(certificate: tuple[Path, Path], target: tuple[str, int], header: str = "") -> Iterator[int]:
    """Listen on a port of 127.0.0.1, and pass each request on.

    :param header: another one that it adds
    :returns: the port
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        arguments = (listener, context, target, header)
        threading.Thread(target=_serve, args=arguments, daemon=True).start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            listener.shutdown(socket.SHUT_RDWR)


def _serve(listener: socket.socket, context: ssl.SSLContext, target: tuple[str, int], header: str) -> None:
    while True:
        try:
            client, address = listener.accept()
        except OSError:
            return
        threading.Thread(target=_handle, args=(client, address[0], context, target, header), daemon=True).start()


def _handle(client: socket.socket, ip: str, context: ssl.SSLContext, target: tuple[str, int], header: str) -> None:
    with contextlib.suppress(OSError), context.wrap_socket(client, server_side=True) as browser:
        head = b""
        while b"\r\n\r\n" not in head:
            data = browser.recv(4096)
            if not data:
                return
            head += data
        first, _, body = head.partition(b"\r\n\r\n")
        upgrades = b"upgrade: websocket" in first.lower()
        lines = [line for line in first.split(b"\r\n") if not line.lower().startswith(_DROPPED)]
        lines += [f"X-Forwarded-For: {ip}".encode(), b"X-Forwarded-Proto: https"]
        lines += [b"Connection: Upgrade" if upgrades else b"Connection: close"]
        lines += [header.encode()] if header else []
        with socket.create_connection(target, timeout=30) as service:
            service.sendall(b"\r\n".join(lines) + b"\r\n\r\n" + body)
            _pump(browser, service)


def _pump(browser: ssl.SSLSocket, service: socket.socket) -> None:
    """Both ways until one side ends. One thread, since OpenSSL's connections are not for two at once."""
    listened_to: list[socket.socket] = [browser, service]
    while True:
        ready = (
            [browser] if browser in listened_to and browser.pending() else select.select(listened_to, [], [], IDLE)[0]
        )
        if not ready:
            return
        for source in ready:
            data = source.recv(65536)
            if not data:
                return
            if source is service:
                browser.sendall(data)
                continue
            try:
                service.sendall(data)
            except OSError:
                # It has answered without the rest of the request; the answer is still to be passed on.
                listened_to.remove(browser)
