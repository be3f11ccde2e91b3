"""The relay between two real TCP connections: what arrives, what blocks what, and how it ends."""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent import socket, ssl
from gevent.event import Event

from porthole.proxy import buffers as buffers_module
from porthole.proxy import relay as relay_module
from porthole.proxy import to_client as to_client_module
from porthole.proxy.ended import Ended
from porthole.proxy.errors import CloseCode
from porthole.proxy.frames import MAX_FRAME_PAYLOAD, Opcode
from porthole.proxy.rfb.browser import open_browser
from porthole.proxy.rfb.server import Opened
from porthole.proxy.rfb.wire import SecurityType, Version
from tests.unit.proxy.dialogue import Dialogue
from tests.unit.proxy.wire import client_frame, server_frames

Start = Callable[..., Dialogue]
Wrap = Callable[[socket.socket, socket.socket], tuple[socket.socket, socket.socket]]


def close(code: int, reason: str = "") -> bytes:
    return client_frame(Opcode.CLOSE, struct.pack("!H", code) + reason.encode())


class TestBothWays:
    def test_what_the_vnc_server_sends_arrives_as_binary_frames(self, dialogue: Start) -> None:
        d = dialogue()
        d.vnc.sendall(b"RFB 003.008\n")
        assert server_frames(d.browser.recv(100)) == [(Opcode.BINARY, b"RFB 003.008\n")]

    def test_what_the_browser_sends_arrives_unmasked(self, dialogue: Start) -> None:
        d = dialogue()
        d.types(b"RFB 003.008\n")
        assert d.vnc_gets(12) == b"RFB 003.008\n"

    def test_what_came_together_with_the_upgrade_is_not_lost(self, dialogue: Start) -> None:
        data = client_frame(Opcode.BINARY, b"early bird")
        d = dialogue(early=data[:5])
        d.browser.sendall(data[5:])
        assert d.vnc_gets(10) == b"early bird"

    def test_byte_by_byte_in_both_directions(self, dialogue: Start) -> None:
        d = dialogue()
        for byte in client_frame(Opcode.BINARY, b"abc"):
            d.browser.sendall(bytes([byte]))
            gevent.sleep(0.001)
        assert d.vnc_gets(3) == b"abc"
        d.vnc.sendall(b"x")
        gevent.sleep(0.01)
        d.vnc.sendall(b"y")
        gevent.sleep(0.01)
        assert b"".join(payload for _, payload in server_frames(d.browser.recv(100))) == b"xy"

    def test_megabytes_at_once_in_both_directions_arrive_whole(self, dialogue: Start) -> None:
        d = dialogue()
        picture, upload = os.urandom(5_000_000), os.urandom(3_000_000)
        frames = b"".join(client_frame(Opcode.BINARY, upload[at : at + 70_000]) for at in range(0, len(upload), 70_000))
        senders = [gevent.spawn(d.vnc.sendall, picture), gevent.spawn(d.browser.sendall, frames + close(1000))]
        got = gevent.spawn(d.vnc_gets, len(upload))
        everything = gevent.spawn(d.browser_gets)
        assert got.get(timeout=20) == upload
        # The browser's Close ends the session; what the VNC server had in flight then is cut.
        payload = b"".join(data for opcode, data in everything.get(timeout=20) if opcode == Opcode.BINARY)
        assert picture.startswith(payload)
        gevent.killall(senders)

    def test_traffic_is_counted_without_framing(self, dialogue: Start) -> None:
        d = dialogue()
        d.types(b"12345")
        d.vnc_gets(5)
        d.vnc.sendall(b"123")
        d.browser.recv(100)
        assert (d.relay.traffic.to_target, d.relay.traffic.to_client) == (5, 3)


