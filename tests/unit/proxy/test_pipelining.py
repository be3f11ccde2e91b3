"""Updates asked for ahead, on real connections: between whole messages of the browser and whole frames to it."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from pathlib import Path

import gevent
import pytest

from porthole.proxy import ahead
from porthole.proxy.frames import Opcode
from porthole.proxy.input import BrowserInput
from porthole.proxy.rfb.client_messages import Mode
from porthole.proxy.rfb.server import Opened
from porthole.proxy.rfb.wire import SecurityType, Version
from tests.unit.proxy.dialogue import Dialogue
from tests.unit.proxy.wire import client_frame, server_frames

Start = Callable[..., Dialogue]
CLIENT_INIT = b"\x01"
REQUEST = struct.pack("!BBHHHH", 3, 1, 0, 0, 640, 400)
ALL = struct.pack("!BBHHHH", 3, 0, 0, 0, 640, 400)
KEY = struct.pack("!BBxxI", 4, 1, 0x61)
CUT_TEXT = struct.pack("!BxxxI", 6, 5) + b"hello"
UPDATE = bytes(3000)


@pytest.fixture(params=[Mode.FULL, Mode.VIEW])
def mode(request: pytest.FixtureRequest) -> Mode:
    return Mode(request.param)


@pytest.fixture
def pipelined(dialogue: Start) -> Callable[..., Dialogue]:
    """A dialogue after ClientInit."""

    def start(mode: Mode = Mode.FULL, *, pipelines: bool = True, **options: object) -> Dialogue:
        input_ = BrowserInput(mode, Opened(Version.V3_8, SecurityType.NONE))
        d = dialogue(input_=input_, pipelines=pipelines, **options)
        d.types(CLIENT_INIT)
        assert d.vnc_gets(1) == CLIENT_INIT
        return d

    return start


def draws(d: Dialogue) -> list[tuple[int, bytes]]:
    """The VNC server sends an update; what the browser gets, a ping's payload left out."""
    d.vnc.sendall(UPDATE)
    data = b""
    while len(data) < len(UPDATE):
        data += d.browser.recv(65536)
    frames = server_frames(data)
    for opcode, payload in frames:
        if opcode == Opcode.PING:
            gevent.sleep(0.02)  # it is not near
            d.browser.sendall(client_frame(Opcode.PONG, payload))
    return [(opcode, b"" if opcode == Opcode.PING else payload) for opcode, payload in frames]


def nothing_more(d: Dialogue) -> bool:
    gevent.sleep(0.1)
    d.vnc.settimeout(0.0)
    try:
        d.vnc.recv(1)
    except BlockingIOError:
        return True
    finally:
        d.vnc.settimeout(10)
    return False


def test_when_an_update_begins_the_last_request_is_repeated(pipelined: Start, mode: Mode) -> None:
    d = pipelined(mode)
    d.types(REQUEST)
    assert d.vnc_gets(10) == REQUEST
    assert draws(d) == [(Opcode.PING, b""), (Opcode.BINARY, UPDATE)], "a ping goes before it"
    assert d.vnc_gets(10) == REQUEST
    assert nothing_more(d)


def test_the_browsers_own_goes_on_to_be_passed_on(pipelined: Start, mode: Mode) -> None:
    d = pipelined(mode)
    for _ in range(5):
        d.types(REQUEST)
        assert d.vnc_gets(10) == REQUEST
        draws(d)
        assert d.vnc_gets(10) == REQUEST
        gevent.sleep(0.02)


def test_a_browser_that_is_near_is_left_to_ask_by_itself(pipelined: Start) -> None:
    d = pipelined()
    for number in range(5):
        d.types(REQUEST)
        assert d.vnc_gets(10) == REQUEST
        d.vnc.sendall(UPDATE)
        if number == 0:
            assert d.vnc_gets(10) == REQUEST, "before anybody knows how near it is"
        for opcode, payload in server_frames(d.browser.recv(65536)):
            if opcode == Opcode.PING:
                d.browser.sendall(client_frame(Opcode.PONG, payload))
        gevent.sleep(0.05)
    assert nothing_more(d)


