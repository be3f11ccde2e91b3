"""CONNECT for an ``internal_access_path``: what is sent, what is taken of the answer, and what is not."""

from __future__ import annotations

import pytest

from porthole.proxy.access_path import MAX_HEAD, AccessPathRefused, ask_for
from porthole.proxy.rfb.conversation import Conversation
from tests.unit.proxy.rfb.talk import talk

ASKED = b"CONNECT /console/7?ref=1 HTTP/1.1\r\n\r\n"
GREETING = b"RFB 003.008\n"


def asked() -> Conversation[None]:
    return Conversation(ask_for("/console/7?ref=1"))


@pytest.mark.parametrize("size", [0, 1, 2, 3])
@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.0 200 Connection established\r\nVia: x\r\n\r\n",
        b"HTTP/1.1 200\r\nA: \r\r\nB: \r\n\r\r\nC: \n\n\r\n\r\n",
    ],
)
def test_after_200_nothing_of_what_follows_the_empty_line_is_taken(answer: bytes, size: int) -> None:
    conversation = asked()
    said = talk(conversation, answer + GREETING, size)
    assert (said.sent, said.rest) == (ASKED, GREETING)
    assert conversation.over


@pytest.mark.parametrize("size", [0, 1])
def test_without_its_end_it_is_waited_for_and_said_what_for(size: int) -> None:
    conversation = asked()
    assert talk(conversation, b"HTTP/1.1 200 OK\r\nA: b\r\n", size).rest == b""
    assert not conversation.over
    assert conversation.awaited == "the end of its answer to CONNECT"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "it answered CONNECT with 404 instead of 200"),
        (b"HTTP/1.1 503 200 of them\r\n\r\n", "it answered CONNECT with 503 instead of 200"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "its answer to CONNECT is not HTTP/1.1"),
        (b"RFB 003.008\n\x01\x01\r\n\r\n", "its answer to CONNECT is not HTTP/1.1"),
        (b"HTTP/2 200 OK\r\n\r\n", "its answer to CONNECT is not HTTP/1.1"),
        (b"\r\n\r\n", "its answer to CONNECT is not HTTP/1.1"),
    ],
)
@pytest.mark.parametrize("size", [0, 1])
def test_anything_else_is_refused(answer: bytes, why: str, size: int) -> None:
    with pytest.raises(AccessPathRefused) as refused:
        talk(asked(), answer, size)
    assert str(refused.value) == why


@pytest.mark.parametrize("size", [0, 1])
@pytest.mark.parametrize("more", [b"x", b"\r", b"\r\n\rx"])
def test_one_without_an_end_is_given_up_within_a_bound(size: int, more: bytes) -> None:
    endless = b"HTTP/1.1 200 OK\r\nA: " + more * MAX_HEAD
    with pytest.raises(AccessPathRefused, match="does not end within 8192 bytes"):
        talk(asked(), endless, size)
