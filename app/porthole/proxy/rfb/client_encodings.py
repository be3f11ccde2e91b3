"""What a SetEncodings lists (RFC 6143 7.5.2), and what of it a session keeps that may only look.

A pseudo-encoding is an offer: a VNC server that finds it in the list may use the extension, and then counts on the
client's part in it. In a view-only session that part is never passed on, so the offer may not be either:

- ContinuousUpdates: noVNC stops asking for updates once it has sent EnableContinuousUpdates. The VNC server, which
  never got that, would wait to be asked, and the picture would stand still.
- Fence: the VNC server would wait for answers that never come, and slow down or stop.
- ExtendedMouseButtons: it changes the length of PointerEvent, but only if the VNC server agrees. That is not seen here.
- xvp, ExtendedDesktopSize: the viewer would show buttons that do nothing, and ask for sizes in vain. A changed size is
  told by DesktopSize, which is kept.
- Extended clipboard: the VNC server would tell what the guest has in its clipboard. That is no picture.
- QEMU's key event, audio, pointer motion change and LED state, gii: about input or sound, of no use to who only looks.

So the list is rewritten: it keeps, in their order, the encodings that describe the picture. Numbers that are not known
here go too, for what they would start is not known either. A VNC server may use Raw even when the list is empty
(RFC 6143 7.5.2), and a shorter list is one that a client may send, so nothing waits for what was taken out.
"""

from __future__ import annotations

import struct
from enum import IntEnum

from porthole.proxy.rfb.client_wire import ClientMessage

_HEAD = struct.Struct("!BxH")


class Encoding(IntEnum):
    """Encodings, and pseudo-encodings that are one number (community, Encodings and Pseudo-encodings)."""

    RAW = 0
    COPY_RECT = 1
    RRE = 2
    CORRE = 4
    HEXTILE = 5
    ZLIB = 6
    TIGHT = 7
    ZLIBHEX = 8
    TRLE = 15
    ZRLE = 16
    ZYWRLE = 17
    JPEG = 21
    OPEN_H264 = 50
    DESKTOP_SIZE = -223
    LAST_RECT = -224
    POINTER_POS = -232  # QEMU ui/vnc.h, TightVNC
    CURSOR = -239
    X_CURSOR = -240
    QEMU_POINTER_MOTION_CHANGE = -257
    QEMU_EXTENDED_KEY_EVENT = -258
    QEMU_AUDIO = -259
    TIGHT_PNG = -260
    LED_STATE = -261
    GII = -305
    DESKTOP_NAME = -307
    EXTENDED_DESKTOP_SIZE = -308
    XVP = -309
    FENCE = -312
    CONTINUOUS_UPDATES = -313
    CURSOR_WITH_ALPHA = -314
    EXTENDED_MOUSE_BUTTONS = -316
    VMWARE_CURSOR = 0x574D5664
    VMWARE_DISPLAY_MODE_CHANGE = 0x574D5669  # QEMU ui/vnc.h: WMVi
    EXTENDED_CLIPBOARD = 0xC0A1E5CE - (1 << 32)


_NOT_THE_PICTURE = {
    Encoding.QEMU_POINTER_MOTION_CHANGE,
    Encoding.QEMU_EXTENDED_KEY_EVENT,
    Encoding.QEMU_AUDIO,
    Encoding.LED_STATE,
    Encoding.GII,
    Encoding.EXTENDED_DESKTOP_SIZE,
    Encoding.XVP,
    Encoding.FENCE,
    Encoding.CONTINUOUS_UPDATES,
    Encoding.EXTENDED_MOUSE_BUTTONS,
    Encoding.EXTENDED_CLIPBOARD,
}

_LEVELS = (
    range(-32, -22),  # community, JPEG Quality Level
    range(-256, -246),  # community, Compression Level
    range(-512, -411),  # community, JPEG Fine-Grained Quality Level
    range(-768, -762),  # community, JPEG Subsampling Level
)

PICTURE: frozenset[int] = frozenset(map(int, set(Encoding) - _NOT_THE_PICTURE)).union(*_LEVELS)
"""The numbers that a view-only session passes on."""


def listed(message: bytes) -> tuple[int, ...]:
    """The numbers in a SetEncodings, which is whole, in their order of preference."""
    return struct.unpack_from(f"!{(len(message) - _HEAD.size) // 4}i", message, _HEAD.size)


def picture_only(message: bytes) -> bytes:
    """A SetEncodings without what is not in :data:`PICTURE`.

    :param message: one that is whole
    """
    kept = [number for number in listed(message) if number in PICTURE]
    return _HEAD.pack(ClientMessage.SET_ENCODINGS, len(kept)) + struct.pack(f"!{len(kept)}i", *kept)
