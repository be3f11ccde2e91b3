"""Security type VNC Authentication (RFC 6143 7.2.2): a challenge, and a response made with the guest's password.

The password is the person's in front of the browser. Challenge, response and result
are passed on as they come, and so is all that follows: there is nothing to do here.
"""

from __future__ import annotations

from porthole.proxy.rfb.conversation import Send, Steps
from porthole.proxy.rfb.wire import Version


def with_server(_version: Version) -> Steps[None]:
    """Nothing: the challenge, which comes now, is for the browser."""
    yield Send(b"")


def with_browser(_version: Version) -> Steps[None]:
    """Nothing: the VNC server speaks next."""
    yield Send(b"")
