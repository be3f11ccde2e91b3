"""The way to the VNC server alone: frames cut anywhere, a server that takes nothing, and what control frames do."""

from __future__ import annotations

import itertools
import random
import struct
from collections.abc import Callable, Iterator

import gevent
import pytest
from gevent import socket

from porthole.proxy.buffers import CHUNK, CLIENT_CHUNK, ReadBuffers
from porthole.proxy.ended import Ended
from porthole.proxy.errors import CloseCode, FrameError
from porthole.proxy.frames import Opcode
from porthole.proxy.rfb.errors import RfbError
from porthole.proxy.to_client import CLOSED, GONE, ToClient
from porthole.proxy.to_target import ToTarget
from porthole.proxy.watchers import Watchers
from tests.unit.proxy.dialogue import tcp_pair
from tests.unit.proxy.wire import client_frame, server_frames

SEED = 6455
PAYLOADS = (b"\x01", b"\x02\x00\x00\x07seven!!", b"", bytes(range(130)), b"\xff\xfe\xfd\xfc")
KEYS = (b"\x37\xfa\x21\x3d", b"\x00\xff\x80\x01", b"\xa5\x5a\xc3\x3c")
STREAM = b"".join(
    client_frame(Opcode.BINARY, payload, key=key) for payload, key in zip(PAYLOADS, itertools.cycle(KEYS), strict=False)
)
WHOLE = b"".join(PAYLOADS)


class Way:
    """A way to the VNC server between two real connections, and the ends of it that were told."""

    def __init__(self, small_buffers: bool = False) -> None:
        self.browser, self.client = tcp_pair()
        self.vnc, self.target = tcp_pair()
        if small_buffers:
            self.target.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
            self.vnc.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
        self.client.settimeout(0.0)
        self.target.settimeout(0.0)
        self.browser.settimeout(10)
        self.vnc.settimeout(10)
        self.ends: list[Ended] = []
        self.watchers = Watchers(self._end)
        self.buffers = ReadBuffers()
        self.back = ToClient(self.client, self.target, self.buffers, self.watchers, self._end)
        self.it = ToTarget(self.client, self.target, self.back, self.buffers, self.watchers, self._end)

    def _end(self, ended: Ended) -> None:
        self.ends.append(ended)
        self.watchers.stop()

    def sends(self, data: bytes) -> None:
        """The browser sends, and what there is to do is done."""
        self.browser.sendall(data)
        self.settle()

    def settle(self) -> None:
        """Let the loop look at all sockets."""
        gevent.sleep(0.002)

    def gets(self, size: int) -> bytes:
        """What the VNC server reads."""
        data = b""
        while len(data) < size:
            data += self.vnc.recv(size - len(data)) or pytest.fail(f"closed after {len(data)} of {size} bytes")
        return data

    def nothing_more(self) -> bool:
        """Whether the VNC server has nothing to read."""
        self.vnc.settimeout(0.0)
        try:
            return self.vnc.recv(1) == b""
        except BlockingIOError:
            return True
        finally:
            self.vnc.settimeout(10)

    def notes_reads(self) -> list[int]:
        """Bytes of payload in each piece that is passed on from now on."""
        read: list[int] = []

        def look(payload: bytes) -> bytes:
            read.append(len(payload))
            return payload

        self.it.look = look
        return read

    def is_stuck(self) -> bool:
        """Whether the VNC server has to take something."""
        return self.it.is_stuck

    def close(self) -> None:
        self.watchers.close()
        for side in (self.browser, self.client, self.vnc, self.target):
            side.close()
        self.buffers.pipes.close()


Make = Callable[..., Way]


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[Way] = []

    def one(*, begin: bool = True, **options: bool) -> Way:
        made.append(Way(**options))
        if begin:
            made[-1].it.begin(b"")
        return made[-1]

    yield one
    for way in made:
        way.close()


@pytest.fixture
def way(make: Make) -> Way:
    return make()


class TestPieces:
    def test_byte_by_byte(self, way: Way) -> None:
        for byte in STREAM:
            way.sends(bytes([byte]))
        assert way.gets(len(WHOLE)) == WHOLE
        assert way.nothing_more()

    def test_wherever_two_reads_meet_the_key_goes_on_where_it_was(self, way: Way) -> None:
        for cut in range(1, len(STREAM)):
            way.sends(STREAM[:cut])
            way.sends(STREAM[cut:])
            assert way.gets(len(WHOLE)) == WHOLE, f"cut after {cut} bytes"

    def test_what_came_with_the_upgrade_is_first(self, make: Make) -> None:
        way = make(begin=False)
        frame = client_frame(Opcode.BINARY, b"early bird")
        way.browser.sendall(frame[9:])
        way.it.begin(frame[:9])
        way.settle()
        assert way.gets(10) == b"early bird"

    def test_bytes_are_counted_without_framing_and_control_frames(self, way: Way) -> None:
        way.sends(client_frame(Opcode.BINARY, b"12345") + client_frame(Opcode.PING, b"ping"))
        assert way.it.relayed == 5


