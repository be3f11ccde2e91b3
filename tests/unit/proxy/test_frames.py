"""The frame parser, fed whole, byte by byte and at random, with what RFC 6455 allows and what it forbids."""

from __future__ import annotations

import os
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from porthole.proxy.errors import MAX_REASON_BYTES, CloseCode, FrameError
from porthole.proxy.frames import (
    MAX_FRAME_PAYLOAD,
    FrameParser,
    Opcode,
    close_frame,
    control_frame,
    header,
    unmask,
)
from tests.unit.proxy.wire import KEY, client_frame, masked, server_frames

SIZES = (0, 1, 2, 3, 4, 5, 124, 125, 126, 127, 128, 1000, 65535, 65536, 70000)


def parse(data: bytes, *sizes: int) -> tuple[bytes, list[tuple[Opcode, bytes]]]:
    """Feed data in pieces of the given sizes, the rest at once."""
    parser = FrameParser()
    out = b""
    for size in sizes:
        out += parser.feed(data[:size])
        data = data[size:]
    out += parser.feed(data)
    return out, parser.controls


class TestData:
    @pytest.mark.parametrize("size", SIZES)
    def test_a_frame_of_any_size_gives_its_payload(self, size: int) -> None:
        payload = os.urandom(size)
        assert parse(client_frame(Opcode.BINARY, payload)) == (payload, [])

    def test_short_ones_of_each_size_with_any_key_after_one_another(self) -> None:
        parser = FrameParser()
        for size in range(126):
            payload, key = os.urandom(size), os.urandom(4)
            frame = bytes((0x82, 0x80 | size)) + key + masked(payload, key)
            assert parser.feed(memoryview(frame)) == payload

    @pytest.mark.parametrize("size", [size for size in SIZES if size < 2000])
    def test_and_so_it_does_byte_by_byte(self, size: int) -> None:
        payload = os.urandom(size)
        data = client_frame(Opcode.BINARY, payload)
        assert parse(data, *[1] * len(data)) == (payload, [])

    def test_payload_is_passed_on_before_its_frame_is_complete(self) -> None:
        data = client_frame(Opcode.BINARY, b"abcdefgh")
        parser = FrameParser()
        assert parser.feed(data[:9]) == b"abc"
        assert parser.feed(data[9:]) == b"defgh"

    def test_fragments_are_joined_and_control_frames_may_come_between(self) -> None:
        data = (
            client_frame(Opcode.BINARY, b"one ", fin=False)
            + client_frame(Opcode.PING, b"?")
            + client_frame(Opcode.CONTINUATION, b"two ", fin=False)
            + client_frame(Opcode.CONTINUATION, b"three")
            + client_frame(Opcode.BINARY, b"!")
        )
        assert parse(data) == (b"one two three!", [(Opcode.PING, b"?")])
        assert parse(data, *[1] * len(data)) == (b"one two three!", [(Opcode.PING, b"?")])

    def test_a_header_that_claims_much_costs_nothing(self) -> None:
        parser = FrameParser()
        assert parser.feed(struct.pack("!BBQ", 0x82, 0xFF, MAX_FRAME_PAYLOAD) + KEY) == b""

    @given(
        st.lists(
            st.tuples(st.sampled_from([Opcode.BINARY, Opcode.PING, Opcode.PONG]), st.binary(max_size=125)), max_size=8
        ),
        st.lists(st.integers(1, 40), max_size=60),
    )
    def test_where_the_network_cuts_makes_no_difference(
        self, frames: list[tuple[Opcode, bytes]], cuts: list[int]
    ) -> None:
        data = b"".join(client_frame(opcode, payload) for opcode, payload in frames)
        payload = b"".join(payload for opcode, payload in frames if opcode == Opcode.BINARY)
        controls = [(opcode, payload) for opcode, payload in frames if opcode != Opcode.BINARY]
        assert parse(data, *cuts) == (payload, controls)

    @given(st.binary(max_size=400), st.lists(st.integers(1, 9), max_size=80))
    def test_anything_at_all_is_parsed_or_refused_with_a_documented_error(self, data: bytes, cuts: list[int]) -> None:
        refusal = None
        try:
            parse(data, *cuts)
        except FrameError as error:
            refusal = error
        if refusal is not None:
            assert refusal.code in (1002, 1003, 1007, 1009)
            assert 0 < len(refusal.reason.encode()) <= MAX_REASON_BYTES


class TestUnmask:
    @given(st.binary(max_size=300), st.binary(min_size=4, max_size=4), st.integers(0, 1000))
    def test_it_is_the_exclusive_or_of_rfc_6455_5_3(self, data: bytes, key: bytes, offset: int) -> None:
        assert unmask(data, key, offset) == bytes(byte ^ key[(offset + i) % 4] for i, byte in enumerate(data))

    def test_the_rfc_example(self) -> None:
        assert unmask(bytes.fromhex("7f9f4d5158"), bytes.fromhex("37fa213d")) == b"Hello"


