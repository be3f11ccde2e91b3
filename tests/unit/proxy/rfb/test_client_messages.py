"""What becomes of a VNC client's messages: in a view-only session, and in a full one, where they are only counted."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from porthole.proxy.errors import MAX_REASON_BYTES
from porthole.proxy.rfb.client_encodings import PICTURE, Encoding
from porthole.proxy.rfb.client_messages import ClientMessageError, ClientMessages, Mode
from porthole.proxy.rfb.client_wire import MAX_CLIPBOARD, MAX_ENCODINGS, MAX_ENCODINGS_LENGTH
from porthole.proxy.rfb.errors import RfbError
from tests.fuzz import client
from tests.fuzz.client import EVERY_KIND, MORE_BUTTONS, NOVNC_BEGINS, Sent

each_kind = pytest.mark.parametrize("sent", EVERY_KIND.values(), ids=EVERY_KIND.keys())
each_mode = pytest.mark.parametrize("mode", list(Mode))

UNKNOWN_TYPES = sorted(set(range(256)) - {0, 2, 3, 4, 5, 6, 150, 248, 250, 251, 255})

random_messages = st.builds(client.random_message, st.builds(Random, st.integers(0, 1 << 32)))
cuts = st.lists(st.integers(1, 24), max_size=60)


def pieces(data: bytes, sizes: Iterable[int]) -> list[bytes]:
    """The data cut into pieces of these sizes; the rest is the last."""
    found = []
    for size in sizes:
        found.append(data[:size])
        data = data[size:]
    return [*found, data]


def fed(parser: ClientMessages, chunks: Iterable[bytes]) -> bytes:
    return b"".join([parser.feed(chunk) for chunk in chunks])


def held(parser: ClientMessages) -> int:
    return len(parser._begun)


def join(messages: Iterable[Sent]) -> Sent:
    messages = list(messages)
    return Sent(
        b"".join(sent.data for sent in messages),
        b"".join(sent.passed for sent in messages),
        sum(sent.inputs for sent in messages),
    )


@each_kind
class TestHoweverTheNetworkCuts:
    """Byte by byte, in every two pieces, and between others."""

    def test_view_passes_on_what_asks_for_the_picture_and_nothing_else(self, sent: Sent) -> None:
        for chunks in cut_in_every_way(sent.data):
            parser = ClientMessages(Mode.VIEW)
            assert (fed(parser, chunks), parser.inputs) == (sent.passed, sent.inputs)
            assert held(parser) == 0

    def test_view_passes_on_only_whole_messages(self, sent: Sent) -> None:
        parser = ClientMessages(Mode.VIEW)
        for byte in sent.data[:-1]:
            assert parser.feed(bytes([byte])) == b""
        assert parser.feed(sent.data[-1:]) == sent.passed

    def test_full_passes_on_every_byte_at_once(self, sent: Sent) -> None:
        for chunks in cut_in_every_way(sent.data):
            parser = ClientMessages(Mode.FULL)
            assert [parser.feed(chunk) for chunk in chunks] == chunks
            assert parser.inputs == sent.inputs

    @each_mode
    def test_the_next_message_is_found(self, sent: Sent, mode: Mode) -> None:
        whole = join([client.update_request(), sent, client.key_event(), sent, client.update_request(0)])
        expected = whole.passed if mode is Mode.VIEW else whole.data
        for chunks in cut_in_every_way(whole.data):
            parser = ClientMessages(mode)
            assert (fed(parser, chunks), parser.inputs) == (expected, whole.inputs)

    @each_mode
    def test_a_memoryview_is_as_good_and_is_not_kept(self, sent: Sent, mode: Mode) -> None:
        buffer = bytearray(sent.data)
        parser = ClientMessages(mode)
        half = len(buffer) // 2
        first = parser.feed(memoryview(buffer)[:half])
        buffer[:half] = bytes(half)
        assert first + parser.feed(memoryview(buffer)[half:]) == (sent.passed if mode is Mode.VIEW else sent.data)


def cut_in_every_way(data: bytes) -> list[list[bytes]]:
    """Whole, byte by byte, and in every two pieces."""
    ways = [[data], [data[at : at + 1] for at in range(len(data))]]
    return ways + [[data[:at], data[at:]] for at in range(1, len(data))]


class TestView:
    @given(st.lists(random_messages, max_size=12), cuts)
    def test_the_output_is_the_harmless_messages_one_after_the_other(self, sent: list[Sent], sizes: list[int]) -> None:
        whole = join(sent)
        parser = ClientMessages(Mode.VIEW)
        assert fed(parser, pieces(whole.data, sizes)) == whole.passed
        assert parser.inputs == whole.inputs

    @given(st.lists(random_messages, max_size=6), st.binary(max_size=60))
    def test_what_is_dropped_may_hold_anything(self, sent: list[Sent], text: bytes) -> None:
        """Whole messages inside a clipboard or a fence are text, not messages."""
        smuggled = text + join(sent).data
        parser = ClientMessages(Mode.VIEW)
        data = client.cut_text(smuggled).data + client.fence(smuggled[:255]).data + client.update_request().data
        assert fed(parser, pieces(data, [3, 11])) == client.update_request().data

    @pytest.mark.parametrize("kind", UNKNOWN_TYPES)
    def test_an_unknown_type_ends_the_session(self, kind: int) -> None:
        parser = ClientMessages(Mode.VIEW)
        parser.feed(client.update_request().data)
        with pytest.raises(ClientMessageError, match=f"type {kind} is unknown; known are 0, 2 to 6, 150"):
            parser.feed(client.update_request().data + bytes([kind]) + client.update_request().data)

    def test_nothing_is_passed_on_after_that(self) -> None:
        parser = ClientMessages(Mode.VIEW)
        for data in (b"\x07", client.update_request().data, b"", client.key_event().data):
            with pytest.raises(ClientMessageError, match="type 7 is unknown"):
                parser.feed(data)
        assert held(parser) == 0

    def test_an_unknown_submessage_of_qemu(self) -> None:
        with pytest.raises(ClientMessageError, match="QEMU message 2 is unknown"):
            ClientMessages(Mode.VIEW).feed(b"\xff\x02")

    def test_an_unknown_audio_operation(self) -> None:
        with pytest.raises(ClientMessageError, match="audio operation 259 is unknown; known are 0, 1 and 2"):
            ClientMessages(Mode.VIEW).feed(client.audio(259).data)

    def test_an_eighth_button_is_six_bytes_for_a_client_that_offers_more_and_is_not_heard(self) -> None:
        whole = join(
            [client.set_encodings(0, MORE_BUTTONS), client.pointer_event(0xFF), client.update_request()],
        )
        parser = ClientMessages(Mode.VIEW)
        assert parser.feed(whole.data) == client.set_encodings(0).data + client.update_request().data

    def test_what_novnc_begins_with_asks_for_its_picture_and_for_nothing_that_needs_an_answer(self) -> None:
        parser = ClientMessages(Mode.VIEW)
        whole = join(NOVNC_BEGINS)
        encodings = (1, 50, 7, -260, 16, 21, 5, 2, 6, 0, -26, -254, -223, -224, -307, 0x574D5664, -239)
        assert parser.feed(whole.data) == (
            client.set_pixel_format().data + client.set_encodings(*encodings).data + client.update_request(0).data
        )


class TestEncodings:
    @pytest.mark.parametrize("number", client.PICTURE)
    def test_what_describes_the_picture_is_passed_on(self, number: int) -> None:
        assert passed_encodings(number, 0) == (number, 0)

    @pytest.mark.parametrize("number", [*client.NOT_THE_PICTURE, MORE_BUTTONS])
    def test_an_offer_whose_other_half_is_dropped_is_not(self, number: int) -> None:
        assert passed_encodings(7, number, 0) == (7, 0)

    def test_every_named_encoding_is_one_or_the_other(self) -> None:
        for encoding in Encoding:
            assert passed_encodings(encoding) == ((encoding,) if encoding in PICTURE else ())

    def test_order_and_repetitions_are_the_clients(self) -> None:
        assert passed_encodings(0, 7, -309, 16, 7, 0) == (0, 7, 16, 7, 0)

    def test_as_many_as_are_taken(self) -> None:
        assert passed_encodings(*[16] * MAX_ENCODINGS) == (16,) * MAX_ENCODINGS

    def test_more_than_are_taken(self) -> None:
        with pytest.raises(ClientMessageError, match="SetEncodings has 1025 entries; at most 1024 are taken"):
            ClientMessages(Mode.VIEW).feed(client.set_encodings(*[0] * (MAX_ENCODINGS + 1)).data[:4])


def passed_encodings(*encodings: int) -> tuple[int, ...]:
    data = ClientMessages(Mode.VIEW).feed(client.set_encodings(*encodings).data)
    count = struct.unpack_from("!BxH", data)[1]
    assert (data[:2], len(data)) == (b"\x02\x00", 4 + 4 * count)
    return struct.unpack_from(f"!{count}i", data, 4)


class TestBounds:
    @pytest.mark.parametrize("length", [MAX_CLIPBOARD, -MAX_CLIPBOARD])
    def test_a_clipboard_as_long_as_may_be_is_skipped_and_not_held(self, length: int) -> None:
        parser = ClientMessages(Mode.VIEW)
        assert parser.feed(struct.pack("!B3xi", 6, length)) == b""
        left = MAX_CLIPBOARD
        while left:
            assert parser.feed(bytes([255]) * 16384) == b""
            assert held(parser) == 0
            left -= 16384
        assert parser.feed(client.update_request().data) == client.update_request().data

    @pytest.mark.parametrize("length", [MAX_CLIPBOARD + 1, (1 << 31) - 1, -MAX_CLIPBOARD - 1, -(1 << 31)])
    def test_a_longer_one_is_refused_before_any_of_it_comes(self, length: int) -> None:
        with pytest.raises(ClientMessageError, match=f"ClientCutText has {abs(length)} bytes; at most 1048576"):
            # An extended one says what it is about before its data.
            ClientMessages(Mode.VIEW).feed(struct.pack("!B3xiI", 6, length, 1 << 28))

    @pytest.mark.parametrize("length", [MAX_CLIPBOARD + 1, (1 << 31) - 1, -(1 << 31)])
    def test_full_counts_its_way_through_one_of_any_length(self, length: int) -> None:
        parser = ClientMessages(Mode.FULL)
        data = struct.pack("!B3xiI", 6, length, 1 << 28)
        parser.feed(data)
        left = 8 + abs(length) - len(data)
        parser._skip -= left - 3
        parser.feed(b"end")
        assert (parser._skip, parser.inputs) == (0, 1)
        parser.feed(client.key_event().data)
        assert parser.inputs == 2

    @each_mode
    def test_what_is_held_is_one_set_encodings_at_most(self, mode: Mode) -> None:
        parser = ClientMessages(mode)
        data = client.set_encodings(*[16] * MAX_ENCODINGS).data
        assert len(data) == MAX_ENCODINGS_LENGTH <= 64 * 1024
        for at in range(0, len(data) - 1, 7):
            parser.feed(data[at : min(at + 7, len(data) - 1)])
            assert held(parser) <= MAX_ENCODINGS_LENGTH
        parser.feed(data[-1:])
        assert held(parser) == 0

    def test_full_holds_none_of_a_set_encodings_that_is_longer(self) -> None:
        parser = ClientMessages(Mode.FULL)
        data = client.set_encodings(*[MORE_BUTTONS] * 65535).data
        for piece in pieces(data, [4, 100000]):
            assert parser.feed(piece) == piece
            assert held(parser) == 0
        parser.feed(client.key_event().data)
        assert parser.inputs == 1

    @each_mode
    @given(data=st.binary(max_size=300), sizes=cuts)
    @example(data=struct.pack("!B3xi", 6, -(1 << 31)), sizes=[])
    @example(data=b"\x02\x00\xff\xff" + bytes(200), sizes=[4] * 40)
    def test_anything_at_all_is_parsed_or_refused_with_a_close_reason(
        self, mode: Mode, data: bytes, sizes: list[int]
    ) -> None:
        parser = ClientMessages(mode)
        out, refusal = b"", ""
        for piece in pieces(data, sizes):
            try:
                out += parser.feed(piece)
            except ClientMessageError as error:
                refusal = str(error)
            assert held(parser) <= MAX_ENCODINGS_LENGTH
        if mode is Mode.FULL:
            assert (out, refusal) == (data, "")
        elif refusal:
            assert refusal.endswith(".")
            assert len(refusal.encode()) <= MAX_REASON_BYTES, "it becomes a close reason"

    def test_its_error_is_one_of_rfb(self) -> None:
        assert issubclass(ClientMessageError, RfbError)


class TestFull:
    @given(st.lists(random_messages, max_size=12), cuts)
    def test_the_output_is_the_input_and_the_inputs_are_counted(self, sent: list[Sent], sizes: list[int]) -> None:
        whole = join(sent)
        parser = ClientMessages(Mode.FULL)
        chunks = pieces(whole.data, sizes)
        assert [parser.feed(chunk) for chunk in chunks] == chunks
        assert parser.inputs == whole.inputs

    @each_kind
    def test_bytes_are_not_copied(self, sent: Sent) -> None:
        assert ClientMessages(Mode.FULL).feed(sent.data) is sent.data

    @pytest.mark.parametrize("data", [b"\x07", b"\xfd\x81\x00\x04", b"\xff\x02", b"\xff\x01\x00\x03"])
    def test_after_what_is_not_understood_every_feed_is_an_input_and_nothing_is_read(self, data: bytes) -> None:
        parser = ClientMessages(Mode.FULL)
        assert parser.feed(client.key_event().data + data) == client.key_event().data + data
        assert parser.inputs == 2, "the key, and what nobody knows"
        for later in (client.update_request().data, b"\x04", b"anything", client.key_event().data * 3):
            before = parser.inputs
            assert parser.feed(later) is later
            assert parser.inputs == before + 1
        assert held(parser) == 0

    @each_mode
    def test_no_bytes_are_no_input(self, mode: Mode) -> None:
        parser = ClientMessages(mode)
        assert (parser.feed(b""), parser.inputs) == (b"", 0)
        full = ClientMessages(Mode.FULL)
        full.feed(b"\x07")
        assert (full.feed(b""), full.inputs) == (b"", 1)

    def test_pointer_events_of_a_client_with_more_buttons(self) -> None:
        sent = join(
            [
                client.set_encodings(7, MORE_BUTTONS),
                client.long_pointer_event(),
                client.pointer_event(0x7F),
                client.long_pointer_event(0x280),
                client.key_event(),
                client.long_pointer_event(0),
                client.set_encodings(7),
                client.long_pointer_event(),
            ]
        )
        for chunks in cut_in_every_way(sent.data):
            parser = ClientMessages(Mode.FULL)
            assert [parser.feed(chunk) for chunk in chunks] == chunks
            assert parser.inputs == 6

    def test_an_eighth_button_of_a_client_without_them(self) -> None:
        parser = ClientMessages(Mode.FULL)
        for sent in (client.pointer_event(0x80), client.key_event()):
            parser.feed(sent.data)
        assert parser.inputs == 2

    def test_six_bytes_of_a_longer_pointer_event_are_not_taken_for_a_shorter_one(self) -> None:
        parser = ClientMessages(Mode.FULL)
        event = client.long_pointer_event().data
        for data in (client.set_encodings(MORE_BUTTONS).data, event[:6], event[6:], event[:6], event[6:] + event):
            parser.feed(data)
        assert (parser.inputs, held(parser)) == (3, 0)

    def test_three_messages_of_twelve_bytes_are_not_taken_for_a_key_event_of_qemu(self) -> None:
        parser = ClientMessages(Mode.FULL)
        data = client.audio().data + client.xvp().data * 2
        assert len(data) == len(client.extended_key_event().data)
        parser.feed(data)
        assert (parser.inputs, held(parser), parser._skip) == (0, 0, 0)


class TestInputs:
    """Idle is a session in which nobody does anything, whatever the viewer says by itself."""

    @each_mode
    def test_asking_for_the_picture_is_no_input(self, mode: Mode) -> None:
        parser = ClientMessages(mode)
        for sent in (*NOVNC_BEGINS, client.update_request(), client.fence(), client.continuous_updates()):
            parser.feed(sent.data)
        assert parser.inputs == 0

    @each_mode
    def test_nor_is_an_answer_to_the_guests_clipboard(self, mode: Mode) -> None:
        parser = ClientMessages(mode)
        parser.feed(client.clipboard_caps().data + client.clipboard_request().data)
        assert parser.inputs == 0

    @each_mode
    def test_keys_pointers_and_clipboards_are(self, mode: Mode) -> None:
        parser = ClientMessages(mode)
        doings = (
            *(client.key_event(), client.extended_key_event(), client.pointer_event()),
            *(client.cut_text(), client.clipboard_notify(), client.clipboard_provide()),
        )
        for number, sent in enumerate(doings, 1):
            parser.feed(sent.data)
            assert parser.inputs == number
