"""Where a libvirt URI leads, and whether somebody answers there."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import gevent
import pytest
from gevent.server import StreamServer

from porthole.compute.probe import Endpoint, ProbeError, endpoint, is_local, probe

Serve = Callable[[Callable[[gevent.socket.socket], None]], int]


@pytest.mark.parametrize(
    ("uri", "where"),
    [
        ("qemu+tcp://c1/system", Endpoint("tcp", "c1", 16509)),
        ("qemu+tcp://c1:1234/system", Endpoint("tcp", "c1", 1234)),
        ("qemu+tls://c1/system?pkipath=/etc/pki", Endpoint("tls", "c1", 16514)),
        ("qemu://c1/system", Endpoint("tls", "c1", 16514)),
        ("qemu+ssh://nova@c1/system?keyfile=/k", Endpoint("ssh", "c1", 22)),
        ("qemu+libssh2://nova@c1:2222/system", Endpoint("libssh2", "c1", 2222)),
        ("qemu+tcp://[2001:db8::1]:99/system", Endpoint("tcp", "2001:db8::1", 99)),
        ("qemu+tcp:///system", Endpoint("tcp", "localhost", 16509)),
        ("qemu:///system", None),
        ("qemu+unix:///system?socket=/run/x", None),
        ("qemu+ext://c1/system?command=/bin/x", None),
        ("test:///default", None),
    ],
)
def test_endpoint_of_a_uri(uri: str, where: Endpoint | None) -> None:
    assert endpoint(uri) == where


@pytest.mark.parametrize(
    ("uri", "local"),
    [
        ("qemu:///system", True),
        ("qemu:///session", True),
        ("qemu+unix:///session?socket=/run/x", True),
        ("test:///default", True),
        ("qemu+tcp:///system", False),
        ("qemu+tls://c1/system", False),
        ("qemu://localhost/system", False),
        ("qemu+ssh://c1/session", False),
        ("qemu+ext:///system?command=/bin/x", False),
        ("qemu+unix://c1/system", False),
    ],
)
def test_a_uri_without_host_and_network_is_of_this_machine(uri: str, local: bool) -> None:
    assert is_local(uri) is local


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A server on a free port whose handler gets each connection."""
    servers: list[StreamServer] = []

    def start(handler: Callable[[gevent.socket.socket], None]) -> int:
        server = StreamServer(("127.0.0.1", 0), lambda sock, address: handler(sock))
        server.start()
        servers.append(server)
        return int(server.address[1])

    yield start
    for server in servers:
        server.stop(timeout=0)


def ask(transport: str, port: int, timeout: float = 30.0, addresses: tuple[str, ...] = ("127.0.0.1",)) -> None:
    probe(Endpoint(transport, "c1", port), list(addresses), timeout)


@pytest.mark.parametrize("transport", ["tcp", "tls", "ssh"])
def test_whoever_answers_passes(transport: str, serve: Serve) -> None:
    def answer(sock: gevent.socket.socket) -> None:
        if transport != "ssh":  # an SSH server speaks first
            assert sock.recv(100)
        sock.sendall(b"S")
        gevent.sleep(60)

    ask(transport, serve(answer))


def test_libvirt_is_asked_its_own_first_question(serve: Serve) -> None:
    asked: list[bytes] = []

    def answer(sock: gevent.socket.socket) -> None:
        asked.append(sock.recv(100))
        sock.sendall(b"\0")

    ask("tcp", serve(answer))

    assert asked == [bytes.fromhex("0000001c 20008086 00000001 00000042 00000000 00000000 00000000")]


def test_a_refused_connection(refused_port: int) -> None:
    with pytest.raises(ProbeError, match=r"c1 port \d+: refused the connection"):
        ask("tcp", refused_port)


@pytest.mark.parametrize("transport", ["tcp", "tls", "ssh"])
def test_a_silent_port(transport: str, silent_port: int) -> None:
    with pytest.raises(ProbeError, match=r"did not answer within 0\.1 s"):
        ask(transport, silent_port, timeout=0.1)


def test_a_host_that_drops_packets(black_hole_port: int) -> None:
    with pytest.raises(ProbeError, match=r"did not answer within 0\.1 s"):
        ask("tcp", black_hole_port, timeout=0.1)


def test_a_port_that_hangs_up(serve: Serve) -> None:
    with pytest.raises(ProbeError, match=r"closed the connection|reset"):
        ask("tcp", serve(lambda sock: sock.close()))


def test_a_name_without_an_address() -> None:
    with pytest.raises(ProbeError, match="no address"):
        ask("tcp", 1, addresses=())


def test_all_addresses_of_a_host_are_tried(serve: Serve) -> None:
    port = serve(lambda sock: sock.sendall(b"S"))

    ask("ssh", port, addresses=("127.66.66.66", "127.0.0.1"))