class TestIndependence:
    def test_a_browser_that_does_not_read_still_types(self, dialogue: Start) -> None:
        d = dialogue()
        flood = gevent.spawn(d.vnc.sendall, bytes(50_000_000))
        gevent.sleep(0.3)
        assert not flood.dead, "the flood is held back by TCP, not swallowed by a buffer"
        for _ in range(20):
            d.types(b"key")
            assert d.vnc_gets(3) == b"key"
        assert d.relay.traffic.to_client < 30_000_000
        flood.kill()

    def test_a_vnc_server_that_does_not_read_still_draws(self, dialogue: Start) -> None:
        d = dialogue()
        paste = client_frame(Opcode.BINARY, bytes(60_000)) * 800
        flood = gevent.spawn(d.browser.sendall, paste)
        gevent.sleep(0.3)
        assert not flood.dead
        for _ in range(20):
            d.vnc.sendall(b"pixels")
            assert server_frames(d.browser.recv(100)) == [(Opcode.BINARY, b"pixels")]
        flood.kill()

    def test_a_vnc_server_that_reads_nothing_for_too_long_ends_the_session(self, dialogue: Start) -> None:
        d = dialogue(ping_interval=0.2, ping_timeout=0.2)
        paste = client_frame(Opcode.BINARY, bytes(60_000)) * 800
        flood = gevent.spawn(d.browser.sendall, paste)
        # The browser's leaving cannot be seen: its FIN waits behind what was not read.
        gevent.sleep(0.2)
        flood.kill()
        d.browser.close()
        assert d.ended().code == CloseCode.VNC_SERVER_CLOSED

    def test_a_vnc_server_that_reads_slowly_is_no_reason_to_end(self, dialogue: Start) -> None:
        d = dialogue(ping_interval=0.3, ping_timeout=0.3)
        paste = client_frame(Opcode.BINARY, bytes(60_000)) * 200
        flood = gevent.spawn(d.browser.sendall, paste)
        for _ in range(12):
            gevent.sleep(0.1)
            d.vnc_gets(1_000_000)
        flood.join(timeout=10)
        assert flood.successful()
        assert d.is_running


class TestKeepalive:
    def test_a_ping_is_answered_with_its_payload(self, dialogue: Start) -> None:
        d = dialogue()
        d.browser.sendall(client_frame(Opcode.PING, b"are you there"))
        assert server_frames(d.browser.recv(100)) == [(Opcode.PONG, b"are you there")]

    def test_a_pong_never_lands_inside_a_frame(self, dialogue: Start) -> None:
        d = dialogue()
        flood = gevent.spawn(d.vnc.sendall, bytes(3_000_000))
        gevent.sleep(0.2)
        for number in range(50):
            d.browser.sendall(client_frame(Opcode.PING, str(number).encode()))
        reader = gevent.spawn(d.browser_gets)
        flood.join(timeout=10)
        gevent.sleep(0.2)
        d.vnc.close()
        frames = reader.get(timeout=10)
        assert sum(len(payload) for opcode, payload in frames if opcode == Opcode.BINARY) == 3_000_000
        # RFC 6455 5.5.3: of pings that waited, the last one has to be answered.
        assert [payload for opcode, payload in frames if opcode == Opcode.PONG][-1] == b"49"

    def test_a_silent_browser_is_pinged_and_an_answer_keeps_it(self, dialogue: Start) -> None:
        d = dialogue(ping_interval=0.1, ping_timeout=2)
        for _ in range(3):
            assert server_frames(d.browser.recv(100)) == [(Opcode.PING, b"")]
            d.browser.sendall(client_frame(Opcode.PONG))
        assert d.is_running

    def test_a_browser_on_a_slow_line_is_not_given_up_while_it_takes_a_large_picture(self, dialogue: Start) -> None:
        d = dialogue(ping_interval=0.1, ping_timeout=0.1)
        d.browser.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        flood = gevent.spawn(d.vnc.sendall, bytes(20_000_000))
        got = 0
        while got < 20_000_000:
            # It answers no ping: that would be read behind megabytes of pixels.
            data = d.browser.recv(300_000)
            assert data, f"given up after {got} bytes"
            got += len(data)
            gevent.sleep(0.005)
        flood.get(timeout=10)

    @pytest.mark.usefixtures("impatient")
    def test_but_one_that_takes_nothing_is(self, dialogue: Start) -> None:
        d = dialogue(ping_interval=0.1, ping_timeout=0.2)
        flood = gevent.spawn(d.vnc.sendall, bytes(50_000_000))
        assert d.ended().code == CloseCode.CLIENT_SILENT
        flood.kill()

    def test_a_browser_that_does_not_answer_is_given_up(self, dialogue: Start) -> None:
        d = dialogue(ping_interval=0.1, ping_timeout=0.2)
        assert d.browser_gets_close() == (CloseCode.CLIENT_SILENT, "The browser did not answer for too long.")
        assert d.ended().by == "service"


