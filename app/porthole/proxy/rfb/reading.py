"""What several parts of the opening read in the same way."""

from __future__ import annotations

from porthole.proxy.rfb.conversation import Read, Steps
from porthole.proxy.rfb.errors import PeerRefused, RfbError, shown
from porthole.proxy.rfb.wire import SecurityResult, Version, from_u32

MAX_REASON = 1024
"""Bytes of a VNC server's reason that are read; one that announces more is not waited for."""


def reason() -> Steps[str]:
    """A reason-length and a reason-string (RFC 6143 7.1.2); what of it may stand in a log line."""
    length = from_u32((yield Read(4, "the length of its reason")))
    if not length:
        return "without a reason"
    if length > MAX_REASON:
        return f"with a reason of {length} bytes, of which none was read"
    return f"with the reason '{shown((yield Read(length, 'its reason')))}'"


def security_result(version: Version, refusal: str, error: type[RfbError] = PeerRefused) -> Steps[None]:
    """A SecurityResult (RFC 6143 7.1.3).

    :param refusal: what it means when it is not good
    :param error: what is raised then
    :raises PeerRefused: it is not good
    """
    result = from_u32((yield Read(4, "its security result")))
    if result == SecurityResult.OK:
        return
    why = (yield from reason()) if version.has_reason else "without a reason"
    raise error(f"{refusal}, {why}")