class TestControl:
    def test_close_carries_code_and_reason_and_ends_the_parsing(self) -> None:
        payload = struct.pack("!H", 1000) + b"bye"
        parser = FrameParser()
        assert parser.feed(client_frame(Opcode.CLOSE, payload) + b"garbage after the end") == b""
        assert parser.closed
        assert parser.controls == [(Opcode.CLOSE, payload)]
        assert parser.feed(b"more garbage") == b""

    def test_a_close_without_a_code_is_allowed(self) -> None:
        assert parse(client_frame(Opcode.CLOSE)) == (b"", [(Opcode.CLOSE, b"")])

    @pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535])
    def test_a_close_code_that_may_not_be_sent_is_refused(self, code: int) -> None:
        refused(client_frame(Opcode.CLOSE, struct.pack("!H", code)), CloseCode.PROTOCOL_ERROR)

    @pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1014, 3000, 4999])
    def test_the_others_are_taken(self, code: int) -> None:
        payload = struct.pack("!H", code)
        assert parse(client_frame(Opcode.CLOSE, payload))[1] == [(Opcode.CLOSE, payload)]

    def test_a_reason_that_is_not_utf_8_is_refused(self) -> None:
        refused(client_frame(Opcode.CLOSE, struct.pack("!H", 1000) + b"\xff\xfe"), CloseCode.INVALID_PAYLOAD)

    def test_half_a_close_code_is_refused(self) -> None:
        refused(client_frame(Opcode.CLOSE, b"\x03"), CloseCode.PROTOCOL_ERROR)


def refused(data: bytes, code: CloseCode) -> None:
    """Whole and byte by byte."""
    for cuts in ([], [1] * len(data)):
        with pytest.raises(FrameError) as caught:
            parse(data, *cuts)
        assert caught.value.code == code


class TestWhatIsRefused:
    def test_an_unmasked_frame(self) -> None:
        refused(b"\x82\x05Hello", CloseCode.PROTOCOL_ERROR)

    @pytest.mark.parametrize("bits", [0x40, 0x20, 0x10])
    def test_a_reserved_bit(self, bits: int) -> None:
        refused(bytes([0x82 | bits, 0x80]) + KEY, CloseCode.PROTOCOL_ERROR)

    @pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
    def test_a_reserved_opcode(self, opcode: int) -> None:
        refused(client_frame(opcode), CloseCode.PROTOCOL_ERROR)

    def test_text(self) -> None:
        refused(client_frame(Opcode.TEXT, b"RFB 003.008\n"), CloseCode.UNSUPPORTED_DATA)

    def test_a_continuation_of_nothing(self) -> None:
        refused(client_frame(Opcode.CONTINUATION, b"x"), CloseCode.PROTOCOL_ERROR)

    def test_a_new_message_inside_another(self) -> None:
        refused(
            client_frame(Opcode.BINARY, b"x", fin=False) + client_frame(Opcode.BINARY, b"y"), CloseCode.PROTOCOL_ERROR
        )

    @pytest.mark.parametrize("opcode", [Opcode.PING, Opcode.PONG, Opcode.CLOSE])
    def test_a_fragmented_control_frame(self, opcode: Opcode) -> None:
        refused(client_frame(opcode, fin=False), CloseCode.PROTOCOL_ERROR)

    def test_a_control_frame_above_125_bytes(self) -> None:
        refused(client_frame(Opcode.PING, bytes(126)), CloseCode.PROTOCOL_ERROR)

    @pytest.mark.parametrize("length", [MAX_FRAME_PAYLOAD + 1, 1 << 32, 1 << 62, (1 << 64) - 1])
    def test_a_length_above_the_cap(self, length: int) -> None:
        refused(struct.pack("!BBQ", 0x82, 0xFF, length) + KEY, CloseCode.TOO_BIG)

    @pytest.mark.parametrize(
        "head", [struct.pack("!BBH", 0x82, 0xFE, 125), struct.pack("!BBQ", 0x82, 0xFF, 65535)], ids=["16 bit", "64 bit"]
    )
    def test_a_length_in_more_bytes_than_it_needs(self, head: bytes) -> None:
        refused(head + KEY, CloseCode.PROTOCOL_ERROR)


class TestServerFrames:
    @pytest.mark.parametrize("size", SIZES)
    def test_a_header_announces_what_follows(self, size: int) -> None:
        assert server_frames(header(Opcode.BINARY, size) + bytes(size)) == [(Opcode.BINARY, bytes(size))]

    def test_pong(self) -> None:
        assert server_frames(control_frame(Opcode.PONG, b"x" * 125)) == [(Opcode.PONG, b"x" * 125)]

    def test_a_close_reason_is_cut_at_a_characters_end(self) -> None:
        ((opcode, payload),) = server_frames(close_frame(4000, "ü" * 100))
        assert opcode == Opcode.CLOSE
        assert payload == struct.pack("!H", 4000) + ("ü" * 61).encode()


def test_the_helper_masks_as_the_rfc_does() -> None:
    assert masked(b"Hello", bytes.fromhex("37fa213d")) == bytes.fromhex("7f9f4d5158")
