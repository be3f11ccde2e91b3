"""What a VNC client may send after ClientInit, message by message, each with what should become of it."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

PICTURE = (0, 1, 2, 5, 7, 16, 21, 50, -223, -224, -239, -260, -307, -32, -23, -256, -247, -412, -512, 0x574D5664)
"""Some encodings that a view-only session may list; the parser's list is its own, this one is the tests'."""

NOT_THE_PICTURE = (
    *(-257, -258, -259, -261),  # QEMU: pointer motion change, extended key event, audio, LED state
    *(-305, -308, -309, -312, -313),  # gii, ExtendedDesktopSize, xvp, Fence, ContinuousUpdates
    0xC0A1E5CE - (1 << 32),  # Extended Clipboard
    *(-1, -22, -33, -246, -513, 1234567, -(1 << 31)),  # nobody's
)

MORE_BUTTONS = -316
"""ExtendedMouseButtons. A full session's client that lists it has longer pointer events."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One message.

    :ivar data: its bytes
    :ivar passed: what a view-only session makes of it
    :ivar inputs: how many inputs it counts as
    """

    data: bytes
    passed: bytes = b""
    inputs: int = 0


def _passed(data: bytes) -> Sent:
    return Sent(data, data)


def _input(data: bytes) -> Sent:
    return Sent(data, inputs=1)


def set_pixel_format(depth: int = 24) -> Sent:
    return _passed(struct.pack("!B3xBBBBHHHBBB3x", 0, 32, depth, 0, 1, 255, 255, 255, 0, 8, 16))


def set_encodings(*encodings: int) -> Sent:
    kept = [number for number in encodings if number in PICTURE]
    return Sent(_set_encodings(encodings), _set_encodings(kept))


def _set_encodings(encodings: list[int] | tuple[int, ...]) -> bytes:
    return struct.pack(f"!BxH{len(encodings)}i", 2, len(encodings), *encodings)


def update_request(incremental: int = 1, x: int = 0, y: int = 0, width: int = 800, height: int = 600) -> Sent:
    return _passed(struct.pack("!BBHHHH", 3, incremental, x, y, width, height))


def key_event(keysym: int = 0x61, down: int = 1) -> Sent:
    return _input(struct.pack("!BBxxI", 4, down, keysym))


def pointer_event(mask: int = 0, x: int = 3, y: int = 4) -> Sent:
    return _input(struct.pack("!BBHH", 5, mask, x, y))


def long_pointer_event(mask: int = 0x180, x: int = 3, y: int = 4) -> Sent:
    """With a byte for the eighth button and more, and a marker in the first."""
    return _input(struct.pack("!BBHHB", 5, 0x80 | (mask & 0x7F), x, y, mask >> 7))


def cut_text(text: bytes = b"text") -> Sent:
    return _input(struct.pack("!B3xI", 6, len(text)) + text)


def extended_clipboard(flags: int, data: bytes = b"", *, inputs: int = 0) -> Sent:
    return Sent(struct.pack("!B3xiI", 6, -4 - len(data), flags) + data, inputs=inputs)


def clipboard_caps() -> Sent:
    """noVNC's own answer to a VNC server's: all actions, text of any size."""
    return extended_clipboard(0x1F000001, bytes(4))


def clipboard_request() -> Sent:
    return extended_clipboard(0x02000001)


def clipboard_notify() -> Sent:
    return extended_clipboard(0x08000001, inputs=1)


def clipboard_provide(deflated: bytes = b"deflated") -> Sent:
    return extended_clipboard(0x10000001, deflated, inputs=1)


def continuous_updates(enable: int = 1) -> Sent:
    return Sent(struct.pack("!BBHHHH", 150, enable, 0, 0, 800, 600))


def fence(payload: bytes = b"fence", flags: int = 3) -> Sent:
    return Sent(struct.pack("!B3xIB", 248, flags, len(payload)) + payload)


def xvp(operation: int = 4) -> Sent:
    return Sent(struct.pack("!BxBB", 250, 1, operation))


def set_desktop_size(screens: int = 1) -> Sent:
    screen = struct.pack("!IHHHHI", 1, 0, 0, 800, 600, 0)
    return Sent(struct.pack("!BxHHBx", 251, 800, 600, screens) + screen * screens)


def extended_key_event(keysym: int = 0x61, keycode: int = 0x1E, down: int = 1) -> Sent:
    return _input(struct.pack("!BBHII", 255, 0, down, keysym, keycode))


def audio(operation: int = 0) -> Sent:
    return Sent(struct.pack("!BBH", 255, 1, operation))


def audio_format() -> Sent:
    return Sent(struct.pack("!BBHBBI", 255, 1, 2, 3, 2, 44100))


EVERY_KIND: dict[str, Sent] = {
    "SetPixelFormat": set_pixel_format(),
    "SetEncodings": set_encodings(7, -258, 16, 5, 0, -223, MORE_BUTTONS, -313),
    "SetEncodings of nothing": set_encodings(),
    "FramebufferUpdateRequest": update_request(),
    "KeyEvent": key_event(),
    "PointerEvent": pointer_event(),
    "ClientCutText": cut_text(),
    "ClientCutText of nothing": cut_text(b""),
    "extended clipboard caps": clipboard_caps(),
    "extended clipboard request": clipboard_request(),
    "extended clipboard notify": clipboard_notify(),
    "extended clipboard provide": clipboard_provide(),
    "extended clipboard without its flags": Sent(struct.pack("!B3xi", 6, -3) + b"abc"),
    "EnableContinuousUpdates": continuous_updates(),
    "ClientFence": fence(),
    "ClientFence of nothing": fence(b""),
    "xvp": xvp(),
    "SetDesktopSize": set_desktop_size(),
    "SetDesktopSize without screens": set_desktop_size(0),
    "SetDesktopSize with two screens": set_desktop_size(2),
    "QEMU extended key event": extended_key_event(),
    "QEMU audio on": audio(0),
    "QEMU audio off": audio(1),
    "QEMU audio format": audio_format(),
}
"""One of each, by name."""

NOVNC_BEGINS = (
    set_pixel_format(),
    set_encodings(
        *(1, 50, 7, -260, 16, 21, 5, 2, 6, 0, -26, -254, -223, -224, -258, -261, -308),
        *(-309, -312, -313, -307, 0xC0A1E5CE - (1 << 32), MORE_BUTTONS, 0x574D5664, -239),
    ),
    update_request(incremental=0),
)
"""What noVNC 1.7 sends when a session begins."""


_ENCODINGS = (*PICTURE, *NOT_THE_PICTURE)

_RANDOM: tuple[Callable[[Random], Sent], ...] = (
    lambda random: set_pixel_format(random.randrange(256)),
    lambda random: set_encodings(*random.choices(_ENCODINGS, k=random.randrange(40))),
    lambda random: update_request(random.randrange(2), *random.choices(range(65536), k=4)),
    lambda random: key_event(random.randrange(1 << 32), random.randrange(256)),
    lambda random: pointer_event(random.randrange(256), *random.choices(range(65536), k=2)),
    lambda random: cut_text(random.randbytes(random.randrange(80))),
    lambda random: extended_clipboard(0x04000001, random.randbytes(random.randrange(80))),
    lambda _: clipboard_caps(),
    lambda _: clipboard_request(),
    lambda _: clipboard_notify(),
    lambda random: clipboard_provide(random.randbytes(random.randrange(80))),
    lambda random: continuous_updates(random.randrange(2)),
    lambda random: fence(random.randbytes(random.randrange(80)), random.randrange(1 << 32)),
    lambda random: xvp(random.randrange(256)),
    lambda random: set_desktop_size(random.randrange(6)),
    lambda random: extended_key_event(random.randrange(1 << 32), random.randrange(1 << 32), random.randrange(2)),
    lambda random: audio(random.randrange(2)),
    lambda _: audio_format(),
)


def random_message(random: Random) -> Sent:
    """Any kind of message, with any content; none that lists :data:`MORE_BUTTONS`."""
    return random.choice(_RANDOM)(random)