def test_one_that_is_near_is_pinged_again_after_a_while(pipelined: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "LOOK_AGAIN", 0.2)
    monkeypatch.setattr(ahead, "NEAR", 10.0)  # however slow this machine is
    d = pipelined()
    pings = 0
    end = time.monotonic() + 20
    while pings < 3 and time.monotonic() < end:
        d.vnc.sendall(UPDATE)
        for opcode, payload in server_frames(d.browser.recv(65536)):
            if opcode == Opcode.PING:
                pings += 1
                d.browser.sendall(client_frame(Opcode.PONG, payload))
        gevent.sleep(0.02)
    assert pings == 3


@pytest.mark.parametrize("sent", [ALL, KEY, CUT_TEXT])
def test_only_a_request_for_what_has_changed_is(pipelined: Start, sent: bytes) -> None:
    d = pipelined()
    d.types(sent)
    assert d.vnc_gets(len(sent)) == sent
    draws(d)
    assert nothing_more(d)


@pytest.mark.parametrize("cut", [1, 7, 8, 12])
def test_never_inside_a_message_of_the_browser(pipelined: Start, cut: int) -> None:
    d = pipelined()
    d.types(REQUEST)
    d.types(CUT_TEXT[:cut])
    assert d.vnc_gets(10 + cut) == REQUEST + CUT_TEXT[:cut]
    draws(d)
    assert nothing_more(d)
    d.types(CUT_TEXT[cut:])
    assert d.vnc_gets(len(CUT_TEXT) - cut + 10) == CUT_TEXT[cut:] + REQUEST, "but right after it"


def test_a_request_in_pieces_is_passed_on_and_not_repeated(pipelined: Start) -> None:
    d = pipelined()
    for byte in REQUEST:
        d.types(bytes([byte]))
        gevent.sleep(0.001)
    assert d.vnc_gets(10) == REQUEST
    draws(d)
    assert nothing_more(d)


def test_nor_when_it_is_switched_off(pipelined: Start) -> None:
    d = pipelined(pipelines=False)
    d.types(REQUEST)
    assert d.vnc_gets(10) == REQUEST
    assert draws(d) == [(Opcode.BINARY, UPDATE)]
    assert nothing_more(d)


def test_nor_once_the_browsers_messages_are_not_understood(pipelined: Start) -> None:
    d = pipelined()
    d.types(REQUEST + b"\xfa\x01\x02\x03" + b"\x63what is this")
    assert d.vnc_gets(27)
    draws(d)
    assert nothing_more(d)


def test_large_updates_arrive_whole_with_pings_between_their_frames(pipelined: Start) -> None:
    d = pipelined()
    picture = Path(__file__).read_bytes() * 1000

    def answer() -> bytes:
        data, at, got = bytearray(), 0, bytearray()
        while len(got) < len(picture):
            data += d.browser.recv(300_000)
            while at + 10 <= len(data):
                length, start = data[at + 1], at + 2
                if length == 126:
                    length, start = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
                elif length == 127:
                    length, start = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
                if start + length > len(data):
                    break
                payload = bytes(data[start : start + length])
                if data[at] & 15 == Opcode.PING:
                    d.browser.sendall(client_frame(Opcode.PONG, payload))
                else:
                    got += payload
                at = start + length
        return bytes(got)

    d.types(REQUEST)
    reader = gevent.spawn(answer)
    d.vnc.sendall(picture)
    assert reader.get(timeout=20) == picture


def test_a_vnc_server_that_takes_nothing_gets_no_requests_on_top(pipelined: Start) -> None:
    d = pipelined(target_buffer=65536)
    d.types(REQUEST)
    d.vnc_gets(10)
    flood = gevent.spawn(d.browser.sendall, client_frame(Opcode.BINARY, KEY * 1000) * 200)
    gevent.sleep(0.2)
    before = d.relay.traffic.to_target
    draws(d)
    gevent.sleep(0.1)
    assert d.relay.traffic.to_target == before
    everything = gevent.spawn(d.vnc_gets, 1_600_000)
    flood.get(timeout=20)
    assert everything.get(timeout=20).count(KEY) >= 199_000
    assert d.is_running