class TestBounds:
    def test_of_small_frames_no_more_is_read_at_once_than_others_may_wait_for(self, way: Way) -> None:
        read = way.notes_reads()
        count = 20_000
        sending = gevent.spawn(way.browser.sendall, client_frame(Opcode.BINARY, b"123456") * count)
        assert len(way.gets(6 * count)) == 6 * count
        sending.get(timeout=10)
        assert max(read) <= CLIENT_CHUNK

    def test_of_a_large_frame_more_is_read_and_never_more_than_the_buffer_has(self, way: Way) -> None:
        read = way.notes_reads()
        picture = random.Random(SEED).randbytes(3_000_000)  # noqa: S311 - the same each time
        sending = gevent.spawn(way.browser.sendall, client_frame(Opcode.BINARY, picture))
        assert way.gets(len(picture)) == picture
        sending.get(timeout=10)
        assert CLIENT_CHUNK < max(read) <= CHUNK


class TestAVncServerThatTakesNothing:
    def test_the_browser_is_read_from_no_more_until_all_of_it_is_taken_and_nothing_is_lost(self, make: Make) -> None:
        way = make(small_buffers=True)
        chance = random.Random(SEED)  # noqa: S311 - the same each time
        pieces = [chance.randbytes(chance.choice((1, 100, 60_000, 400_000))) for _ in range(150)]
        frames = b"".join(client_frame(Opcode.BINARY, piece) for piece in pieces)
        sending = gevent.spawn(way.browser.sendall, frames)
        gevent.sleep(0.2)
        assert way.is_stuck()
        read = way.it.relayed
        gevent.sleep(0.1)
        assert way.it.relayed == read, "no more is read"
        assert not sending.ready(), "the browser's own TCP holds it up"
        assert way.gets(sum(map(len, pieces))) == b"".join(pieces)
        sending.get(timeout=10)
        way.settle()
        assert not way.is_stuck()
        assert way.ends == []

    def test_what_waits_for_it_is_one_read_at_most(self, make: Make) -> None:
        way = make(small_buffers=True)
        flood = gevent.spawn(way.browser.sendall, client_frame(Opcode.BINARY, bytes(8_000_000)))
        gevent.sleep(0.2)
        assert way.is_stuck()
        assert 0 < len(way.it.rest()) <= CHUNK
        assert not way.is_stuck(), "somebody else delivers it now"
        flood.kill()

    def test_each_bit_that_it_takes_counts_and_the_browsers_silence_meanwhile_does_not(self, make: Make) -> None:
        way = make(small_buffers=True)
        size = 300_000
        sending = gevent.spawn(way.browser.sendall, client_frame(Opcode.BINARY, bytes(size)))
        gevent.sleep(0.2)
        relayed, stalled_at, heard_at = way.it.relayed, way.it.stalled_at, way.it.heard_at
        gevent.sleep(0.05)
        assert way.it.stalled_at == stalled_at, "it took nothing"
        taken = 0
        while way.it.stalled_at == stalled_at:
            taken += len(way.gets(4_096))
            way.settle()
        assert (way.it.relayed, way.it.heard_at, way.is_stuck()) == (relayed, heard_at, True), "one piece, in bits"
        way.gets(size - taken)
        way.settle()
        assert not way.is_stuck()
        sending.get(timeout=10)

    def test_the_browser_is_heard_when_it_could_be_again(self, make: Make) -> None:
        way = make(small_buffers=True)
        size = 100_000
        way.sends(client_frame(Opcode.BINARY, bytes(size)))
        gevent.sleep(0.2)
        relayed, heard_at = way.it.relayed, way.it.heard_at
        assert way.is_stuck()
        assert relayed == size, "it has sent all that it will"
        way.gets(size)
        way.settle()
        assert way.it.heard_at > heard_at

    def test_a_message_of_ours_comes_between_two_of_the_browsers(self, way: Way) -> None:
        way.sends(client_frame(Opcode.BINARY, b"one "))
        way.it.put(b"ours ")
        way.sends(client_frame(Opcode.BINARY, b"two"))
        assert way.gets(12) == b"one ours two"

    def test_one_that_is_gone_ends_the_session(self, way: Way) -> None:
        way.vnc.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        way.vnc.close()
        way.settle()
        way.sends(client_frame(Opcode.BINARY, b"anybody?"))
        assert way.ends == [CLOSED]


