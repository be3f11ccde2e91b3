"""The messages of a VNC client after ClientInit (RFC 6143 7.5): what they are called, and how long one is.

Sources beside the numbers: "community" is The RFB Protocol (community version, rfbproto.rst); QEMU's side is
``protocol_client_msg`` in its ui/vnc.c, and what noVNC sends is ``RFB.messages`` in its core/rfb.js.

A message's length is told from its first bytes, :data:`MAX_HEAD` at most, before any more of it is looked at.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from enum import IntEnum, IntFlag
from typing import NamedTuple

from porthole.proxy.rfb.errors import RfbError

MAX_HEAD = 12
"""Bytes from which every message's length can be told: those of an extended ClientCutText up to its flags."""

MAX_ENCODINGS = 1024
"""Entries of a SetEncodings. Registered are a few hundred numbers, noVNC 1.7 sends 30; the form would allow 65535."""

MAX_CLIPBOARD = 1024 * 1024
"""Bytes of text of a ClientCutText; QEMU ends the connection above it (``protocol_client_msg``)."""

EXTENDED_BUTTONS = 0x80
"""In a PointerEvent's mask: one more byte of buttons follows (community, ExtendedMouseButtons Pseudo-encoding)."""

_S32 = struct.Struct("!i")
_U32 = struct.Struct("!I")


class ClientMessageError(RfbError):
    """A client's message is not understood; ``str()`` is a sentence for its close reason, with a full stop."""


class ClientMessage(IntEnum):
    """The message types."""

    SET_PIXEL_FORMAT = 0  # RFC 6143 7.5.1
    SET_ENCODINGS = 2  # RFC 6143 7.5.2
    FRAMEBUFFER_UPDATE_REQUEST = 3  # RFC 6143 7.5.3
    KEY_EVENT = 4  # RFC 6143 7.5.4
    POINTER_EVENT = 5  # RFC 6143 7.5.5; community, ExtendedMouseButtons Pseudo-encoding
    CLIENT_CUT_TEXT = 6  # RFC 6143 7.5.6; community, Extended Clipboard Pseudo-encoding
    ENABLE_CONTINUOUS_UPDATES = 150  # community, EnableContinuousUpdates
    CLIENT_FENCE = 248  # community, ClientFence
    XVP = 250  # community, xvp Client Message
    SET_DESKTOP_SIZE = 251  # community, SetDesktopSize
    QEMU = 255  # community, QEMU Client Message


class QemuMessage(IntEnum):
    """The submessage types of type 255 (community, QEMU Client Message)."""

    EXTENDED_KEY_EVENT = 0
    AUDIO = 1


class QemuAudio(IntEnum):
    """The operations of QEMU's audio message (community, QEMU Audio Client Message)."""

    ENABLE = 0
    DISABLE = 1
    SET_SAMPLE_FORMAT = 2


class ClipboardAction(IntFlag):
    """What an extended ClientCutText is about (community, Extended Clipboard Pseudo-encoding)."""

    CAPS = 1 << 24
    REQUEST = 1 << 25
    PEEK = 1 << 26
    NOTIFY = 1 << 27
    PROVIDE = 1 << 28


class Message(NamedTuple):
    """One message, as far as its first bytes tell.

    :ivar kind: its type, one of :class:`ClientMessage`
    :ivar length: bytes, its type included
    :ivar is_input: whether a person's doing causes it
    """

    kind: int
    length: int
    is_input: bool = False


_PIXEL_FORMAT = Message(ClientMessage.SET_PIXEL_FORMAT, 20)
_UPDATE_REQUEST = Message(ClientMessage.FRAMEBUFFER_UPDATE_REQUEST, 10)
_KEY = Message(ClientMessage.KEY_EVENT, 8, is_input=True)
_POINTER = Message(ClientMessage.POINTER_EVENT, 6, is_input=True)
_POINTER_EXTENDED = Message(ClientMessage.POINTER_EVENT, 7, is_input=True)
_CONTINUOUS_UPDATES = Message(ClientMessage.ENABLE_CONTINUOUS_UPDATES, 10)
_XVP = Message(ClientMessage.XVP, 4)
_EXTENDED_KEY = Message(ClientMessage.QEMU, 12, is_input=True)
_AUDIO = Message(ClientMessage.QEMU, 4)
_AUDIO_FORMAT = Message(ClientMessage.QEMU, 10)

FIXED: dict[int, Message] = {
    int(message.kind): message
    for message in (_PIXEL_FORMAT, _UPDATE_REQUEST, _KEY, _POINTER, _CONTINUOUS_UPDATES, _XVP)
}
"""Those of which the type alone tells the length; PointerEvent too, as long as nobody spoke of more buttons."""


_SINGLE = FIXED | {int(ClientMessage.QEMU): _EXTENDED_KEY}
_QEMU = int(ClientMessage.QEMU)


