"""What is fuzzed, and what has to hold whatever it is fed: it is parsed, or refused with a documented error.

The first byte of an input says how the rest is fed: its low bits choose among the settings of the target, the others
the size of the pieces. Every input is also fed whole, and the pieces may make no difference.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from porthole.config import AuthScheme
from porthole.proxy.errors import MAX_REASON_BYTES, CloseCode, FrameError
from porthole.proxy.frames import MAX_CONTROL_PAYLOAD, FrameParser, Opcode
from porthole.proxy.rfb.client_messages import ClientMessageError, ClientMessages, Mode
from porthole.proxy.rfb.client_wire import MAX_ENCODINGS_LENGTH
from porthole.proxy.rfb.errors import RfbError
from porthole.proxy.rfb.password import VncPassword
from porthole.proxy.rfb.policy import SecurityPolicy
from porthole.proxy.rfb.reading import MAX_REASON
from porthole.proxy.rfb.server import open_server
from porthole.proxy.rfb.wire import SecurityType
from tests.fuzz import dialogues
from tests.fuzz.client import MORE_BUTTONS, NOT_THE_PICTURE

PARSED = "parsed"
"""The outcome of an input that is refused with no error; others are the error's name."""

_SETTINGS = 8
_PASSWORD = VncPassword("s3cret")
_OPENINGS: tuple[tuple[tuple[AuthScheme, ...], VncPassword | None], ...] = (
    ((AuthScheme.VENCRYPT,), None),
    ((AuthScheme.NONE,), None),
    ((AuthScheme.VENCRYPT, AuthScheme.NONE), None),
    ((AuthScheme.NONE, AuthScheme.VENCRYPT), None),
    ((AuthScheme.VENCRYPT,), _PASSWORD),
    ((AuthScheme.VNC,), _PASSWORD),
    ((AuthScheme.VNC, AuthScheme.NONE), None),
    ((AuthScheme.VENCRYPT, AuthScheme.VNC, AuthScheme.NONE), _PASSWORD),
)
_MAX_ANSWER = 12 + 1 + 2 + 4 + 16
"""Bytes that an opening sends at most: version, security type, VeNCrypt's version and subtype, a response."""

_MAX_HEAD = 13
_FRAME_CODES = {CloseCode.PROTOCOL_ERROR, CloseCode.UNSUPPORTED_DATA, CloseCode.INVALID_PAYLOAD, CloseCode.TOO_BIG}


@dataclass(frozen=True, slots=True)
class Target:
    """Something that takes bytes of strangers.

    :ivar dialogue: makes a valid input
    :ivar check: feeds one input; returns :data:`PARSED` or the name of the documented error, and raises anything else
        when something is wrong: ``AssertionError`` for what has to hold
    """

    dialogue: Callable[[Random], bytes]
    check: Callable[[bytes], str]


def _pieces(data: bytes) -> tuple[int, list[bytes], bytes]:
    """The setting, the pieces, and all of them in one."""
    first, rest = (data[0], data[1:]) if data else (0, b"")
    size = first // _SETTINGS or max(len(rest), 1)
    return first % _SETTINGS, [rest[at : at + size] for at in range(0, len(rest), size)], rest


# -- the messages of a client


def _client_messages(data: bytes) -> str:
    setting, pieces, whole = _pieces(data)
    mode = Mode.VIEW if setting % 2 else Mode.FULL
    parser, out, refusal = _fed(mode, pieces)
    other, out_of_whole, refusal_of_whole = _fed(mode, [whole])
    assert refusal == refusal_of_whole
    if not parser._is_over:
        assert parser.inputs == other.inputs
    if mode is Mode.FULL:
        assert (out, out_of_whole, refusal) == (whole, whole, ""), "a full session is passed on as it is"
        return PARSED
    _assert_asks_for_the_picture(out)
    if refusal:
        assert not out_of_whole
        assert refusal.isascii()
        assert len(refusal) <= MAX_REASON_BYTES
        return ClientMessageError.__name__
    assert out == out_of_whole
    return PARSED


