"""Why an upgrade is refused before the 101, and why a WebSocket ends.

UpgradeRefused              the request gets an HTTP status and no session
├── BadUpgrade              it is no WebSocket upgrade of RFC 6455 (400, or 426 for another version)
├── OriginRefused           the page that asks comes from elsewhere (403)
├── TooManySessions         this service has as many as it takes (503)
├── SessionLimit            this user, instance or address has as many as it may have (429)
├── ServiceStopping         this service admits nobody any more (503)
├── TargetUnreachable       the instance's VNC server does not accept (503)
└── TargetInsecure          the way to it is not secured as the configuration wants it (502)
    └── TargetLocked        it has a VNC password that is not known here, or wrong (502)
FrameError                  the browser broke the protocol; closed with a code of RFC 6455 7.4.1
"""

from __future__ import annotations

from enum import IntEnum

MAX_REASON_BYTES = 123
"""RFC 6455 5.5: a control frame carries 125 bytes at most, two of them the close code."""


class CloseCode(IntEnum):
    """Close codes: those of RFC 6455 7.4.1, and our own from the private range 4000 to 4999."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS = 1005
    INVALID_PAYLOAD = 1007
    TOO_BIG = 1009
    INTERNAL_ERROR = 1011
    INSTANCE_STOPPED = 4000
    SESSION_TIMEOUT = 4001
    ENDED_BY_ADMINISTRATOR = 4002
    VNC_SERVER_CLOSED = 4003
    CLIENT_SILENT = 4004
    TAKEN_OVER = 4005
    ACCESS_LOST = 4006
    IDLE = 4007


FINAL = frozenset({CloseCode.SESSION_TIMEOUT, CloseCode.ENDED_BY_ADMINISTRATOR, CloseCode.ACCESS_LOST, CloseCode.IDLE})
"""After these a browser cannot go on with its session; after any other end it can, for a while."""


class UpgradeRefused(Exception):
    """Base of the refusals; ``str()`` is for the person in front of the browser."""


class BadUpgrade(UpgradeRefused):
    """The request is not a WebSocket upgrade as RFC 6455 4.2.1 wants it.

    :param why: a sentence
    :param wrong_version: whether ``Sec-WebSocket-Version`` is the trouble (RFC 6455 4.4: 426)
    """

    def __init__(self, why: str, *, wrong_version: bool = False) -> None:
        super().__init__(why)
        self.wrong_version = wrong_version


class OriginRefused(UpgradeRefused):
    """The page that asks was not served by this service nor by a host in ``[console] allowed_origins``."""

    def __init__(self) -> None:
        super().__init__(
            "The page that asked for this console comes from another site. Open the console from its own address; "
            "an administrator can allow that site in [console] allowed_origins."
        )


class TooManySessions(UpgradeRefused):
    """``[proxy] max_sessions`` are open."""

    def __init__(self) -> None:
        super().__init__("As many consoles are open as this service takes. Try again in a little while.")


class SessionLimit(UpgradeRefused):
    """As many consoles are open as ``[limits]`` lets one user, one instance or one address have.

    :param of: whose limit it is, as in "This user has"
    """

    def __init__(self, of: str) -> None:
        super().__init__(f"{of} has as many open consoles as it may have. Close one, and try again.")


class ServiceStopping(UpgradeRefused):
    """The service was told to stop."""

    def __init__(self) -> None:
        super().__init__("This service is being restarted. Try again in a few seconds.")


class TargetUnreachable(UpgradeRefused):
    """No connection to the instance's VNC server. ``why`` is for the log and never names it to the user."""

    def __init__(self, why: str) -> None:
        super().__init__(
            "The screen of this instance cannot be reached at the moment. Try again in a few seconds; "
            "if it lasts, tell your administrator."
        )
        self.why = why


class TargetInsecure(UpgradeRefused):
    """The VNC server's security, or its certificate, is not what the configuration wants. ``why`` is for the log."""

    def __init__(self, why: str) -> None:
        super().__init__(
            "The connection to the screen of this instance is not secured as this service wants it. "
            "Tell your administrator: the log of this service says what is wrong."
        )
        self.why = why


class TargetLocked(TargetInsecure):
    """The VNC server wants a password, and the one that libvirt has is wrong or missing. ``why`` is for the log."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.args = (
            "The screen of this instance is locked by a VNC password that this service does not have. "
            "Tell your administrator: the log of this service says what is wrong.",
        )


class FrameError(Exception):
    """The browser's frames break RFC 6455.

    :param code: the close code to end with
    :param reason: a sentence of at most :data:`MAX_REASON_BYTES` bytes
    """

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
