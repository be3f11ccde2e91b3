"""Connecting to a VNC server: one that lets us in, one that is busy, silent, slow, insecure, or not there."""

from __future__ import annotations

import contextlib
import datetime
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from gevent import socket, ssl

from porthole.config import AuthScheme, ConfigError
from porthole.proxy import target, tls
from porthole.proxy.address import SocketAddress, TcpAddress
from porthole.proxy.errors import TargetInsecure, TargetLocked, TargetUnreachable
from porthole.proxy.rfb.password import VncPassword
from porthole.proxy.rfb.policy import SecurityPolicy
from porthole.proxy.rfb.wire import SecurityType
from porthole.proxy.target import Target
from tests.certificates import Authority

VERSION = b"RFB 003.008\n"
OK = bytes(4)
PLAIN = SecurityPolicy((AuthScheme.NONE,), "c1.example")
PASSWORDS = SecurityPolicy((AuthScheme.VNC,), "c1.example")
SECURE = SecurityPolicy((AuthScheme.VENCRYPT,), "c1.example")

Serve = Callable[[socket.socket], None]
Files = tuple[Path, Path]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(1)
        yield listening


def connect(
    listener: socket.socket,
    policy: SecurityPolicy = PLAIN,
    context: ssl.SSLContext | None = None,
    timeout: float = 5,
    password: VncPassword | None = None,
) -> Target:
    return target.connect(TcpAddress("127.0.0.1", listener.getsockname()[1]), timeout, policy, context, password)


@contextlib.contextmanager
def serving(listener: socket.socket, serve: Serve) -> Iterator[None]:
    """Handles connections one after the other."""

    def run() -> None:
        while True:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                serve(connection)

    server = gevent.spawn(run)
    try:
        yield
    finally:
        server.kill()


