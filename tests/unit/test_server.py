"""The server and its one adapter of gevent-websocket, on real sockets, in front of a small application."""

from __future__ import annotations

import base64
import contextlib
import gc
import json
import os
import resource
import socket as stdlib_socket
import ssl as stdlib_ssl
import struct
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gevent
import greenlet
import pytest
import structlog
from cryptography.hazmat.primitives import serialization
from gevent import socket, ssl
from gevent.event import Event
from gevent.pool import Pool
from gevent.server import StreamServer

from porthole import config, log, server
from porthole.proxy.ended import Ended
from porthole.proxy.errors import OriginRefused
from porthole.proxy.frames import Opcode
from porthole.proxy.gate import UpgradeRequest
from porthole.proxy.handler import REFUSAL, ConsoleHandler
from porthole.proxy.relay import Relay
from porthole.proxy.rfb.server import Opened
from porthole.proxy.rfb.wire import SecurityType, Version
from porthole.proxy.target import Target
from porthole.server import http
from porthole.server.http import ConsoleServer
from porthole.server.worker import log_unhandled
from tests.certificates import make_certificate
from tests.unit.proxy.wire import client_frame, server_frames

KEY = base64.b64encode(bytes(16)).decode()
TOKEN = "the-secret-token"
OPENING = b"RFB 003.008\n\x01"
"""A browser's part of RFB's opening: version and security type (RFC 6143 7.1)."""


class Console:
    """An admitted session whose VNC server has been opened and echoes."""

    def __init__(self, connection: socket.socket, seen: list[Any], confirmed: Event) -> None:
        self.target = Target(connection, Opened(Version.V3_8, SecurityType.NONE))
        self.input = None
        self.confirmed = confirmed
        self._seen = seen

    def started(self, relay: Relay) -> None:
        self._seen.append(relay)

    def confirm(self) -> None:
        self._seen.append("confirm")
        self.confirmed.wait()

    def explain(self) -> tuple[int, str]:
        return 4000, "The instance was shut down."

    def ended(self, ended: Ended | None) -> None:
        self._seen.append(ended)


class Service:
    """What the server needs of a service: settings, a gate, a WSGI application."""

    def __init__(self, vnc: tuple[str, int], **settings: Any) -> None:
        self.settings: Any = SimpleNamespace(
            **{
                "request_timeout": 5.0,
                "ping_interval": 60.0,
                "ping_timeout": 60.0,
                "pipeline_updates": True,
                "ssl_only": False,
                "hsts_max_age": 0,
                "trusted_proxies": (),
                **settings,
            }
        )
        self.gate: Any = self
        self.requests: list[UpgradeRequest] = []
        self.server: Any = None
        self.seen: list[Any] = []
        self.admission_takes = 0.0
        self.confirmed = Event()
        self.confirmed.set()
        self._vnc = vnc

    def admit(self, request: UpgradeRequest) -> Console:
        self.requests.append(request)
        gevent.sleep(self.admission_takes)
        if request.token != TOKEN:
            raise OriginRefused
        return Console(socket.create_connection(self._vnc), self.seen, self.confirmed)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        refusal = environ.get(REFUSAL)
        if refusal is not None:
            start_response("403 Forbidden", [("Connection", "close")])
            return [str(type(refusal).__name__).encode()]
        if environ["PATH_INFO"] == "/slow":
            gevent.sleep(self.admission_takes)
        if environ["PATH_INFO"] in ("/read", "/slow"):
            body = environ["wsgi.input"].read(10)
            start_response("200 OK", [])
            return [body]
        if environ["PATH_INFO"] == "/broken":
            raise RuntimeError("broken on purpose")
        start_response("200 OK", [])
        return [environ["wsgi.url_scheme"].encode()]

    def stop(self) -> None:
        pass


Start = Callable[..., tuple[Service, tuple[str, int]]]


