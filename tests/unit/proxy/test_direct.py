"""The calls that move bytes: the same without waiting, plain and over TLS."""

from __future__ import annotations

import gevent
import pytest
from gevent import socket, ssl

from porthole.proxy.direct import calls, pending
from tests.certificates import Authority
from tests.unit.proxy.dialogue import tcp_pair

WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(params=["plain", "tls"])
def sides(request: pytest.FixtureRequest, authority: Authority) -> tuple[socket.socket, socket.socket]:
    """Two ends of a connection; the first does not wait."""
    ours, theirs = tcp_pair()
    if request.param == "tls":
        certificate, key = authority.issue("direct", "127.0.0.1")
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(certificate, key)
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.load_verify_locations(authority.certificate)
        shaking = gevent.spawn(server.wrap_socket, theirs, server_side=True)
        ours = client.wrap_socket(ours, server_hostname="127.0.0.1")
        theirs = shaking.get(timeout=5)
    ours.settimeout(0.0)
    return ours, theirs


def received(side: socket.socket, size: int = 100) -> bytes:
    buffer = memoryview(bytearray(size))
    with gevent.Timeout(5):
        while True:
            try:
                return bytes(buffer[: calls(side).recv_into(buffer, size)])
            except WOULD_BLOCK:
                gevent.sleep(0.001)


def test_bytes_go_both_ways(sides: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = sides
    assert calls(ours).send(b"a key", 0) == 5
    assert theirs.recv(100) == b"a key"
    theirs.sendall(b"its echo")
    assert received(ours) == b"its echo"


def test_no_more_is_read_than_is_asked_for(sides: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = sides
    theirs.sendall(b"its echo")
    assert received(ours, 3) == b"its"
    assert pending(ours) == isinstance(ours, ssl.SSLSocket), "only TLS holds what no io watcher will announce"
    assert received(ours) == b" echo"
    assert not pending(ours)


def test_nothing_to_read_raises_and_does_not_wait(sides: tuple[socket.socket, socket.socket]) -> None:
    with pytest.raises(WOULD_BLOCK):
        calls(sides[0]).recv_into(memoryview(bytearray(10)), 10)


def test_the_end_is_0_bytes(sides: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = sides
    theirs.close()
    assert received(ours) == b""


def test_what_does_not_fit_is_left_to_the_caller(sides: tuple[socket.socket, socket.socket]) -> None:
    ours, _ = sides

    def fill() -> int:
        sent = 0
        while sent < 100_000_000:
            try:
                sent += calls(ours).send(memoryview(bytes(1_000_000)), 0)
            except (BlockingIOError, ssl.SSLWantWriteError):
                break
        return sent

    assert 0 < fill() < 100_000_000
