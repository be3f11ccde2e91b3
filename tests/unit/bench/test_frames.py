"""The benchmark's own WebSocket frames, against the service's parser and built by its functions."""

from __future__ import annotations

import os

import pytest

from bench.loads.frames import PONG, Closed, FrameReader, client_frame
from porthole.proxy.frames import FrameParser, Opcode, close_frame, control_frame, header

SIZES = (0, 1, 125, 126, 65535, 65536, 70000)


def server_frame(payload: bytes) -> bytes:
    return header(Opcode.BINARY, len(payload)) + payload


@pytest.mark.parametrize("size", SIZES)
def test_a_clients_frame_is_one_that_the_service_understands(size: int) -> None:
    payload = os.urandom(size)

    assert FrameParser().feed(client_frame(payload)) == payload


def test_each_frame_has_a_mask_of_its_own() -> None:
    assert len({client_frame(b"the same") for _ in range(20)}) > 1


def test_a_pong_is_masked_too() -> None:
    parser = FrameParser()
    parser.feed(client_frame(b"ping's", PONG))

    assert parser.controls == [(Opcode.PONG, b"ping's")]


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000, 10**6])
def test_a_servers_frames_are_read_in_pieces_of_any_size(step: int) -> None:
    payloads = [os.urandom(size) for size in (3, 0, 125, 126, 300)]
    wire = memoryview(b"".join(map(server_frame, payloads)))
    reader, got = FrameReader(), bytearray()

    told = sum(reader.feed(wire[at : at + step], got.extend) for at in range(0, len(wire), step))

    assert bytes(got) == b"".join(payloads)
    assert told == len(got)
    assert reader.frames == len(payloads)


@pytest.mark.parametrize("size", SIZES)
def test_every_kind_of_length_is_read(size: int) -> None:
    assert FrameReader().feed(memoryview(server_frame(bytes(size)))) == size


def test_pings_are_kept_and_are_no_payload() -> None:
    reader = FrameReader()
    wire = control_frame(Opcode.PING, b"a") + server_frame(b"xy") + control_frame(Opcode.PING, b"")

    assert reader.feed(memoryview(wire)) == 2
    assert reader.pings == [b"a", b""]


def test_a_close_is_told_with_its_code() -> None:
    with pytest.raises(Closed, match="4004 gone"):
        FrameReader().feed(memoryview(close_frame(4004, "gone")))


def test_a_server_that_masks_is_not_understood() -> None:
    with pytest.raises(Closed, match="masks"):
        FrameReader().feed(memoryview(client_frame(b"x")))
