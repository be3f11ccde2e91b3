"""The feeding of an opening, whatever the opening is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from porthole.proxy.rfb.conversation import Conversation, Read, Send, StartTls, Steps


def echo() -> Steps[bytes]:
    yield Send(b"hello")
    first = yield Read(3, "its name")
    yield Send(first)
    yield Send(b"!")
    yield StartTls()
    second = yield Read(2, "its age")
    return first + second


def test_what_is_said_in_which_order() -> None:
    conversation = Conversation(echo())
    assert (conversation.outgoing(), conversation.outgoing()) == (b"hello", b""), "each byte once"
    assert (conversation.missing, conversation.awaited) == (3, "its name")
    assert conversation.feed(b"an") == b""
    assert conversation.missing == 1
    with pytest.raises(ValueError, match="goes on"):
        conversation.outcome  # noqa: B018 - the access is the test
    assert conversation.feed(b"n42rest") == b"42rest", "what belongs to TLS is not taken before it stands"
    assert conversation.outgoing() == b"ann!"
    assert conversation.wants_tls
    assert conversation.missing == 0
    conversation.tls_started()
    assert conversation.feed(b"42rest") == b"rest"
    assert conversation.over
    assert conversation.outcome == b"ann42"
    assert conversation.feed(b"more") == b"more"


def test_an_opening_without_a_word() -> None:
    def nothing() -> Steps[int]:
        yield Send(b"")
        return 7

    conversation = Conversation(nothing())
    assert conversation.over
    assert conversation.outcome == 7
    assert conversation.feed(b"x") == b"x"


@given(st.lists(st.binary(max_size=6), max_size=12))
def test_pieces_do_not_matter(pieces: list[bytes]) -> None:
    def five() -> Steps[list[bytes]]:
        read = []
        for count in (1, 5, 2):
            read.append((yield Read(count, "")))
        return read

    conversation = Conversation(five())
    rest = b"".join([conversation.feed(piece) for piece in pieces])
    data = b"".join(pieces)
    assert conversation.over == (len(data) >= 8)
    if conversation.over:
        assert conversation.outcome == [data[:1], data[1:6], data[6:8]]
        assert rest == data[8:]