@pytest.fixture
def vnc() -> Iterator[tuple[str, int]]:
    """A VNC server after its opening, which echoes."""

    def handle(connection: socket.socket, _address: Any) -> None:
        while data := connection.recv(65536):
            connection.sendall(data)
        connection.close()

    server = StreamServer(("127.0.0.1", 0), handle)
    server.start()
    yield ("127.0.0.1", int(server.server_port or 0))
    server.stop()


@pytest.fixture
def start(vnc: tuple[str, int]) -> Iterator[Start]:
    servers: list[ConsoleServer] = []

    def begin(context: Any = None, **settings: Any) -> tuple[Service, tuple[str, int]]:
        service = Service(vnc, **settings)
        more = {"ssl_context": context} if context else {}
        started = ConsoleServer(("127.0.0.1", 0), service, handler_class=ConsoleHandler, **more)
        started.start()
        servers.append(started)
        service.server = started
        return service, started.address

    yield begin
    for started in servers:
        started.stop(timeout=1)


def request(path: str = "/", *, token: str = TOKEN, **headers: str) -> bytes:
    """A browser's upgrade request."""
    fields = {
        "Host": "127.0.0.1",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": KEY,
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    lines = [f"GET {path}?token={token} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def connect(address: tuple[str, int], data: bytes = b"") -> socket.socket:
    connection = socket.create_connection(address, timeout=15)
    connection.sendall(data)
    return connection


def read_all(connection: socket.socket) -> bytes:
    data = b""
    try:
        while chunk := connection.recv(65536):
            data += chunk
    except ConnectionResetError:
        pass
    connection.close()
    return data


def read_head(connection: socket.socket) -> bytes:
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        data += connection.recv(1)
    return data


class TestUpgrade:
    def test_an_admitted_one_is_answered_as_rfc_6455_has_it(self, start: Start) -> None:
        _, address = start()
        connection = connect(address, request(Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ=="))
        head = read_head(connection).decode()
        assert head.startswith("HTTP/1.1 101 ")
        assert "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
        assert "Sec-WebSocket-Protocol" not in head
        assert connection.recv(14) == b"\x82\x0cRFB 003.008\n"
        connection.close()

    def test_frames_that_come_with_the_request_are_relayed(self, start: Start) -> None:
        _, address = start()
        connection = connect(address, request() + client_frame(2, OPENING + b"hello"))
        read_head(connection)
        data = b""
        while not data.endswith(b"hello"):
            data += connection.recv(100)
        connection.close()

    def test_it_arrives_byte_by_byte(self, start: Start) -> None:
        _, address = start()
        connection = connect(address)
        for byte in request():
            connection.sendall(bytes([byte]))
        assert read_head(connection).startswith(b"HTTP/1.1 101 ")
        connection.close()

    @pytest.mark.parametrize(("offered", "chosen"), [("binary", True), ("base64, binary", True), ("xbinaryx", False)])
    def test_the_subprotocol(self, start: Start, offered: str, chosen: bool) -> None:
        _, address = start()
        connection = connect(address, request(Sec_WebSocket_Protocol=offered))
        assert (b"Sec-WebSocket-Protocol: binary" in read_head(connection)) is chosen
        connection.close()

    def test_the_gate_sees_origin_host_and_address(self, start: Start) -> None:
        service, address = start()
        read_all(connect(address, request(token="no", Origin="http://evil.example")))
        (seen,) = service.requests
        assert (seen.scheme, seen.host, seen.origin) == ("http", "127.0.0.1", "http://evil.example")
        assert seen.client == "127.0.0.1"

    def test_a_refused_one_gets_an_answer_and_the_end_of_the_connection(self, start: Start) -> None:
        service, address = start()
        answer = read_all(connect(address, request(token="no") + request()))
        assert answer.startswith(b"HTTP/1.1 403 Forbidden")
        assert answer.endswith(b"OriginRefused")
        assert len(service.requests) == 1, "what was sent after it is not looked at"

    @pytest.mark.parametrize(
        "headers",
        [
            {"Sec_WebSocket_Version": "8"},
            {"Sec_WebSocket_Version": "7"},
            {"Sec_WebSocket_Key": "\xff\xff"},
            {"Sec_WebSocket_Key": "AAAA"},
            {"Content_Length": "100"},
            {"Connection": "close"},
        ],
    )
    def test_a_malformed_one_never_reaches_the_gate(self, start: Start, headers: dict[str, str]) -> None:
        service, address = start()
        assert b"BadUpgrade" in read_all(connect(address, request(**headers)))
        assert not service.requests

    def test_the_time_that_the_gate_takes_is_not_the_clients(self, start: Start) -> None:
        service, address = start(request_timeout=0.2)
        service.admission_takes = 0.5
        connection = connect(address, request())
        assert read_head(connection).startswith(b"HTTP/1.1 101 ")
        connection.close()

    def test_after_another_request_on_the_same_connection(self, start: Start) -> None:
        _, address = start()
        first = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        connection = connect(address, first + request() + client_frame(2, OPENING + b"early"))
        assert read_head(connection).startswith(b"HTTP/1.1 200 ")
        assert connection.recv(4) == b"http"
        assert read_head(connection).startswith(b"HTTP/1.1 101 ")
        data = b""
        while not data.endswith(b"early"):
            data += connection.recv(100)
        connection.close()

    @pytest.mark.parametrize("method", ["HEAD", "POST", "OPTIONS"])
    def test_only_get(self, start: Start, method: str) -> None:
        service, address = start()
        read_all(connect(address, request().replace(b"GET", method.encode(), 1)))
        assert not service.requests

    def test_a_session_holds_no_request(self, start: Start) -> None:
        service, address = start()
        connection = connect(address, request(Cookie="a=" + "x" * 4000))
        read_head(connection)
        connection.recv(14)
        handlers = [thing for thing in gc.get_objects() if isinstance(thing, ConsoleHandler)]
        (handler,) = [thing for thing in handlers if "socket" in vars(thing)]
        assert not handler.environ
        assert not handler.headers
        assert not [thing for thing in gc.get_referrers(handler.socket) if isinstance(thing, stdlib_socket.SocketIO)]
        connection.close()
        settle(service, 1)

    def test_our_greeting_comes_with_the_101_and_nothing_else_before_the_session_is_confirmed(
        self, start: Start
    ) -> None:
        service, address = start()
        service.confirmed.clear()
        connection = connect(address, request() + client_frame(Opcode.BINARY, OPENING))
        assert b" 101 " in read_head(connection)
        assert server_frames(connection.recv(14)) == [(Opcode.BINARY, OPENING[:12])]
        until(lambda: "confirm" in service.seen)
        connection.settimeout(0.1)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        service.confirmed.set()
        connection.settimeout(10)
        assert connection.recv(4) == b"\x82\x06\1\1"
        connection.close()
        settle(service, 1)

    def test_a_client_that_is_gone_before_the_101_leaves_nothing(self, start: Start) -> None:
        service, address = start()
        service.admission_takes = 0.2
        connection = connect(address, request())
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        until(lambda: None in service.seen or any(isinstance(thing, Ended) for thing in service.seen))

    def test_elsewhere_the_upgrade_header_means_nothing(self, start: Start) -> None:
        _, address = start()
        connection = connect(address, request("/other"))
        assert read_head(connection).startswith(b"HTTP/1.1 200")
        connection.close()


class TestPatience:
    """pywsgi waits for ever; here a request has ``request_timeout`` seconds."""

    @pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "])
    def test_a_request_that_does_not_come_is_not_waited_for(self, start: Start, sent: bytes) -> None:
        _, address = start(request_timeout=0.3)
        assert read_all(connect(address, sent)) == b""

    def test_nor_is_one_that_drips(self, start: Start) -> None:
        _, address = start(request_timeout=0.5)
        connection = connect(address)

        def drip() -> None:
            for byte in b"GET / HTTP/1.1\r\n" + b"X-Slow: x\r\n" * 1000:
                connection.sendall(bytes([byte]))
                gevent.sleep(0.05)

        dripping = gevent.spawn(drip)
        assert read_all(connection) == b""
        dripping.kill()

    def test_nor_is_a_body(self, start: Start) -> None:
        _, address = start(request_timeout=0.3)
        head = b"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n123"
        assert read_all(connect(address, head)).startswith(b"HTTP/1.1 408 ")

    def test_a_body_that_nobody_reads_ends_the_connection(self, start: Start) -> None:
        _, address = start()
        head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n"
        answer = read_all(connect(address, head))
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"\r\nConnection: close\r\n" in answer, "or the client would send its next request there"

    def test_the_time_that_the_application_takes_before_it_reads_is_not_the_clients(self, start: Start) -> None:
        service, address = start(request_timeout=0.3)
        service.admission_takes = 0.8
        head = b"POST /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc"
        answer = read_all(connect(address, head))
        assert answer.startswith(b"HTTP/1.1 200")
        assert answer.endswith(b"abc")

    def test_a_short_body_that_nobody_wants_costs_no_connection(self, start: Start) -> None:
        _, address = start()
        post = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
        answers = read_all(connect(address, post + b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
        assert answers.count(b"HTTP/1.1 200") == 2

    def test_a_body_arrives_byte_by_byte(self, start: Start) -> None:
        _, address = start()
        connection = connect(
            address, b"POST /read HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\n\r\n"
        )
        for byte in b"abcd":
            connection.sendall(bytes([byte]))
            gevent.sleep(0.01)
        assert read_all(connection).endswith(b"abcd")

    def test_a_body_that_ends_early_is_told_to_the_application(self, start: Start) -> None:
        _, address = start()
        connection = connect(address, b"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab")
        connection.shutdown(socket.SHUT_WR)
        assert read_all(connection).startswith(b"HTTP/1.1 500"), "which does not catch it here"

    def test_a_session_has_no_such_limit(self, start: Start) -> None:
        _, address = start(request_timeout=0.2)
        connection = connect(address, request())
        read_head(connection)
        gevent.sleep(0.6)
        connection.sendall(client_frame(2, OPENING + b"still here"))
        data = b""
        while not data.endswith(b"still here"):
            data += connection.recv(100)
        connection.close()


class TestNonsense:
    @pytest.mark.parametrize(
        "sent",
        [
            b"\x00\x01\x02\r\n\r\n",
            b"GET\r\n\r\n",
            b"GET / HTTP/9.9\r\n\r\n",
            b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 300 + b"\r\n",
            b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: many\r\n\r\n",
            b"POST /read HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        ],
    )
    def test_it_is_refused_and_the_server_goes_on(self, start: Start, sent: bytes) -> None:
        _, address = start(request_timeout=2)
        assert b" 200 " not in read_all(connect(address, sent))
        connection = connect(address, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert read_head(connection).startswith(b"HTTP/1.1 200")
        connection.close()

    @pytest.mark.parametrize(
        "head",
        [
            "Content-Length: 4\r\nContent-Length: 5",
            "Content-Length: 4\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
            "Content-Length: +4",
            "Content-Length: 1_0",
            "Content-Length : 4",
            "no header\r\nContent-Length: 4",
            "X: y\r\n folded: z",
            "X: y\rContent-Length: 4",
            "Host: y",
        ],
    )
    def test_a_head_that_can_be_read_in_two_ways_is_refused(self, start: Start, head: str) -> None:
        """Request smuggling (RFC 9112 11.2): a server in front of this one may see another request."""
        _, address = start()
        inside = b"GET /inside HTTP/1.1\r\nHost: x\r\n\r\n"
        sent = f"POST / HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n".encode() + inside
        assert read_all(connect(address, sent)).split(b"\r\n", 1)[0] == b"HTTP/1.1 400 Bad Request"

    def test_a_head_of_half_a_request_is_none(self, start: Start) -> None:
        _, address = start()
        connection = connect(address, b"GET / HTTP/1.1\r\nHost: x\r\n")
        connection.shutdown(socket.SHUT_WR)
        assert b" 200 " not in read_all(connection)

    def test_headers_without_end_are_not_kept(self, start: Start) -> None:
        _, address = start()
        connection = connect(address, b"GET / HTTP/1.1\r\nHost: x\r\n")
        with contextlib.suppress(ConnectionError):
            for _ in range(1000):
                connection.sendall(b"X: " + b"y" * 60_000 + b"\r\n")
        assert b" 200 " not in read_all(connection)

    @pytest.mark.parametrize(
        "sent",
        [
            b"GET / HTTP/1\r\n\r\n",
            b"GET / HTTP/x.y\r\n\r\n",
            b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 300 + b"\r\n",
            b"GET / HTTP/1.1\r\nX: y",
            b"nonsense\r\n",
        ],
    )
    def test_what_clients_do_wrong_leaves_no_traceback(
        self, start: Start, sent: bytes, capfd: pytest.CaptureFixture[str]
    ) -> None:
        _, address = start()
        connection = connect(address, sent)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        gevent.sleep(0.02)
        connection.close()
        gevent.sleep(0.05)
        assert "Traceback" not in capfd.readouterr().err

    def test_an_error_of_the_application_is_a_500(self, start: Start) -> None:
        _, address = start()
        assert read_all(connect(address, b"GET /broken HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).startswith(
            b"HTTP/1.1 500 "
        )


class TestCrowd:
    """Clients that connect and say nothing do not keep others out."""

    @pytest.fixture(autouse=True)
    def few(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(http, "MAX_CONNECTIONS", 5)

    def test_the_one_that_is_quiet_for_longest_makes_room(self, start: Start) -> None:
        _, address = start(request_timeout=60)
        idle = [connect(address, b"GET / HT") for _ in range(20)]
        connection = connect(address, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert read_head(connection).startswith(b"HTTP/1.1 200 ")
        for one in idle[:15]:
            assert read_all(one) == b""
        for one in (*idle, connection):
            one.close()

    def test_in_tls_handshakes_too(self, start: Start, certificate: tuple[Path, Path]) -> None:
        context = ssl.SSLContext(stdlib_ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        _, address = start(context, request_timeout=60)
        idle = [connect(address, b"\x16\x03") for _ in range(20)]
        for one in idle[:15]:
            assert read_all(one) == b""
        for one in idle:
            one.close()

    def test_consoles_are_not_among_them(self, start: Start) -> None:
        service, address = start(request_timeout=60)
        sessions = [connect(address, request()) for _ in range(10)]
        for session in sessions:
            read_head(session)
            session.recv(14)
        idle = [connect(address) for _ in range(20)]
        gevent.sleep(0.05)
        for session in sessions:
            session.sendall(client_frame(2, OPENING + b"x"))
            data = b""
            while not data.endswith(b"\x82\x01x"):
                data += session.recv(100)
        for one in (*idle, *sessions):
            one.close()
        settle(service, 10)

    def test_when_the_server_drains_each_connection_gets_one_answer_more_at_most(self, start: Start) -> None:
        service, address = start(request_timeout=60)
        kept = connect(address, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"Connection: close" not in read_head(kept)
        kept.recv(4)
        fresh, silent = connect(address), connect(address)
        gevent.sleep(0.05)
        service.server.connections.drain()
        assert kept.recv(1) == b""
        fresh.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
        answer = read_all(fresh)
        assert answer.count(b"HTTP/1.1 200 ") == 1
        assert b"\r\nConnection: close\r\n" in answer
        service.server.connections.close_idle()
        assert silent.recv(1) == b""
        silent.close()

    def test_when_the_server_stops_nobody_is_waited_for(self, start: Start) -> None:
        service, address = start(request_timeout=60)
        kept = connect(address, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        read_head(kept)
        service.admission_takes = 0.2
        answered = connect(address, request(token="no"))
        gevent.sleep(0.05)
        service.server.connections.close_idle()
        assert read_all(kept) == b"http"
        assert read_all(answered).startswith(b"HTTP/1.1 403 ")


class TestLog:
    @pytest.mark.parametrize(
        "sent",
        [
            request(),
            request("/other"),
            request(token=TOKEN + "x"),
            f"GET /?token={TOKEN} HTTP/9.9\r\n\r\n".encode(),
            f"GET /?token={TOKEN} nonsense HTTP/1.1\r\n\r\n".encode(),
            f"GET /broken?token={TOKEN} HTTP/1.1\r\n\r\n".encode(),
            f"POST /?token={TOKEN} HTTP/1.1\r\nContent-Length: x\r\n\r\n".encode(),
            b"GET / HTTP/1.1\r\nCookie: token=" + TOKEN.encode() + b"\r\nConnection: close\r\n\r\n",
        ],
    )
    def test_no_token_gets_into_it(self, start: Start, sent: bytes, capfd: pytest.CaptureFixture[str]) -> None:
        with structlog.testing.capture_logs() as lines:
            _, address = start(request_timeout=0.5)
            connection = connect(address, sent)
            gevent.sleep(0.05)
            connection.close()
            until(lambda: lines)
        printed = capfd.readouterr()
        assert lines, "something was logged"
        assert TOKEN not in repr(lines) + printed.out + printed.err


class TestTls:
    @pytest.fixture
    def context(self, certificate: tuple[Path, Path]) -> Any:
        context = ssl.SSLContext(stdlib_ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        return context

    @pytest.fixture
    def client(self, certificate: tuple[Path, Path]) -> Any:
        context = ssl.SSLContext(stdlib_ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(certificate[0])
        return context

    def test_tls_and_plain_on_one_port(self, start: Start, context: Any, client: Any) -> None:
        _, address = start(context)
        get = b"GET /scheme HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        assert read_all(connect(address, get)).endswith(b"http")
        secure = client.wrap_socket(connect(address), server_hostname="localhost")
        secure.sendall(get)
        assert read_all(secure).endswith(b"https")

    def test_an_upgrade_over_tls(self, start: Start, context: Any, client: Any) -> None:
        service, address = start(context)
        secure = client.wrap_socket(connect(address), server_hostname="localhost")
        secure.sendall(request() + client_frame(2, OPENING + b"early"))
        read_head(secure)
        data = b""
        while not data.endswith(b"early"):
            data += secure.recv(100)
        secure.close()
        assert service.requests[0].scheme == "https"

    @pytest.mark.parametrize("sent", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"])
    def test_a_handshake_that_does_not_go_on_is_cut_off(self, start: Start, context: Any, sent: bytes) -> None:
        _, address = start(context, request_timeout=0.3)
        assert read_all(connect(address, sent)) == b""

    def test_ssl_only_says_what_to_do(self, start: Start, context: Any) -> None:
        service, address = start(context, ssl_only=True)
        answer = read_all(connect(address, request()))
        assert answer.startswith(b"HTTP/1.1 426 ")
        assert b"https://" in answer
        assert not service.requests


class TestPublicScheme:
    """Over TLS browsers are told to come over TLS only (RFC 6797). A front end that is trusted says how they came."""

    GET = "GET /scheme HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{}\r\n"
    HSTS = b"Strict-Transport-Security: max-age=60\r\n"

    def ask(self, address: tuple[str, int], header: str = "", context: Any = None) -> bytes:
        connection = connect(address)
        if context is not None:
            connection = context.wrap_socket(connection, server_hostname="localhost")
        connection.sendall(self.GET.format(header).encode())
        return read_all(connection)

    @pytest.fixture
    def client(self, certificate: tuple[Path, Path]) -> Any:
        context = ssl.SSLContext(stdlib_ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(certificate[0])
        return context

    @pytest.fixture
    def context(self, certificate: tuple[Path, Path]) -> Any:
        context = ssl.SSLContext(stdlib_ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        return context

    def test_every_answer_over_tls_says_so_and_none_over_plain_http(
        self, start: Start, context: Any, client: Any
    ) -> None:
        _, address = start(context, hsts_max_age=60)
        assert self.HSTS in self.ask(address, context=client)
        secure = client.wrap_socket(connect(address, b""), server_hostname="localhost")
        secure.sendall(request(token="no"))
        assert self.HSTS in read_all(secure), "a refusal"
        secure = client.wrap_socket(connect(address, b""), server_hostname="localhost")
        secure.sendall(request())
        assert self.HSTS in read_head(secure), "a 101"
        secure.close()
        assert b"Strict-Transport" not in self.ask(address)
        assert b"Strict-Transport" not in self.ask(address, "X-Forwarded-Proto: https\r\n"), (
            "from nobody who is trusted"
        )

    def test_not_with_a_certificate_that_nobody_has_signed_nor_when_it_is_off(
        self, start: Start, context: Any, client: Any
    ) -> None:
        service, address = start(context, hsts_max_age=60)
        service.server.take_context(context, self_signed=True)
        assert b"Strict-Transport" not in self.ask(address, context=client)
        service.server.take_context(context, self_signed=False)
        assert self.HSTS in self.ask(address, context=client)
        _, address = start(context, hsts_max_age=0)
        assert b"Strict-Transport" not in self.ask(address, context=client)

    def test_behind_a_front_end_its_word_counts(self, start: Start) -> None:
        proxies = (ip_network("127.0.0.0/8"),)
        service, address = start(hsts_max_age=60, trusted_proxies=proxies)
        answer = self.ask(address, "X-Forwarded-Proto: https\r\n")
        assert self.HSTS in answer
        assert answer.endswith(b"https")
        answer = self.ask(address, "X-Forwarded-Proto: http\r\n")
        assert b"Strict-Transport" not in answer
        assert answer.endswith(b"http")
        read_all(connect(address, request(token="no", X_Forwarded_Proto="wss")))
        assert service.requests[-1].scheme == "https", "what the origin is compared with"

    def test_x_forwarded_host_means_nothing(self, start: Start) -> None:
        service, address = start(trusted_proxies=(ip_network("127.0.0.0/8"),))
        read_all(connect(address, request(token="no", X_Forwarded_Host="evil.example")))
        assert service.requests[-1].host == "127.0.0.1"

    def test_a_connection_keeps_its_certificate_and_the_next_one_has_the_new(
        self, start: Start, context: Any, client: Any, tmp_path: Path
    ) -> None:
        service, address = start(context)
        before = client.wrap_socket(connect(address), server_hostname="localhost")
        before.sendall(request() + client_frame(2, OPENING + b"before"))
        renewed = make_certificate(tmp_path, "localhost")
        other = ssl.SSLContext(stdlib_ssl.PROTOCOL_TLS_SERVER)
        other.load_cert_chain(*renewed)
        service.server.take_context(other, self_signed=True)
        trusting = ssl.SSLContext(stdlib_ssl.PROTOCOL_TLS_CLIENT)
        trusting.load_verify_locations(renewed[0])
        after = trusting.wrap_socket(connect(address), server_hostname="localhost")
        assert after.getpeercert(True) == stdlib_ssl.PEM_cert_to_DER_cert(renewed[0].read_text())
        assert after.getpeercert(True) != before.getpeercert(True)
        read_head(before)
        data = b""
        while not data.endswith(b"before"):
            data += before.recv(100)
        before.close()
        after.close()


class TestBeforeTheStart:
    def settings(self, **values: Any) -> Any:
        return SimpleNamespace(**{"cert": None, "key": None, **values})

    def test_a_certificate_that_loads(self, certificate: tuple[Path, Path], tmp_path: Path) -> None:
        server.check_certificate(self.settings())
        server.check_certificate(self.settings(cert=certificate[0], key=certificate[1]))
        both = tmp_path / "both.pem"
        both.write_bytes(certificate[0].read_bytes() + certificate[1].read_bytes())
        server.check_certificate(self.settings(cert=both))

    def test_one_that_does_not(self, certificate: tuple[Path, Path], tmp_path: Path) -> None:
        other = make_certificate(tmp_path, "other")
        nonsense = tmp_path / "nonsense.pem"
        nonsense.write_text("nonsense")
        key = serialization.load_pem_private_key(certificate[1].read_bytes(), None)
        locked = tmp_path / "locked.pem"
        locked.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(b"secret"),
            )
        )
        for cert, key_file, why in (
            (certificate[0], other[1], "key values mismatch"),
            (certificate[0], None, "does not load|do not load"),
            (nonsense, certificate[1], "do not load"),
            (certificate[0], locked, "has a password"),
            (certificate[0], tmp_path, "is a directory"),
        ):
            with pytest.raises(config.ConfigError, match=why) as caught:
                server.check_certificate(self.settings(cert=cert, key=key_file))
            assert str(cert) in str(caught.value)

    def test_the_limit_of_open_files_is_raised_or_fewer_sessions_fit(self) -> None:
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (1024, before[1]))
            assert server.sessions_that_fit(700) == 700
            assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 1400 + 900 + 200
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        with structlog.testing.capture_logs() as lines:
            fitting = server.sessions_that_fit(10**9)
        assert fitting < 10**9
        assert lines[0]["sessions"] == fitting
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


class TestAnswersItself:
    """What a service does before it says that it is ready."""

    def asked(self, vnc: tuple[str, int], context: Any = None, **settings: Any) -> Service:
        service = Service(vnc, **settings)
        more = {"ssl_context": context} if context else {}
        console_server = ConsoleServer(("127.0.0.1", 0), service, spawn=Pool(5), handler_class=ConsoleHandler, **more)
        try:
            console_server.ask_itself()
        finally:
            console_server.stop(timeout=1)
        return service

    def test_in_plain_http_without_a_listener(self, vnc: tuple[str, int]) -> None:
        self.asked(vnc)

    @pytest.mark.parametrize("ssl_only", [False, True])
    def test_over_tls(self, vnc: tuple[str, int], certificate: tuple[Path, Path], ssl_only: bool) -> None:
        context = ssl.SSLContext(stdlib_ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        self.asked(vnc, context, ssl_only=ssl_only)

    def test_another_answer_is_an_error(self, vnc: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(http, "_HEALTH", b"GET /broken HTTP/1.0\r\nHost: localhost\r\n\r\n")
        with pytest.raises(RuntimeError, match="as it should"):
            self.asked(vnc)

    def test_no_answer_is_an_error(self, vnc: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(http, "_HEALTH", b"GET /slow")
        with pytest.raises(RuntimeError, match="does not answer itself"):
            self.asked(vnc, request_timeout=0.2)


def test_an_error_in_the_hub_is_one_line_of_json_without_values(capsys: pytest.CaptureFixture[str]) -> None:
    hub = gevent.get_hub()
    secret = "in-a-local-variable"

    def fail() -> None:
        local = secret
        raise RuntimeError(f"a failure of {len(local)}")

    log.configure(debug=True)
    hub.print_exception = log_unhandled  # type: ignore[assignment, method-assign]
    try:
        gevent.spawn(fail).join()
    finally:
        del hub.print_exception
        structlog.reset_defaults()
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["event"] == "unhandled error"
    assert json.loads(line)["exception"][0]["exc_value"] == f"a failure of {len(secret)}"
    assert secret not in line


def test_a_thousand_sessions_leave_no_greenlet_and_no_socket(start: Start) -> None:
    service, address = start()

    def session(close: bool) -> None:
        connection = connect(address, request())
        read_head(connection)
        connection.recv(14)
        if close:
            connection.sendall(client_frame(8, b"\x03\xe8"))
            read_all(connection)
        connection.close()

    def counts() -> tuple[int, int]:
        gc.collect()
        greenlets = sum(isinstance(thing, greenlet.greenlet) and not thing.dead for thing in gc.get_objects())
        return greenlets, len(os.listdir("/proc/self/fd"))

    session(close=True)
    settle(service, 1)
    before = counts()
    for number in range(1000):
        session(close=number % 2 == 0)
    settle(service, 1001)
    until(lambda: counts() <= before and counts()[1] <= before[1])


def settle(service: Service, sessions: int) -> None:
    """Wait until so many sessions have ended."""
    until(lambda: sum(isinstance(thing, Ended) for thing in service.seen) >= sessions)


def until(condition: Callable[[], object]) -> None:
    """Wait until something is so; the limit is far above what any machine needs."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        gevent.sleep(0.02)