class TestEnds:
    def test_the_vnc_server_closes_and_the_browser_is_told_why(self, dialogue: Start) -> None:
        d = dialogue()
        d.vnc.sendall(b"last words")
        d.vnc.close()
        frames = d.browser_gets()
        assert frames[0] == (Opcode.BINARY, b"last words")
        assert frames[-1] == (Opcode.CLOSE, struct.pack("!H", 4000) + b"The instance was shut down.")
        assert d.ended() == Ended(4000, "The instance was shut down.", "target")

    def test_all_that_the_vnc_server_sent_before_it_closed_is_delivered(self, dialogue: Start) -> None:
        d = dialogue()
        reader = gevent.spawn(d.browser_gets)
        d.vnc.sendall(bytes(2_000_000))
        d.vnc.close()
        frames = reader.get(timeout=10)
        assert sum(len(payload) for opcode, payload in frames if opcode == Opcode.BINARY) == 2_000_000

    def test_the_browser_closes_and_its_code_is_echoed(self, dialogue: Start) -> None:
        d = dialogue()
        d.browser.sendall(client_frame(Opcode.BINARY, b"x") + close(1000, "bye"))
        assert d.browser_gets_close()[0] == 1000
        assert d.ended().by == "client"
        assert d.vnc.recv(10) == b"x"
        assert d.vnc.recv(10) == b""

    def test_the_browser_vanishes(self, dialogue: Start) -> None:
        d = dialogue()
        d.browser.close()
        assert d.ended() == Ended(CloseCode.NO_STATUS, "The browser closed the connection.", "client")
        assert d.vnc.recv(10) == b""

    def test_a_reset_is_an_end_like_others(self, dialogue: Start) -> None:
        d = dialogue()
        d.browser.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        d.browser.close()
        assert d.ended().by == "client"

    def test_somebody_else_ends_it_with_a_reason(self, dialogue: Start) -> None:
        d = dialogue()
        gevent.sleep(0.05)
        d.relay.end(CloseCode.ENDED_BY_ADMINISTRATOR, "An administrator ended this session.")
        d.relay.end(CloseCode.NORMAL, "too late")
        assert d.browser_gets_close() == (4002, "An administrator ended this session.")

    @pytest.mark.usefixtures("impatient")
    def test_even_when_the_browser_does_not_read(self, dialogue: Start) -> None:
        d = dialogue()
        flood = gevent.spawn(d.vnc.sendall, bytes(50_000_000))
        gevent.sleep(0.2)
        d.relay.end(CloseCode.ENDED_BY_ADMINISTRATOR, "An administrator ended this session.")
        assert d.ended().code == 4002
        flood.kill()

    @pytest.mark.usefixtures("impatient")
    def test_no_close_frame_lands_inside_a_frame_that_the_browser_did_not_take(self, dialogue: Start) -> None:
        def explain() -> tuple[int, str]:
            reader.start()  # it begins to read when it is too late
            gevent.sleep(0.1)
            return CloseCode.INSTANCE_STOPPED, "The instance was shut down."

        d = dialogue(explain=explain, client_buffer=8192)
        data = bytearray()

        def read() -> None:
            with contextlib.suppress(ConnectionResetError):
                while chunk := d.browser.recv(65536):
                    data.extend(chunk)

        reader = gevent.Greenlet(read)
        flood = gevent.spawn(d.vnc.sendall, bytes(50_000_000))
        d.until_stuck()
        flood.kill()
        d.vnc.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        d.vnc.close()
        d.types(b"and this shows that it is gone")
        assert d.ended().by == "target"
        reader.join(timeout=10)
        assert b"shut down" not in data

    @pytest.mark.parametrize(
        ("data", "code"),
        [
            (b"\x82\x05Hello", 1002),
            (client_frame(Opcode.TEXT, b"hi"), 1003),
            (struct.pack("!BBQ", 0x82, 0xFF, MAX_FRAME_PAYLOAD + 1), 1009),
            (client_frame(Opcode.CLOSE, b"\x03\xe8\xff"), 1007),
        ],
    )
    def test_a_broken_protocol_is_answered_with_its_code(self, dialogue: Start, data: bytes, code: int) -> None:
        d = dialogue()
        d.browser.sendall(data)
        assert d.browser_gets_close()[0] == code
        assert d.ended().by == "service"
        assert d.vnc.recv(10) == b""

    def test_a_browser_that_does_not_stop_sending_after_the_end_is_cut_off(self, dialogue: Start) -> None:
        d = dialogue()
        d.browser.sendall(b"\x82\x05Hello")

        def chatter() -> None:
            while True:
                d.browser.sendall(bytes(65536))

        chatterer = gevent.spawn(chatter)
        assert d.ended().code == 1002
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            chatterer.get(timeout=10)