def read(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        chunk = connection.recv(count - len(data))
        assert chunk
        data += chunk
    return data


def let_in(connection: socket.socket) -> None:
    """A VNC server without TLS, up to its SecurityResult."""
    connection.sendall(VERSION)
    read(connection, 12)
    connection.sendall(b"\1\1")
    read(connection, 1)
    connection.sendall(OK)


class TestWithoutTls:
    def test_it_awaits_the_browser_and_nothing_of_what_follows_is_taken(self, listener: socket.socket) -> None:
        def serve(connection: socket.socket) -> None:
            let_in(connection)
            connection.sendall(b"early")
            read(connection, 1)
            connection.sendall(b"late")

        with serving(listener, serve):
            connected = connect(listener)
            with connected.socket as connection:
                assert connected.opened.security is SecurityType.NONE
                assert read(connection, 5) == b"early"
                connection.sendall(b"\1")
                assert read(connection, 4) == b"late"

    def test_a_byte_at_a_time(self, listener: socket.socket) -> None:
        def serve(connection: socket.socket) -> None:
            for byte in VERSION + b"\1\2" + bytes(16):
                connection.sendall(bytes([byte]))
                gevent.sleep(0.002)
            connection.recv(100)

        with serving(listener, serve):
            connected = connect(listener, PASSWORDS)
            with connected.socket as connection:
                assert connected.opened.security is SecurityType.VNC_AUTH
                assert read(connection, 16) == bytes(16), "the challenge is for the browser"

    def test_a_first_connection_that_gets_no_answer_is_given_up_for_a_second(self, listener: socket.socket) -> None:
        kept = []

        def serve() -> None:
            kept.append(listener.accept()[0])
            second = listener.accept()[0]
            let_in(second)
            kept.append(second)

        server = gevent.spawn(serve)
        connect(listener, timeout=10).socket.close()
        server.join(5)
        assert kept[0].recv(1) == b"", "the first one was closed"
        for one in kept:
            one.close()


class TestSockets:
    """A VNC server on a UNIX socket of this machine."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> str:
        return str(tmp_path / "vnc.sock")

    @pytest.fixture
    def socket_listener(self, path: str) -> Iterator[socket.socket]:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(path)
            listening.listen(1)
            yield listening

    def test_it_is_opened_as_one_on_a_port_is(self, socket_listener: socket.socket, path: str) -> None:
        def serve(connection: socket.socket) -> None:
            let_in(connection)
            connection.sendall(b"early")
            read(connection, 1)

        with serving(socket_listener, serve):
            connected = target.connect(SocketAddress(path), 5, PLAIN, None)
            with connected.socket as connection:
                assert connected.opened.security is SecurityType.NONE
                assert read(connection, 5) == b"early"
                connection.sendall(b"\1")

    def test_with_tls_the_name_in_the_certificate_counts_as_elsewhere(
        self, socket_listener: socket.socket, path: str, authorities: Authorities
    ) -> None:
        with serving(socket_listener, tls_server(authorities)):
            connected = target.connect(SocketAddress(path), 5, SECURE, authorities.context())
            with connected.socket as connection:
                assert read(connection, 5) == b"early"
            wrong = SecurityPolicy((AuthScheme.VENCRYPT,), "c2.example")
            with pytest.raises(TargetInsecure) as caught:
                target.connect(SocketAddress(path), 5, wrong, authorities.context())
        assert caught.value.why.startswith(f"socket {path}: TLS failed: its certificate is not accepted")

    def test_one_that_is_gone(self, path: str) -> None:
        with pytest.raises(TargetUnreachable) as caught:
            target.connect(SocketAddress(path), 5, PLAIN, None)
        assert caught.value.why == f"socket {path}: [Errno 2] No such file or directory"
        assert path not in str(caught.value)

    def test_one_that_this_user_may_not_open(self, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
        def denied(_self: socket.socket, _address: str) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(socket.socket, "connect", denied)  # root may open all there are
        with pytest.raises(TargetUnreachable) as caught:
            target.connect(SocketAddress(path), 5, PLAIN, None)
        assert caught.value.why.endswith("Permission denied: the user of this service may not open it")

    def test_one_that_takes_nobody_at_the_moment_is_tried_again_and_not_in_a_tight_loop(
        self, socket_listener: socket.socket, path: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fillers = [socket.socket(socket.AF_UNIX) for _ in range(8)]
        for filler in fillers:
            filler.settimeout(0.0)
            with contextlib.suppress(BlockingIOError):
                filler.connect(path)
        tries = []
        connect_ = socket.socket.connect

        def counted(self: socket.socket, address: str) -> None:
            tries.append(address)
            connect_(self, address)

        monkeypatch.setattr(socket.socket, "connect", counted)
        with pytest.raises(TargetUnreachable) as caught:
            target.connect(SocketAddress(path), 0.5, PLAIN, None)
        assert caught.value.why == f"socket {path}: timed out"
        assert 1 < len(tries) <= 15
        for filler in fillers:
            filler.close()


class TestPassword:
    """The challenge is answered before the browser has its 101."""

    @staticmethod
    def asking(listening: socket.socket, result: bytes) -> contextlib.AbstractContextManager[None]:
        """A VNC server whose guest's password is COW."""
        challenge = bytes(range(16))

        def serve(connection: socket.socket) -> None:
            connection.sendall(VERSION + b"\1\2")
            read(connection, 13)
            connection.sendall(challenge)
            if read(connection, 16) == VncPassword("COW").answer(challenge):
                connection.sendall(OK + b"early")
            else:
                connection.sendall(result)
            connection.recv(100)

        return serving(listening, serve)

    def test_the_right_one(self, listener: socket.socket) -> None:
        with self.asking(listener, b""):
            connected = connect(listener, PASSWORDS, password=VncPassword("COW"))
            with connected.socket as connection:
                assert not connected.opened.asks_browser
                assert read(connection, 5) == b"early"

    @pytest.mark.parametrize("reason", [b"\0\0\0\3bad", b"\xff\xff\xff\xff"])
    def test_a_wrong_one_is_told_without_it(self, listener: socket.socket, reason: bytes) -> None:
        with self.asking(listener, b"\0\0\0\1" + reason), pytest.raises(TargetLocked) as caught:
            connect(listener, PASSWORDS, password=VncPassword("s3cret"))
        assert "it does not accept the VNC password that libvirt has for the guest" in caught.value.why
        assert "s3cret" not in caught.value.why
        assert str(caught.value).startswith("The screen of this instance is locked by a VNC password")


class TestUnreachable:
    def test_one_that_says_nothing(self, listener: socket.socket) -> None:
        started = time.monotonic()
        with pytest.raises(TargetUnreachable) as caught:
            connect(listener, timeout=0.3)
        assert time.monotonic() - started > 0.2
        assert "said nothing" in caught.value.why
        assert "127.0.0.1" not in str(caught.value), "the user is told no address"

    def test_one_that_closes_at_once_is_not_asked_in_a_tight_loop(self, listener: socket.socket) -> None:
        accepted = []
        with serving(listener, lambda _: accepted.append(1)), pytest.raises(TargetUnreachable):
            connect(listener, timeout=0.5)
        assert 1 <= len(accepted) <= 15

    def test_a_port_where_nobody_listens(self) -> None:
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            with pytest.raises(TargetUnreachable, match="cannot be reached") as caught:
                connect(bound)
        assert "refused" in caught.value.why

    @pytest.mark.parametrize(
        ("said", "awaited"),
        [
            (b"R", "its greeting"),
            (VERSION, "the number of its security types"),
            (VERSION + b"\2\1", "its security types"),
            (VERSION + b"\1\1", "its security result"),
            (VERSION + b"\1\1\0\0\0\1", "the length of its reason"),
            (VERSION + b"\1\1\0\0\0\1\0\0\4\0not all of it", "its reason"),
        ],
    )
    def test_one_that_falls_silent(self, listener: socket.socket, said: bytes, awaited: str) -> None:
        def serve(connection: socket.socket) -> None:
            connection.sendall(said)
            while connection.recv(100):
                pass

        started = time.monotonic()
        with serving(listener, serve), pytest.raises(TargetUnreachable) as caught:
            connect(listener, timeout=0.3)
        assert 0.2 < time.monotonic() - started < 5
        assert caught.value.why.endswith(f"accepted, and {awaited} did not come within 0.3 s")

    def test_one_that_is_never_done_is_no_better_than_silence(self, listener: socket.socket) -> None:
        def serve(connection: socket.socket) -> None:
            connection.sendall(VERSION + b"\xff")
            while True:
                connection.sendall(b"\5")
                gevent.sleep(0.02)

        started = time.monotonic()
        with serving(listener, serve), pytest.raises(TargetUnreachable, match="cannot be reached"):
            connect(listener, timeout=0.5)
        assert time.monotonic() - started < 5

    @pytest.mark.parametrize("said", [b"RFB", VERSION, VERSION + b"\1\1"])
    def test_one_that_ends_the_connection(self, listener: socket.socket, said: bytes) -> None:
        def serve(connection: socket.socket) -> None:
            connection.sendall(said)
            gevent.sleep(0.05)

        with serving(listener, serve), pytest.raises(TargetUnreachable) as caught:
            connect(listener)
        assert "it ended the connection before its" in caught.value.why or "did not come" in caught.value.why

    def test_one_that_is_no_vnc_server(self, listener: socket.socket) -> None:
        with (
            serving(listener, lambda connection: connection.sendall(b"SSH-2.0-OpenSSH_9.2p1\r\n")),
            pytest.raises(TargetUnreachable) as caught,
        ):
            connect(listener)
        assert "it greets with 'SSH-2.0-Open'" in caught.value.why

    def test_one_that_refuses_with_a_reason(self, listener: socket.socket) -> None:
        reason = b"Too many security failures"

        def serve(connection: socket.socket) -> None:
            connection.sendall(VERSION + b"\0" + struct.pack("!I", len(reason)) + reason)

        with serving(listener, serve), pytest.raises(TargetUnreachable) as caught:
            connect(listener)
        assert caught.value.why.endswith("it refuses the connection, with the reason 'Too many security failures'")

    def test_whoever_waits_for_it_may_be_killed(self, listener: socket.socket) -> None:
        closed = []

        def serve(connection: socket.socket) -> None:
            connection.sendall(VERSION)
            while connection.recv(100):
                pass
            closed.append(1)

        with serving(listener, serve):
            connecting = gevent.spawn(connect, listener)
            gevent.sleep(0.1)
            connecting.kill()
            gevent.sleep(0.1)
        assert closed


# --- TLS


class Authorities:
    """Ours, with our certificate, and one that nobody knows."""

    def __init__(self, folder: Path) -> None:
        self.ours = Authority(folder / "ours", "Ours")
        self.other = Authority(folder / "other", "Other")
        self.server = self.ours.issue("server", "c1.example", "192.0.2.11", "2001:db8::11")
        self.client = self.ours.issue("client", usage=ExtendedKeyUsageOID.CLIENT_AUTH)

    def context(self, *, with_certificate: bool = True) -> ssl.SSLContext:
        cert, key = self.client if with_certificate else (None, None)
        return tls.make_context(self.ours.certificate, cert, key)


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> Authorities:
    return Authorities(tmp_path_factory.mktemp("authorities"))


def vencrypt(connection: socket.socket) -> None:
    """QEMU's side of VeNCrypt up to TLS."""
    connection.sendall(VERSION)
    read(connection, 12)
    connection.sendall(b"\1\x13")
    read(connection, 1)
    connection.sendall(b"\0\2")
    read(connection, 2)
    connection.sendall(b"\0\1" + struct.pack("!I", 260))
    read(connection, 4)
    connection.sendall(b"\1")


def tls_server(
    authorities: Authorities,
    certificate: Files | None = None,
    *,
    newest: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED,
    then: Serve = lambda connection: connection.sendall(OK + b"early"),
) -> Serve:
    """A VNC server of VeNCrypt that wants a certificate of ours."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if newest is ssl.TLSVersion.TLSv1_1:
        context.set_ciphers("DEFAULT@SECLEVEL=0")
        context.minimum_version = newest
    context.maximum_version = newest
    context.load_cert_chain(*(certificate or authorities.server))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authorities.ours.certificate)

    def serve(connection: socket.socket) -> None:
        vencrypt(connection)
        with context.wrap_socket(connection, server_side=True) as secure:
            then(secure)
            secure.recv(100)

    return serve


class TestTls:
    @pytest.mark.parametrize("name", ["c1.example", "192.0.2.11", "2001:db8::11"])
    @pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    def test_certificates_on_both_sides(
        self, listener: socket.socket, authorities: Authorities, name: str, newest: ssl.TLSVersion
    ) -> None:
        policy = SecurityPolicy((AuthScheme.VENCRYPT,), name)
        with serving(listener, tls_server(authorities, newest=newest)):
            connected = connect(listener, policy, authorities.context())
            with connected.socket as connection:
                assert connected.opened.security is SecurityType.VENCRYPT
                assert isinstance(connection, ssl.SSLSocket)
                assert connection.version() == {"TLSv1_2": "TLSv1.2", "TLSv1_3": "TLSv1.3"}[newest.name]
                assert read(connection, 5) == b"early"

    @pytest.mark.parametrize("name", ["c2.example", "192.0.2.12", "server", "example"])
    def test_another_name(self, listener: socket.socket, authorities: Authorities, name: str) -> None:
        policy = SecurityPolicy((AuthScheme.VENCRYPT,), name)
        why = self.refused(listener, tls_server(authorities), policy, authorities.context())
        assert "TLS failed: its certificate is not accepted: " in why
        assert "mismatch" in why
        assert name in why

    def test_another_authority(self, listener: socket.socket, authorities: Authorities) -> None:
        certificate = authorities.other.issue("server", "c1.example")
        why = self.refused(listener, tls_server(authorities, certificate), SECURE, authorities.context())
        assert "its certificate is not accepted: unable to get local issuer certificate" in why

    def test_an_expired_certificate(self, listener: socket.socket, authorities: Authorities) -> None:
        certificate = authorities.ours.issue("expired", "c1.example", good_for=-datetime.timedelta(hours=1))
        why = self.refused(listener, tls_server(authorities, certificate), SECURE, authorities.context())
        assert "its certificate is not accepted: certificate has expired" in why

    def test_a_certificate_for_something_else(self, listener: socket.socket, authorities: Authorities) -> None:
        certificate = authorities.ours.issue("purpose", "c1.example", usage=ExtendedKeyUsageOID.CLIENT_AUTH)
        why = self.refused(listener, tls_server(authorities, certificate), SECURE, authorities.context())
        assert "not accepted: unsuitable certificate purpose" in why or "unsupported certificate purpose" in why

    @pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    def test_we_have_no_certificate_and_it_wants_one(
        self, listener: socket.socket, authorities: Authorities, newest: ssl.TLSVersion
    ) -> None:
        server = tls_server(authorities, newest=newest)
        why = self.refused(listener, server, SECURE, authorities.context(with_certificate=False))
        assert "TLS failed" in why or "it ended the connection after the TLS handshake" in why

    def test_it_does_not_like_ours_and_says_nothing_as_qemu_does(
        self, listener: socket.socket, authorities: Authorities
    ) -> None:
        server = tls_server(authorities, then=lambda connection: socket.socket.shutdown(connection, socket.SHUT_RDWR))
        why = self.refused(listener, server, SECURE, authorities.context())
        assert "Most likely it does not accept our certificate: see vencrypt_client_cert" in why

    @pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1:DeprecationWarning")
    def test_tls_that_is_too_old(self, listener: socket.socket, authorities: Authorities) -> None:
        server = tls_server(authorities, newest=ssl.TLSVersion.TLSv1_1)
        assert "TLS failed" in self.refused(listener, server, SECURE, authorities.context())

    def test_no_tls_after_all(self, listener: socket.socket, authorities: Authorities) -> None:
        def serve(connection: socket.socket) -> None:
            vencrypt(connection)
            connection.sendall(OK + b"pixels in plain sight")
            connection.recv(100)

        assert "TLS failed: wrong version number" in self.refused(listener, serve, SECURE, authorities.context())

    def test_vnc_without_tls(self, listener: socket.socket, authorities: Authorities) -> None:
        why = self.refused(listener, let_in, SECURE, authorities.context())
        assert "this VNC server is without TLS" in why

    def test_it_falls_silent_in_the_handshake(self, listener: socket.socket, authorities: Authorities) -> None:
        def serve(connection: socket.socket) -> None:
            vencrypt(connection)
            while connection.recv(100):
                pass

        with serving(listener, serve), pytest.raises(TargetUnreachable) as caught:
            connect(listener, SECURE, authorities.context(), timeout=0.3)
        assert caught.value.why.endswith("the end of its TLS handshake did not come within 0.3 s")

    def test_and_after_it(self, listener: socket.socket, authorities: Authorities) -> None:
        server = tls_server(authorities, then=lambda _: gevent.sleep(5))
        with serving(listener, server), pytest.raises(TargetUnreachable) as caught:
            connect(listener, SECURE, authorities.context(), timeout=0.5)
        assert caught.value.why.endswith("its security result did not come within 0.5 s")

    def test_it_ends_the_connection_in_the_handshake(self, listener: socket.socket, authorities: Authorities) -> None:
        def serve(connection: socket.socket) -> None:
            vencrypt(connection)
            read(connection, 100)

        assert "TLS failed: it ended the connection" in self.refused(listener, serve, SECURE, authorities.context())

    def test_the_service_has_no_authorities(self, listener: socket.socket, authorities: Authorities) -> None:
        assert "was started without vencrypt_ca_certs" in self.refused(listener, tls_server(authorities), SECURE, None)

    @staticmethod
    def refused(listener: socket.socket, serve: Serve, policy: SecurityPolicy, context: ssl.SSLContext | None) -> str:
        """Why it is, for the log; whoever asked for the console is told no address, and the connection is closed."""
        with serving(listener, serve), pytest.raises(TargetInsecure) as caught:
            connect(listener, policy, context)
        assert "127.0.0.1" not in str(caught.value)
        assert caught.value.why.startswith("127.0.0.1 port ")
        return caught.value.why


class TestFiles:
    """What is wrong with the files is said at the start."""

    def test_no_authority_in_it(self, tmp_path: Path) -> None:
        file = tmp_path / "ca.pem"
        file.write_text("no PEM")
        with pytest.raises(ConfigError, match=r"option vencrypt_ca_certs in \[vnc\] is .*ca\.pem, which does not load"):
            tls.make_context(file, None, None)

    def test_a_file_that_is_not_there(self, authorities: Authorities, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="no such file"):
            tls.make_context(tmp_path / "missing", None, None)
        with pytest.raises(ConfigError, match=r"vencrypt_client_cert and vencrypt_client_key .*\(no such file"):
            tls.make_context(authorities.ours.certificate, tmp_path / "missing", None)

    def test_a_key_that_does_not_belong_to_it(self, authorities: Authorities) -> None:
        with pytest.raises(ConfigError, match=r"which do not load .*mismatch"):
            tls.make_context(authorities.ours.certificate, authorities.client[0], authorities.server[1])

    def test_certificate_and_key_in_one_file(self, authorities: Authorities, tmp_path: Path) -> None:
        both = tmp_path / "both.pem"
        both.write_bytes(b"".join(path.read_bytes() for path in authorities.client))
        assert tls.make_context(authorities.ours.certificate, both, None)

    def test_what_it_insists_on(self, authorities: Authorities) -> None:
        context = authorities.context()
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname
        assert not context.hostname_checks_common_name


class TestOurOwnEnd:
    """libvirt tells of each client of a screen; those that are our own are known by their address and port."""

    def test_each_connection_is_told_whatever_becomes_of_it(self, listener: socket.socket) -> None:
        told: list[str] = []
        seen: list[str] = []

        def refuse(connection: socket.socket) -> None:
            address, port = connection.getpeername()
            seen.append(f"{address}:{port}")

        with serving(listener, refuse), pytest.raises(TargetUnreachable):
            target.connect(TcpAddress("127.0.0.1", listener.getsockname()[1]), 0.3, PLAIN, None, dialled=told.append)
        assert len(told) > 1, "it was tried again"
        assert told[: len(seen)] == seen

    @pytest.mark.parametrize(
        ("address", "name"),
        [
            ("192.0.2.1", "192.0.2.1:5"),
            ("::ffff:192.0.2.1", "192.0.2.1:5"),
            ("2001:DB8::0:1", "[2001:db8::1]:5"),
            ("fe80::1%eth0", "[fe80::1]:5"),
            ("c1.example", "c1.example:5"),
        ],
    )
    def test_one_end_has_one_name(self, address: str, name: str) -> None:
        assert target.end_name(address, "5") == name