def single(data: bytes | memoryview) -> Message | None:
    """The message when these bytes are exactly one that is told at a glance; a short cut, for it is the usual case.

    :param data: what begins where a message begins, perhaps nothing
    :returns: None when a closer look is needed, which may find the same
    """
    message = _SINGLE.get(data[0]) if data else None
    if message is None or message.length != len(data):
        return None
    # After its type a pointer event has its mask, QEMU's message its submessage type, and the others a flag or padding.
    second = data[1]
    return message if not second or (second < EXTENDED_BUTTONS and message.kind != _QEMU) else None


def variable(head: bytes) -> Message | None:
    """The message that begins like this, of a type that is not in :data:`FIXED`.

    :param head: its first bytes, :data:`MAX_HEAD` or all there are, one at least
    :returns: None when they are too few to tell
    :raises ClientMessageError: its type, its submessage type or its audio operation is not known
    """
    reader = _READERS.get(head[0])
    if reader is None:
        raise ClientMessageError(f"Message type {head[0]} is unknown; known are 0, 2 to 6, 150, 248, 250, 251 and 255.")
    needed, read = reader
    return read(head) if len(head) >= needed else None


def pointer_event(head: bytes) -> Message | None:
    """A PointerEvent of a client that may send more than seven buttons: 7 bytes when the mask's highest bit is set.

    Clients that have this extension keep that bit clear otherwise (noVNC and TigerVNC: ``mask & 0x7f``).

    :param head: as for :func:`variable`
    """
    if len(head) < 2:  # noqa: PLR2004 - type and mask
        return None
    return _POINTER_EXTENDED if head[1] & EXTENDED_BUTTONS else _POINTER


def check_bounds(message: Message) -> None:
    """Look whether a message is one that a client has a use for.

    :raises ClientMessageError: it is longer than :data:`MAX_ENCODINGS` or :data:`MAX_CLIPBOARD` allow
    """
    if message.kind == ClientMessage.SET_ENCODINGS and message.length > MAX_ENCODINGS_LENGTH:
        raise ClientMessageError(
            f"SetEncodings has {(message.length - 4) // 4} entries; at most {MAX_ENCODINGS} are taken."
        )
    if message.kind == ClientMessage.CLIENT_CUT_TEXT and message.length > 8 + MAX_CLIPBOARD:
        raise ClientMessageError(f"ClientCutText has {message.length - 8} bytes; at most {MAX_CLIPBOARD} are taken.")


MAX_ENCODINGS_LENGTH = 4 + 4 * MAX_ENCODINGS
"""Bytes of the longest SetEncodings that is looked into."""


def _set_encodings(head: bytes) -> Message:
    return Message(ClientMessage.SET_ENCODINGS, 4 + 4 * int.from_bytes(head[2:4], "big"))


def _cut_text(head: bytes) -> Message | None:
    """Plain, or extended: that has a negative length, and flags before its data."""
    (length,) = _S32.unpack_from(head, 4)
    if length >= 0:
        return Message(ClientMessage.CLIENT_CUT_TEXT, 8 + length, is_input=True)
    size = 8 - length
    if size < MAX_HEAD:
        # Broken, but its end is known.
        return Message(ClientMessage.CLIENT_CUT_TEXT, size)
    if len(head) < MAX_HEAD:
        return None
    (flags,) = _U32.unpack_from(head, 8)
    # The others are a viewer's own answers to what the VNC server says of the guest's clipboard.
    by_a_person = bool(flags & (ClipboardAction.NOTIFY | ClipboardAction.PROVIDE)) and not flags & ClipboardAction.CAPS
    return Message(ClientMessage.CLIENT_CUT_TEXT, size, by_a_person)


def _fence(head: bytes) -> Message:
    return Message(ClientMessage.CLIENT_FENCE, 9 + head[8])


def _desktop_size(head: bytes) -> Message:
    return Message(ClientMessage.SET_DESKTOP_SIZE, 8 + 16 * head[6])


def _qemu(head: bytes) -> Message | None:
    if head[1] == QemuMessage.EXTENDED_KEY_EVENT:
        return _EXTENDED_KEY
    if head[1] != QemuMessage.AUDIO:
        raise ClientMessageError(f"QEMU message {head[1]} is unknown; known are 0 (extended key event) and 1 (audio).")
    if len(head) < _AUDIO.length:
        return None
    operation = int.from_bytes(head[2:4], "big")
    if operation == QemuAudio.SET_SAMPLE_FORMAT:
        return _AUDIO_FORMAT
    if operation not in (QemuAudio.ENABLE, QemuAudio.DISABLE):
        raise ClientMessageError(f"QEMU audio operation {operation} is unknown; known are 0, 1 and 2.")
    return _AUDIO


_READERS: dict[int, tuple[int, Callable[[bytes], Message | None]]] = {
    ClientMessage.SET_ENCODINGS: (4, _set_encodings),
    ClientMessage.CLIENT_CUT_TEXT: (8, _cut_text),
    ClientMessage.CLIENT_FENCE: (9, _fence),
    ClientMessage.SET_DESKTOP_SIZE: (8, _desktop_size),
    ClientMessage.QEMU: (2, _qemu),
}
"""By type: bytes that its reader needs at least, and the reader."""
