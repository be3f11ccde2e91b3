"""What a browser sends once the opening is over: its ClientInit, then the client's messages of RFB.

Only consoles whose input is looked at have this in their way: those of mode view, and all when idle ones are ended.
"""

from __future__ import annotations

from porthole.proxy.rfb.client_messages import ClientMessages, Mode
from porthole.proxy.rfb.server import Opened

SHARED = b"\x01"
"""ClientInit's shared-flag (RFC 6143 7.3.1): others stay connected."""

_RESPONSE_LENGTH = 16
"""RFC 6143 7.2.2: the response to the challenge, which comes first when the browser is asked for a password."""


class BrowserInput:
    """One browser's bytes.

    :param mode: of view only what changes nothing in the guest gets through, and nobody else is disconnected
    :param opened: what was agreed on with the VNC server
    """

    def __init__(self, mode: Mode, opened: Opened) -> None:
        self._mode = mode
        self._messages = ClientMessages(mode)
        self._response = _RESPONSE_LENGTH if opened.asks_browser else 0
        self._initialised = False

    @property
    def inputs(self) -> int:
        """Messages so far that somebody's doing causes; it only grows."""
        return self._messages.inputs

    @property
    def requests(self) -> int:
        """FramebufferUpdateRequests so far."""
        return self._messages.requests

    @property
    def request(self) -> bytes:
        """The last of them; b"" when it is not known whole."""
        return self._messages.request

    @property
    def is_between(self) -> bool:
        """Whether the VNC server has got whole messages so far."""
        return self._initialised and self._messages.is_between

    def feed(self, data: bytes | memoryview) -> bytes:
        """Take bytes as they come; returns what the VNC server gets of them.

        :raises porthole.proxy.rfb.errors.RfbError: they are not RFB
        """
        if self._initialised:
            return self._messages.feed(data)
        return self._begin(bytes(data))

    def _begin(self, data: bytes) -> bytes:
        response, data = data[: self._response], data[self._response :]
        self._response -= len(response)
        if not data:
            return response
        self._initialised = True
        init = SHARED if self._mode is Mode.VIEW else data[:1]
        return response + init + self._messages.feed(data[1:])
