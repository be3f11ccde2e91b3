"""The opening with a browser, whose server we are: it knows nothing of what was agreed on with the VNC server."""

from __future__ import annotations

from porthole.proxy.rfb import none, vncauth
from porthole.proxy.rfb.conversation import Conversation, Read, Send, Steps
from porthole.proxy.rfb.errors import ProtocolBroken
from porthole.proxy.rfb.server import Opened
from porthole.proxy.rfb.wire import VERSION_LENGTH, SecurityType, Version, client_version, u32


def open_browser(opened: Opened) -> Conversation[None]:
    """The conversation with the browser of an opened VNC server.

    :param opened: what was agreed on there
    """
    if opened.asks_browser:
        # What follows is the VNC server's own, so the version has to be the same.
        return Conversation(_steps(opened.version, SecurityType.VNC_AUTH))
    return Conversation(_steps(Version.V3_8, SecurityType.NONE))


def _steps(ours: Version, kind: SecurityType) -> Steps[None]:
    yield Send(ours.value)
    theirs = client_version((yield Read(VERSION_LENGTH, "its version")))
    if theirs.value > ours.value:
        raise ProtocolBroken("The viewer chose a newer RFB than it was offered.")
    if theirs.has_choice:
        # RFC 6143 7.1.2: one type
        yield Send(bytes([1, kind]))
        if (yield Read(1, "its security type"))[0] != kind:
            raise ProtocolBroken("The viewer chose a security type that it was not offered.")
    else:
        # RFC 6143 A.1
        yield Send(u32(kind))
    yield from (vncauth if kind is SecurityType.VNC_AUTH else none).with_browser(theirs)
