"""What of a browser's bytes reaches the VNC server, from its ClientInit on."""

from __future__ import annotations

import struct

import pytest

from porthole.proxy.input import BrowserInput
from porthole.proxy.rfb.client_messages import ClientMessageError, Mode
from porthole.proxy.rfb.server import Opened
from porthole.proxy.rfb.wire import SecurityType, Version

NONE = Opened(Version.V3_8, SecurityType.NONE)
VNC_AUTH = Opened(Version.V3_8, SecurityType.VNC_AUTH)
ANSWERED = Opened(Version.V3_8, SecurityType.VNC_AUTH, answered=True)
KEY = struct.pack("!BBxxI", 4, 1, ord("a"))
UPDATE = struct.pack("!BBHHHH", 3, 0, 0, 0, 16, 16)
RESPONSE = bytes(range(16))


def fed(mode: Mode, opened: Opened, data: bytes, size: int) -> tuple[bytes, int]:
    """What comes out of pieces of this size, and how many inputs were counted."""
    browser = BrowserInput(mode, opened)
    pieces = [browser.feed(memoryview(data)[at : at + size]) for at in range(0, len(data), size)]
    return b"".join(pieces), browser.inputs


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
class TestInPieces:
    def test_no_response_is_awaited_where_the_challenge_was_answered(self, size: int) -> None:
        assert fed(Mode.VIEW, ANSWERED, b"\0" + KEY + UPDATE, size) == (b"\1" + UPDATE, 1)

    @pytest.mark.parametrize("shared", [b"\0", b"\1", b"\4"])
    def test_a_view_shares_the_screen_whatever_it_says_and_only_asks_for_the_picture(
        self, size: int, shared: bytes
    ) -> None:
        """ClientInit without the shared-flag would disconnect everybody else (RFC 6143 7.3.1)."""
        assert fed(Mode.VIEW, NONE, shared + KEY + UPDATE + KEY, size) == (b"\1" + UPDATE, 2)

    def test_of_a_full_one_every_byte_gets_through(self, size: int) -> None:
        assert fed(Mode.FULL, NONE, b"\0" + KEY + UPDATE, size) == (b"\0" + KEY + UPDATE, 1)

    def test_the_answer_to_the_guests_password_comes_first(self, size: int) -> None:
        assert fed(Mode.VIEW, VNC_AUTH, RESPONSE + b"\0" + KEY + UPDATE, size) == (RESPONSE + b"\1" + UPDATE, 1)


def test_what_is_no_message_is_an_error_of_view_alone() -> None:
    with pytest.raises(ClientMessageError):
        BrowserInput(Mode.VIEW, NONE).feed(b"\1\xfe")
    assert BrowserInput(Mode.FULL, NONE).feed(b"\1\xfe") == b"\1\xfe"
