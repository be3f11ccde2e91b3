"""Why an RFB connection fails. ``str()`` is a sentence for the log, without a full stop; that of what a browser did
is one with a full stop, for its close reason.

RfbError
├── ProtocolBroken      the peer does not speak RFB as RFC 6143 has it, or beyond a bound
├── PeerRefused         the peer said no
├── SecurityMismatch    no security type that both sides would use
├── PasswordRefused     the VNC server wants a password: ours is wrong, or we have none
└── ClientMessageError  a message of the browser's is not understood (client_wire)
"""

from __future__ import annotations

import re

MAX_SHOWN = 200
"""Characters of a peer's words that are shown."""

_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")


class RfbError(Exception):
    """Base of the errors."""


class ProtocolBroken(RfbError):
    """The peer does not speak RFB as RFC 6143 has it, or says more than is read."""


class PeerRefused(RfbError):
    """The VNC server said no, perhaps with a reason."""


class SecurityMismatch(RfbError):
    """The VNC server's security types are not those that the compute's ``auth_schemes`` allow."""


class PasswordRefused(RfbError):
    """The VNC server wants a VNC password, and does not take the one that libvirt has, or libvirt has none."""


def shown(words: bytes) -> str:
    """What a peer sent, as it may stand in a log line: printable ASCII on one line, :data:`MAX_SHOWN` at most."""
    return _UNPRINTABLE.sub("?", words[: MAX_SHOWN * 4].decode("ascii", "replace")).strip()[:MAX_SHOWN]
