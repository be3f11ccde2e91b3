"""Computes on libvirt's own test driver, and network ports that behave badly.

gevent is used without monkey-patching: the code under test uses gevent by name.
"""

from __future__ import annotations

import socket
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.sax.saxutils import escape

import gevent
import libvirt
import pytest
from gevent.server import StreamServer

from porthole.compute import Computes
from porthole.config import AuthScheme, ComputeSettings

NOVA = "http://openstack.org/xmlns/libvirt/nova/1.1"

MakeComputes = Callable[..., Computes]
MakeNode = Callable[..., str]
Eventually = Callable[[Callable[[], object]], None]


@pytest.fixture(scope="session", autouse=True)
def _quiet_libvirt() -> None:
    libvirt.registerErrorHandler(lambda context, error: None, None)


@pytest.fixture
def eventually() -> Eventually:
    """Waits until something is true. The limit is far above what any machine needs."""

    def wait(condition: Callable[[], object]) -> None:
        end = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < end, "it did not become true within 30 s"
            gevent.sleep(0.005)

    return wait


@pytest.fixture
def make_computes() -> Iterator[MakeComputes]:
    """Started Computes, one for each ``name=uri``; its VNC address is ``name.vnc.example``."""
    made: list[Computes] = []

    def make(*, call_timeout: float = 30.0, resync_interval: float = 3600.0, **uris: str) -> Computes:
        settings = [
            ComputeSettings(name, uri, f"{name}.vnc.example", (AuthScheme.VENCRYPT,), f"{name}.tls.example")
            for name, uri in uris.items()
        ]
        computes = Computes(settings, call_timeout=call_timeout, resync_interval=resync_interval)
        made.append(computes)
        computes.start()
        return computes

    yield make
    for computes in made:
        computes.stop()


def domain_xml(
    name: str,
    *,
    id_: str | None = None,
    display_name: str | None = None,
    graphics: str = "<graphics type='vnc' port='5901' autoport='no' listen='203.0.113.66'/>",
) -> str:
    """A domain for libvirt's test driver, with Nova's metadata when it has a display name."""
    metadata = (
        f"<metadata><nova:instance xmlns:nova='{NOVA}'><nova:name>{escape(display_name)}</nova:name></nova:instance>"
        "</metadata>"
        if display_name
        else ""
    )
    return (
        f"<domain type='test'><name>{escape(name)}</name><uuid>{id_ or uuid.uuid4()}</uuid>{metadata}"
        "<memory>8192</memory><vcpu>1</vcpu><os><type>hvm</type></os>"
        f"<devices>{graphics}</devices></domain>"
    )


@pytest.fixture
def make_node(tmp_path: Path) -> MakeNode:
    """The URI of a host of libvirt's test driver that has the given running domains.

    Each connection to it has a copy of its own.
    """

    def make(*domains: str) -> str:
        path = tmp_path / f"{uuid.uuid4()}.xml"
        path.write_text(f"<node>{''.join(domains)}</node>")
        return f"test://{path}"

    return make


@pytest.fixture
def shared_host() -> Iterator[libvirt.virConnect]:
    """``test:///default``, whose connections in one process all see the same host. Other than the domain
    ``test`` that it begins with, it is empty."""
    conn = libvirt.open("test:///default")
    yield conn
    for domain in conn.listAllDomains():
        if domain.name() != "test":
            persistent = domain.isPersistent()
            if domain.isActive():
                domain.destroy()
            if persistent:
                domain.undefine()
    conn.close()


@pytest.fixture
def refused_port() -> Iterator[int]:
    """A port that refuses connections: bound, so that nobody else gets it, and not listening."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that accepts and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock.getsockname()[1]


@pytest.fixture
def black_hole_port() -> Iterator[int]:
    """A port that answers no SYN: Linux drops them while the queue of a listening socket is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
        for filler in fillers:
            filler.close()


class HangingLibvirt:
    """A server that passes the probe, for it answers, and then leaves libvirt itself waiting for ever."""

    def __init__(self) -> None:
        self._sockets: list[gevent.socket.socket] = []
        self._server = StreamServer(("127.0.0.1", 0), self._serve)
        self._server.start()
        self.port = int(self._server.address[1])

    def _serve(self, sock: gevent.socket.socket, address: object) -> None:
        self._sockets.append(sock)
        sock.recv(1)
        sock.sendall(b"\0")
        gevent.sleep(3600)

    def stop(self) -> None:
        """Close the port and all connections."""
        self._server.stop(timeout=0)
        while self._sockets:
            self._sockets.pop().shutdown(socket.SHUT_RDWR)


@pytest.fixture
def hanging_libvirt() -> Iterator[HangingLibvirt]:
    """A libvirt that hangs after its first answer."""
    server = HangingLibvirt()
    yield server
    server.stop()
