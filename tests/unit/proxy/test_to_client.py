"""The way to the browser: pieces that are copied and pieces that go through a pipe arrive whole and in their order."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from typing import Any

import gevent
import pytest
from gevent import socket

from porthole.proxy import buffers as buffers_module
from porthole.proxy.buffers import ReadBuffers
from porthole.proxy.errors import CloseCode
from porthole.proxy.frames import Opcode
from tests.unit.proxy.dialogue import Dialogue
from tests.unit.proxy.wire import client_frame

Start = Callable[..., Dialogue]
SEED = 6455
BULK, ENDLESS = bytes(8_000_000), bytes(50_000_000)


def picture_of(frames: list[tuple[int, bytes]]) -> bytes:
    return b"".join(payload for opcode, payload in frames if opcode == Opcode.BINARY)


def paint(vnc: socket.socket, pieces: list[bytes]) -> None:
    """As a VNC server does: updates of any size, some at once, some after a moment."""
    for piece in pieces:
        vnc.sendall(piece)
        if len(piece) % 3 == 0:
            gevent.sleep(0.001)


def read_slowly(browser: socket.socket, wanted: int) -> bytes:
    data = bytearray()
    chance = random.Random(SEED)  # noqa: S311 - the same each time
    while len(data) < wanted:
        chunk = browser.recv(chance.choice((1, 100, 5_000, 300_000)))
        if not chunk:
            break
        data += chunk
        if chance.random() < 0.1:
            gevent.sleep(0.001)
    return bytes(data)


@pytest.fixture(params=["as usual", "small pipes", "no pipes", "no descriptors", "two sessions, one pipe"])
def pipes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How pipes are to be had."""

    def none(_flags: int) -> Any:
        raise OSError(24, "Too many open files")

    if request.param == "small pipes":
        monkeypatch.setattr(buffers_module, "PIPE_SIZE", 4096)
    elif request.param == "no pipes":
        monkeypatch.setattr(buffers_module, "MAX_PIPES", 0)
    elif request.param == "no descriptors":
        monkeypatch.setattr(os, "pipe2", none)
    elif request.param != "as usual":
        monkeypatch.setattr(buffers_module, "MAX_PIPES", 1)
    return str(request.param)


def test_updates_of_all_sizes_arrive_whole_and_in_order_at_browsers_that_read_slowly(
    dialogue: Start, pipes: str
) -> None:
    chance = random.Random(SEED)  # noqa: S311 - the same each time
    shared = ReadBuffers()
    dialogues = [dialogue(buffers=shared, client_buffer=200_000) for _ in range(2)]
    pieces = [chance.randbytes(chance.choice((1, 10, 1_500, 30_000, 65_536, 400_000))) for _ in range(60)]
    whole = b"".join(pieces)
    painters = [gevent.spawn(paint, d.vnc, pieces) for d in dialogues]
    readers = [gevent.spawn(read_slowly, d.browser, len(whole)) for d in dialogues]
    begun = [reader.get(timeout=30) for reader in readers]
    gevent.joinall(painters, timeout=10)
    for d, data in zip(dialogues, begun, strict=True):
        d.vnc.close()
        frames = d.browser_gets(data)
        assert picture_of(frames) == whole
        assert frames[-1][0] == Opcode.CLOSE
        assert d.ended().by == "target"


def test_pings_are_answered_between_frames_that_went_through_a_pipe(dialogue: Start) -> None:
    d = dialogue(client_buffer=200_000)
    painting = gevent.spawn(d.vnc.sendall, BULK)
    reader = gevent.spawn(read_slowly, d.browser, len(BULK))
    for number in range(20):
        d.browser.sendall(client_frame(Opcode.PING, str(number).encode()))
        gevent.sleep(0.01)
    painting.get(timeout=20)
    begun = reader.get(timeout=20)
    d.vnc.close()
    frames = d.browser_gets(begun)
    assert picture_of(frames) == BULK
    assert [payload for opcode, payload in frames if opcode == Opcode.PONG][-1] == b"19"


def test_what_waits_in_a_pipe_comes_before_the_words_of_the_end(dialogue: Start) -> None:
    d = dialogue()
    painting = gevent.spawn(d.vnc.sendall, ENDLESS)
    d.until_stuck()
    assert d.relay.is_client_stuck
    painting.kill()
    reader = gevent.spawn(d.browser_gets)
    gevent.sleep(0)
    d.relay.end(CloseCode.ENDED_BY_ADMINISTRATOR, "An administrator ended this session.")
    frames = reader.get(timeout=10)
    assert frames[-1] == (Opcode.CLOSE, b"\x0f\xa2An administrator ended this session.")
    assert len(picture_of(frames)) == d.relay.traffic.to_client


@pytest.mark.usefixtures("impatient")
def test_a_session_has_a_pipe_only_while_its_browser_has_not_taken_what_is_in_it(dialogue: Start) -> None:
    shared = ReadBuffers()
    stuck = [dialogue(buffers=shared) for _ in range(3)]
    floods = [gevent.spawn(d.vnc.sendall, ENDLESS) for d in stuck]
    for d in stuck:
        d.until_stuck()
    assert shared.pipes.lent == 3
    quick = dialogue(buffers=shared)
    reader = gevent.spawn(read_slowly, quick.browser, 8_000_000)
    quick.vnc.sendall(BULK)
    reader.get(timeout=20)
    assert shared.pipes.lent == 3, "those that wait, and nobody else"
    gevent.killall(floods)
    for d in stuck:
        d.relay.end(CloseCode.ENDED_BY_ADMINISTRATOR, "An administrator ended this session.")
        d.ended()
    assert shared.pipes.lent == 0


def test_bytes_that_were_left_in_a_pipe_never_reach_another_session(dialogue: Start) -> None:
    shared = ReadBuffers()
    first = dialogue(buffers=shared)
    flood = gevent.spawn(first.vnc.sendall, b"\xee" * 50_000_000)
    first.until_stuck()
    assert shared.pipes.lent == 1
    first.browser.close()
    assert first.ended().by == "client"
    flood.kill()
    second = dialogue(buffers=shared)
    reader = gevent.spawn(read_slowly, second.browser, len(BULK))
    second.vnc.sendall(BULK)
    begun = reader.get(timeout=20)
    second.vnc.close()
    assert picture_of(second.browser_gets(begun)) == BULK


def test_from_a_unix_socket(dialogue: Start) -> None:
    def unix(_vnc: socket.socket, _target: socket.socket) -> tuple[socket.socket, socket.socket]:
        _vnc.close()
        _target.close()
        ours, theirs = socket.socketpair()
        return ours, theirs

    d = dialogue(wrap_target=unix, client_buffer=200_000)
    picture = random.Random(SEED).randbytes(3_000_000)  # noqa: S311 - the same each time
    painting = gevent.spawn(d.vnc.sendall, picture)
    begun = read_slowly(d.browser, len(picture))
    painting.get(timeout=10)
    d.vnc.close()
    assert picture_of(d.browser_gets(begun)) == picture