class TestControlFrames:
    def test_a_ping_between_the_fragments_of_a_message_is_answered_and_the_message_is_whole(self, way: Way) -> None:
        way.sends(client_frame(Opcode.BINARY, b"one ", fin=False) + client_frame(Opcode.PING, b"between"))
        way.sends(client_frame(Opcode.CONTINUATION, b"two"))
        assert way.gets(7) == b"one two"
        assert server_frames(way.browser.recv(100)) == [(Opcode.PONG, b"between")]

    @pytest.mark.parametrize("cut", range(1, 13))
    def test_a_ping_in_two_pieces(self, way: Way, cut: int) -> None:
        frame = client_frame(Opcode.PING, b"pieces")
        way.sends(frame[:cut])
        way.sends(frame[cut:] + client_frame(Opcode.BINARY, b"on"))
        assert server_frames(way.browser.recv(100)) == [(Opcode.PONG, b"pieces")]
        assert way.gets(2) == b"on"

    def test_a_pong_goes_to_whoever_asked_for_it(self, way: Way) -> None:
        way.sends(client_frame(Opcode.PONG, b"nobody asked"))
        pongs: list[bytes] = []
        way.it.on_pong = pongs.append
        way.sends(client_frame(Opcode.PONG, b"1") + client_frame(Opcode.PONG, b"2"))
        assert pongs == [b"1", b"2"]
        assert way.nothing_more()

    def test_any_of_them_is_a_sign_of_life(self, way: Way) -> None:
        before = way.it.heard_at
        way.sends(client_frame(Opcode.PONG))
        assert way.it.heard_at > before


class TestEnds:
    @pytest.mark.parametrize(
        ("payload", "code"),
        [(b"", CloseCode.NO_STATUS), (b"\x03\xe8", 1000), (b"\x03\xe9going away", 1001), (b"\x10\x01mine", 4097)],
    )
    def test_a_close_frame_has_its_code(self, way: Way, payload: bytes, code: int) -> None:
        way.sends(client_frame(Opcode.CLOSE, payload))
        assert way.ends == [Ended(code, "The browser closed the console.", "client")]
        assert not way.it.is_broken

    def test_what_came_before_it_arrives_and_what_comes_after_it_does_not(self, way: Way) -> None:
        way.sends(
            client_frame(Opcode.BINARY, b"before")
            + client_frame(Opcode.CLOSE, b"\x03\xe8")
            + client_frame(Opcode.BINARY, b"after")
        )
        assert way.gets(6) == b"before"
        assert way.nothing_more()

    @pytest.mark.parametrize(
        ("data", "code"),
        [
            (b"\x82\x01x", 1002),
            (client_frame(Opcode.TEXT, b"text"), 1003),
            (client_frame(Opcode.CLOSE, b"\x03"), 1002),
            (client_frame(Opcode.BINARY, bytes(20))[:1] + b"\xff" + b"\x7f" * 8, 1009),
        ],
        ids=["unmasked", "text", "half a close code", "16 MiB and more"],
    )
    def test_a_broken_protocol_ends_it_with_its_code_and_nothing_is_understood_any_more(
        self, way: Way, data: bytes, code: int
    ) -> None:
        way.sends(data)
        (ended,) = way.ends
        assert (ended.code, ended.by, way.it.is_broken) == (code, "service", True)
        way.sends(client_frame(Opcode.BINARY, b"more"))
        assert way.nothing_more()

    def test_so_it_does_in_what_came_with_the_upgrade(self, make: Make) -> None:
        way = make(begin=False)
        with pytest.raises(FrameError):
            way.it.begin(b"\x82\x01x")
        assert way.it.is_broken

    def test_a_browser_that_leaves_without_a_word(self, way: Way) -> None:
        way.browser.close()
        way.settle()
        assert way.ends == [GONE]

    def test_a_reset_is_the_same(self, way: Way) -> None:
        way.browser.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        way.browser.close()
        way.settle()
        assert way.ends == [GONE]


class TestTheLook:
    def test_the_vnc_server_gets_what_it_lets_through(self, way: Way) -> None:
        way.it.look = lambda payload: payload.replace(b"secret ", b"")
        way.sends(client_frame(Opcode.BINARY, b"a secret word"))
        assert way.gets(6) == b"a word"
        assert way.it.relayed == 6
        way.it.look = lambda payload: b""
        way.sends(client_frame(Opcode.BINARY, b"nothing of this"))
        assert way.nothing_more()

    def test_what_is_no_rfb_ends_the_session_and_does_not_arrive(self, way: Way) -> None:
        def refuse(payload: bytes) -> bytes:
            raise RfbError("There is no such message.")

        way.it.look = refuse
        way.sends(client_frame(Opcode.BINARY, b"\xff"))
        assert way.ends == [Ended(CloseCode.PROTOCOL_ERROR, "There is no such message.", "service")]
        assert way.nothing_more()
