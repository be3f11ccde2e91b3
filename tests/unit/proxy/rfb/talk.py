"""An opening and its other side, which is a list of bytes: what it is answered, whole or a byte at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from porthole.proxy.rfb.conversation import Conversation

T = TypeVar("T")

TLS = b"<TLS>"
"""Stands where TLS begins, in what was said."""


@dataclass(frozen=True, slots=True)
class Said:
    """How far an opening came.

    :ivar sent: what it sent, with :data:`TLS` where TLS began
    :ivar rest: what it did not take of what it was given
    """

    sent: bytes
    rest: bytes


def talk(conversation: Conversation[T], given: bytes, size: int = 0) -> Said:
    """Give an opening what its other side says.

    :param size: bytes at a time; 0 for all that it asks for
    :raises RfbError: it failed
    """
    sent = bytearray(conversation.outgoing())
    while not conversation.over:
        if conversation.wants_tls:
            sent += TLS
            conversation.tls_started()
            continue
        take = min(size or conversation.missing, conversation.missing)
        if not given:
            break
        rest = conversation.feed(given[:take])
        assert rest == b"", "only what is missing was given"
        given = given[take:]
        sent += conversation.outgoing()
    return Said(bytes(sent), given)
