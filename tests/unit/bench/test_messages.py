"""What client and source say to each other."""

from __future__ import annotations

import pytest

from bench.loads import messages
from bench.loads.messages import Comparison, Order
from porthole.proxy.rfb.client_messages import ClientMessages, Mode


@pytest.mark.parametrize(
    "message",
    [
        messages.stream(65536, 3, 7),
        messages.report(),
        messages.next_update(),
        messages.key_event(65),
        messages.cut_text(b"hello"),
    ],
)
def test_each_is_a_message_of_rfb_and_gets_through_the_service(message: bytes) -> None:
    service = ClientMessages(Mode.FULL)

    passed = b"".join(service.feed(message[at : at + 1]) for at in range(len(message)))

    assert passed == message
    service.feed(messages.key_event(1))
    assert service.inputs == (message[0] in (messages.KEY_EVENT, messages.CUT_TEXT)) + 1  # it ended where we say


def test_an_order_says_what_was_asked_for() -> None:
    assert messages.order_of(messages.stream(1536, 12, 8)) == (Order.STREAM, 1536, 12, 8)
    assert messages.order_of(messages.report()) == (Order.REPORT, 0, 0, 0)


def test_a_request_that_is_incremental_is_no_order() -> None:
    assert messages.order_of(messages.next_update()) is None


@pytest.mark.parametrize("write", [0, 100, 65536 + 256])
def test_a_size_that_cannot_be_told_is_refused(write: int) -> None:
    with pytest.raises(ValueError, match=r"at most 65536, in steps of 256"):
        messages.stream(write)


def stream(size: int) -> bytearray:
    pattern = messages.pattern()
    return bytearray((pattern * (size // len(pattern) + 1))[:size])


@pytest.mark.parametrize("step", [1000, 65536, 100_001])
def test_what_arrives_as_it_was_sent_is_equal(step: int) -> None:
    data, comparison = stream(3_000_000), Comparison()
    for at in range(0, len(data), step):
        comparison.take(memoryview(data)[at : at + step])

    assert comparison.wrong_at is None
    assert comparison.position == len(data)


@pytest.mark.parametrize("at", [0, 1, 65535, 1_048_576, 2_999_999])
def test_one_changed_bit_is_noticed(at: int) -> None:
    data, comparison = stream(3_000_000), Comparison()
    data[at] ^= 1
    for begin in range(0, len(data), 65536):
        comparison.take(memoryview(data)[begin : begin + 65536])

    assert comparison.wrong_at is not None
    assert comparison.wrong_at <= at < comparison.wrong_at + 65536


def test_a_byte_that_is_left_out_is_noticed() -> None:
    data, comparison = stream(200_000), Comparison()
    del data[100]
    comparison.take(memoryview(data))

    assert comparison.wrong_at == 0
