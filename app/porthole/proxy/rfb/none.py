"""Security type None (RFC 6143 7.2.1): nothing is asked."""

from __future__ import annotations

from porthole.proxy.rfb.conversation import Send, Steps
from porthole.proxy.rfb.reading import security_result
from porthole.proxy.rfb.wire import SecurityResult, Version, u32


def with_server(version: Version) -> Steps[None]:
    """What follows when the VNC server lets us in like this.

    :raises PeerRefused: it does not, after all
    """
    if version.has_reason:
        yield from security_result(version, "it refuses us although it asks for no password")


def with_browser(version: Version) -> Steps[None]:
    """What follows when a browser is let in like this."""
    if version.has_reason:
        yield Send(u32(SecurityResult.OK))