def _fed(mode: Mode, pieces: list[bytes]) -> tuple[ClientMessages, bytes, str]:
    parser = ClientMessages(mode)
    out = []
    for piece in pieces:
        try:
            out.append(parser.feed(piece))
        except ClientMessageError as error:
            return parser, b"".join(out), str(error)
        assert len(parser._begun) < MAX_ENCODINGS_LENGTH
    return parser, b"".join(out), ""


def _assert_asks_for_the_picture(out: bytes) -> None:
    """Whole messages of the three harmless types, and nothing between or after them."""
    at = 0
    while at < len(out):
        assert out[at] in (0, 2, 3)
        length = {0: 20, 3: 10}.get(out[at])
        if length is None:
            (count,) = struct.unpack_from("!H", out, at + 2)
            length = 4 + 4 * count
            assert not {*NOT_THE_PICTURE, MORE_BUTTONS}.intersection(struct.unpack_from(f"!{count}i", out, at + 4))
        at += length
    assert at == len(out)


# -- the opening with a VNC server


def _server(data: bytes) -> str:
    setting, pieces, whole = _pieces(data)
    outcome = _opened(*_OPENINGS[setting], pieces)
    assert outcome == _opened(*_OPENINGS[setting], [whole])
    return outcome[0]


def _opened(
    schemes: tuple[AuthScheme, ...], password: VncPassword | None, pieces: list[bytes]
) -> tuple[str, bytes, str]:
    """The outcome's name, what was sent, and what came of it."""
    sent = b""
    is_tls = False
    refusal: RfbError | None = None
    conversation = open_server(SecurityPolicy(schemes, "compute1"), password)
    try:
        for piece in pieces:
            rest = piece
            while rest and not conversation.over:
                if conversation.wants_tls:
                    is_tls = True
                    conversation.tls_started()
                rest = conversation.feed(rest)
                sent += conversation.outgoing()
                assert len(conversation._received) <= MAX_REASON
                assert len(sent) <= _MAX_ANSWER
    except RfbError as error:
        refusal = error
    if refusal is not None:
        assert str(refusal).isprintable()
        assert _PASSWORD.secret not in str(refusal)
        return type(refusal).__name__, sent + conversation.outgoing(), str(refusal)
    if conversation.over:
        security = conversation.outcome.security
        assert (security is SecurityType.VENCRYPT) == is_tls
        assert is_tls or schemes != (AuthScheme.VENCRYPT,), "nobody who wants TLS goes without"
        assert security is not SecurityType.VNC_AUTH or AuthScheme.VNC in schemes
        assert password is None or not conversation.outcome.asks_browser
    return PARSED, sent, f"{conversation.over} {conversation.awaited}"


# -- the frames of a browser


def _frames(data: bytes) -> str:
    _, pieces, whole = _pieces(data)
    out, controls, outcome = _unframed(pieces)
    out_of_whole, controls_of_whole, outcome_of_whole = _unframed([whole])
    assert outcome == outcome_of_whole
    if outcome == PARSED:
        assert (out, controls) == (out_of_whole, controls_of_whole)
    return outcome.partition(":")[0]


def _unframed(pieces: list[bytes]) -> tuple[bytes, list[tuple[Opcode, bytes]], str]:
    """The payload, the control frames, and the outcome."""
    parser = FrameParser()
    out = []
    refusal: FrameError | None = None
    for piece in pieces:
        try:
            out.append(parser.feed(piece))
        except FrameError as error:
            refusal = error
            break
        assert len(parser._head) <= _MAX_HEAD
        assert len(parser._control) <= MAX_CONTROL_PAYLOAD
    payload = b"".join(out)
    assert len(payload) <= sum(map(len, pieces))
    assert all(len(content) <= MAX_CONTROL_PAYLOAD for _, content in parser.controls)
    if refusal is None:
        return payload, parser.controls, PARSED
    assert refusal.code in _FRAME_CODES
    assert 0 < len(refusal.reason.encode()) <= MAX_REASON_BYTES
    return payload, parser.controls, f"FrameError: {refusal.code} {refusal.reason}"


TARGETS: dict[str, Target] = {
    "CLIENT_MESSAGES": Target(dialogues.client_messages, _client_messages),
    "SERVER": Target(dialogues.server, _server),
    "FRAMES": Target(dialogues.frames, _frames),
}