def tls_client(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(certificate[0])
    return client


def shake_hands(
    certificate: tuple[Path, Path], context: ssl.SSLContext, client: socket.socket, server: socket.socket
) -> tuple[ssl.SSLSocket, ssl.SSLSocket]:
    """Make a connection TLS; returns the client's side, then the server's."""
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.load_cert_chain(*certificate)
    shaking = gevent.spawn(ours.wrap_socket, server, server_side=True)
    return context.wrap_socket(client, server_hostname="localhost"), shaking.get(timeout=10)


@pytest.fixture
def wrap(certificate: tuple[Path, Path]) -> Wrap:
    """Makes the browser's connection TLS."""
    return lambda browser, service: shake_hands(certificate, tls_client(certificate), browser, service)


@pytest.fixture
def wrap_target(certificate: tuple[Path, Path]) -> Wrap:
    """Makes the connection to the VNC server TLS, in which the service is the client."""

    def both(vnc: socket.socket, target: socket.socket) -> tuple[socket.socket, socket.socket]:
        ours, theirs = shake_hands(certificate, tls_client(certificate), target, vnc)
        return theirs, ours

    return both


class TestTls:
    @pytest.mark.usefixtures("impatient")
    def test_megabytes_arrive_whole_both_ways(self, dialogue: Start, wrap: Wrap) -> None:
        d = dialogue(wrap=wrap)
        picture, upload = os.urandom(2_000_000), os.urandom(1_000_000)
        reader = gevent.spawn(d.browser_gets)
        sender = gevent.spawn(d.vnc.sendall, picture)
        # Frames larger than a TLS record, and several of them in one.
        frames = b"".join(client_frame(Opcode.BINARY, upload[at : at + 33_333]) for at in range(0, len(upload), 33_333))
        typist = gevent.spawn(d.browser.sendall, frames)
        assert d.vnc_gets(len(upload)) == upload
        gevent.joinall([sender, typist], timeout=10)
        d.vnc.close()
        frames_back = reader.get(timeout=10)
        assert b"".join(payload for opcode, payload in frames_back if opcode == Opcode.BINARY) == picture
        assert frames_back[-1][0] == Opcode.CLOSE

    def test_early_bytes_that_the_vnc_server_does_not_take_at_once_are_not_lost(
        self, dialogue: Start, wrap: Wrap
    ) -> None:
        typed = os.urandom(1_000_000)
        later = client_frame(Opcode.BINARY, typed[500_000:])

        def wrap_and_send(browser: socket.socket, client: socket.socket) -> tuple[socket.socket, socket.socket]:
            secure, service = wrap(browser, client)
            gevent.spawn(secure.sendall, later)
            gevent.sleep(0.05)
            return secure, service

        d = dialogue(wrap=wrap_and_send, early=client_frame(Opcode.BINARY, typed[:500_000]), target_buffer=65536)
        gevent.sleep(0.05)
        assert d.vnc_gets(len(typed)) == typed

    def test_a_browser_that_does_not_read_still_types(self, dialogue: Start, wrap: Wrap) -> None:
        d = dialogue(wrap=wrap)
        flood = gevent.spawn(d.vnc.sendall, bytes(50_000_000))
        gevent.sleep(0.3)
        assert not flood.dead
        d.types(b"key")
        assert d.vnc_gets(3) == b"key"
        flood.kill()


class TestTlsToTheVncServer:
    @pytest.fixture(params=["plain", "tls"])
    def legs(self, request: pytest.FixtureRequest, wrap: Wrap, wrap_target: Wrap) -> dict[str, Wrap]:
        """How both connections are wrapped: the browser's in either way, that to the VNC server always."""
        return {"wrap_target": wrap_target, **({"wrap": wrap} if request.param == "tls" else {})}

    # The second size is below that of a TLS record, so that decrypted bytes stay behind at each read.
    @pytest.mark.usefixtures("impatient")
    @pytest.mark.parametrize("chunk", [buffers_module.TLS_CHUNK, buffers_module.RECORD + 1000])
    def test_megabytes_arrive_whole_both_ways(
        self, dialogue: Start, legs: dict[str, Wrap], monkeypatch: pytest.MonkeyPatch, chunk: int
    ) -> None:
        monkeypatch.setattr(to_client_module, "TLS_CHUNK", chunk)
        d = dialogue(**legs)
        picture, upload = os.urandom(2_000_000), os.urandom(1_000_000)
        reader = gevent.spawn(d.browser_gets)
        sender = gevent.spawn(d.vnc.sendall, picture)
        frames = b"".join(client_frame(Opcode.BINARY, upload[at : at + 33_333]) for at in range(0, len(upload), 33_333))
        typist = gevent.spawn(d.browser.sendall, frames)
        assert d.vnc_gets(len(upload)) == upload
        gevent.joinall([sender, typist], timeout=10)
        d.vnc.close()
        frames_back = reader.get(timeout=10)
        assert b"".join(payload for opcode, payload in frames_back if opcode == Opcode.BINARY) == picture
        assert frames_back[-1][0] == Opcode.CLOSE

    def test_what_came_before_the_relay_is_first(self, dialogue: Start, wrap_target: Wrap) -> None:
        def wrap_and_send(vnc: socket.socket, target: socket.socket) -> tuple[socket.socket, socket.socket]:
            secure, ours = wrap_target(vnc, target)
            secure.sendall(b"0000first")  # one record, of which the security result was read
            assert ours.recv(4) == b"0000"
            return secure, ours

        d = dialogue(wrap_target=wrap_and_send)
        assert server_frames(d.browser.recv(100)) == [(Opcode.BINARY, b"first")]

    def test_a_browser_that_does_not_read_still_types(self, dialogue: Start, legs: dict[str, Wrap]) -> None:
        d = dialogue(**legs)
        flood = gevent.spawn(d.vnc.sendall, bytes(50_000_000))
        gevent.sleep(0.3)
        assert not flood.dead
        for _ in range(20):
            d.types(b"key")
            assert d.vnc_gets(3) == b"key"
        assert d.relay.traffic.to_client < 30_000_000
        flood.kill()

    def test_a_vnc_server_that_does_not_read_still_draws(self, dialogue: Start, legs: dict[str, Wrap]) -> None:
        d = dialogue(**legs)
        flood = gevent.spawn(d.browser.sendall, client_frame(Opcode.BINARY, bytes(60_000)) * 800)
        gevent.sleep(0.3)
        assert not flood.dead
        for _ in range(20):
            d.vnc.sendall(b"pixels")
            assert server_frames(d.browser.recv(100)) == [(Opcode.BINARY, b"pixels")]
        flood.kill()

    def test_last_words(self, dialogue: Start, legs: dict[str, Wrap]) -> None:
        d = dialogue(**legs)
        d.vnc.sendall(b"last words")
        d.vnc.close()
        frames = d.browser_gets()
        assert frames[0] == (Opcode.BINARY, b"last words")
        assert frames[-1] == (Opcode.CLOSE, struct.pack("!H", 4000) + b"The instance was shut down.")

    def test_bytes_that_are_not_what_was_sent_end_the_session(self, dialogue: Start, wrap_target: Wrap) -> None:
        raw: list[socket.socket] = []

        def wrap_and_keep(vnc: socket.socket, target: socket.socket) -> tuple[socket.socket, socket.socket]:
            secure, ours = wrap_target(vnc, target)
            raw.append(socket.socket(fileno=os.dup(secure.fileno())))
            return secure, ours

        d = dialogue(wrap_target=wrap_and_keep)
        with raw[0]:
            raw[0].sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
        assert d.browser_gets_close()[0] == CloseCode.INSTANCE_STOPPED
        assert d.ended().by == "target"

    @pytest.mark.parametrize("typed", [b"", os.urandom(3_000_000)])
    def test_tls_that_has_to_write_before_it_reads(
        self, dialogue: Start, certificate: tuple[Path, Path], typed: bytes
    ) -> None:
        """A key update of TLS 1.3, which OpenSSL answers in the middle of a read, when the socket takes nothing."""

        class Stubborn(ssl.SSLSocket):
            refusals = 3

            def recv_into(self, *args: Any, **kwargs: Any) -> int:
                if self.refusals:
                    self.refusals -= 1
                    raise ssl.SSLWantWriteError
                return super().recv_into(*args, **kwargs)

        def both(vnc: socket.socket, target: socket.socket) -> tuple[socket.socket, socket.socket]:
            context = tls_client(certificate)
            context.sslsocket_class = Stubborn
            ours, theirs = shake_hands(certificate, context, target, vnc)
            return theirs, ours

        d = dialogue(wrap_target=both, target_buffer=65536)
        typist = gevent.spawn(d.browser.sendall, client_frame(Opcode.BINARY, typed) if typed else b"")
        gevent.sleep(0.1)
        d.vnc.sendall(b"pixels")
        if typed:
            assert d.vnc_gets(len(typed)) == typed
        assert server_frames(d.browser.recv(100)) == [(Opcode.BINARY, b"pixels")]
        typist.get(timeout=10)
        d.types(b"key")
        assert d.vnc_gets(3) == b"key"


class TestOpening:
    """The opening with the browser, before anything is relayed."""

    VERSION = b"RFB 003.008\n"

    @pytest.fixture
    def d(self, dialogue: Start) -> Dialogue:
        return dialogue(opening=open_browser(Opened(Version.V3_8, SecurityType.VENCRYPT)))

    def test_the_service_is_the_vnc_server_until_client_init(self, d: Dialogue) -> None:
        d.vnc.sendall(b"early")  # no VNC server does
        assert server_frames(d.browser.recv(100)) == [(Opcode.BINARY, self.VERSION)]
        d.types(self.VERSION)
        assert server_frames(d.browser.recv(100)) == [(Opcode.BINARY, b"\1\1")]
        gevent.sleep(0.05)
        d.types(b"\1" + b"\1")  # the security type, and ClientInit with it
        assert server_frames(d.browser.recv(6)) == [(Opcode.BINARY, bytes(4))]
        assert server_frames(d.browser.recv(100)) == [(Opcode.BINARY, b"early")]
        assert d.vnc_gets(1) == b"\1"
        assert (d.relay.traffic.to_target, d.relay.traffic.to_client) == (1, 5), "the opening is not counted"

    @pytest.mark.parametrize("version", [b"RFB 003.003\n", b"RFB 003.007\n", b"RFB 003.008\n"])
    def test_a_byte_in_a_frame_at_a_time(self, d: Dialogue, version: bytes) -> None:
        choice = b"" if version.endswith(b"3\n") else b"\1"
        for byte in version + choice + b"\1":
            d.types(bytes([byte]))
            gevent.sleep(0.001)
        assert d.vnc_gets(1) == b"\1"
        d.vnc.sendall(b"server init")
        gevent.sleep(0.05)
        said = b"".join(payload for _, payload in server_frames(d.browser.recv(1000)))
        assert said.startswith(self.VERSION)
        assert said.endswith(b"server init")

    def test_all_at_once_even_together_with_the_upgrade(self, dialogue: Start) -> None:
        early = client_frame(Opcode.BINARY, self.VERSION + b"\1" + b"\1")
        d = dialogue(early=early, opening=open_browser(Opened(Version.V3_8, SecurityType.NONE)))
        assert d.vnc_gets(1) == b"\1"

    def test_a_password_is_between_the_browser_and_the_guest(self, dialogue: Start) -> None:
        d = dialogue(opening=open_browser(Opened(Version.V3_8, SecurityType.VNC_AUTH)))
        d.vnc.sendall(b"challenge 16byte")
        d.types(self.VERSION + b"\2")
        gevent.sleep(0.05)
        frames = server_frames(d.browser.recv(1000))
        assert b"".join(payload for _, payload in frames) == self.VERSION + b"\1\2" + b"challenge 16byte"
        d.types(b"response of 16b.")
        assert d.vnc_gets(16) == b"response of 16b."
        d.vnc.sendall(bytes(4))
        assert server_frames(d.browser.recv(100)) == [(Opcode.BINARY, bytes(4))]

    def test_a_viewer_that_speaks_something_else(self, d: Dialogue) -> None:
        d.types(b"GET / HTTP/1.1\r\n")
        assert d.browser_gets_close() == (1002, "The viewer does not speak RFB 3.3, 3.7 or 3.8.")
        assert d.vnc.recv(10) == b"", "nothing of it reached the VNC server"

    def test_one_that_begins_too_late(self, dialogue: Start, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(relay_module, "OPENING_TIMEOUT", 0.2)
        opening = open_browser(Opened(Version.V3_8, SecurityType.NONE))
        d = dialogue(opening=opening, ping_interval=0.1, ping_timeout=60)
        assert d.browser_gets_close() == (4004, "The viewer did not begin in time.")

    def test_before_the_session_is_confirmed_nothing_passes(self, dialogue: Start) -> None:
        confirmed = Event()
        opening = open_browser(Opened(Version.V3_8, SecurityType.NONE))
        assert opening.outgoing() == self.VERSION, "it has been sent"
        d = dialogue(opening=opening, confirm=confirmed.wait)
        d.vnc.sendall(b"the guest's")
        d.types(self.VERSION + b"\1" + b"\1")
        for side in (d.browser, d.vnc):
            side.settimeout(0.1)
            with pytest.raises(TimeoutError):
                side.recv(1)
            side.settimeout(10)
        confirmed.set()
        assert d.vnc_gets(1) == b"\1"
        d.browser.sendall(close(1000))
        said = b"".join(payload for opcode, payload in d.browser_gets() if opcode == Opcode.BINARY)
        assert said.startswith(b"\1\1" + bytes(4)), "the opening goes on, and then it is the guest's turn"

    def test_one_that_is_not_confirmed_ends_and_neither_side_got_anything_of_the_other(self, dialogue: Start) -> None:
        def refuse() -> None:
            refused.append(True)
            d.relay.end(CloseCode.INTERNAL_ERROR, "It cannot be recorded.")

        refused: list[bool] = []
        d = dialogue(opening=open_browser(Opened(Version.V3_8, SecurityType.NONE)), confirm=refuse)
        d.vnc.sendall(b"the guest's")
        d.types(self.VERSION + b"\1" + b"\1")
        (last,) = d.browser_gets()
        assert last == (Opcode.CLOSE, struct.pack("!H", 1011) + b"It cannot be recorded.")
        assert d.ended() == Ended(CloseCode.INTERNAL_ERROR, "It cannot be recorded.", "service")
        assert (d.relay.traffic.to_target, d.relay.traffic.to_client) == (0, 0)
        assert refused == [True]

    def test_pings_are_answered_meanwhile(self, d: Dialogue) -> None:
        d.browser.sendall(client_frame(Opcode.PING, b"there?"))
        gevent.sleep(0.05)
        assert server_frames(d.browser.recv(100)) == [(Opcode.BINARY, self.VERSION), (Opcode.PONG, b"there?")]
        d.browser.sendall(close(1000))
        assert d.browser_gets_close()[0] == 1000
