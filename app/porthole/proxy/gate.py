"""What a connect is checked with: the request as the gate sees it, and what the gate hands over.

The gate itself is given to this package as an argument, for it asks packages that
come earlier in the flow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from porthole.proxy.ended import Ended
from porthole.proxy.input import BrowserInput
from porthole.proxy.relay import Relay
from porthole.proxy.target import Target


@dataclass(frozen=True, slots=True)
class UpgradeRequest:
    """A request to upgrade to a WebSocket, before anything was answered.

    :ivar scheme: ``http`` or ``https``
    :ivar host: the ``Host`` header, None when missing
    :ivar origin: the ``Origin`` header, None when missing
    :ivar token: from the query's ``token``, else from the cookie of that name
    :ivar client: address of the browser: of the peer, or what a trusted proxy says of it
    :ivar resume_hash: SHA-256 of the secret with which the browser goes on with its session, in hexadecimal; None
        when it offers none. The secret itself goes no further than the request.
    :ivar token_from_cookie: whether the browser added the token by itself
    """

    scheme: str
    host: str | None
    origin: str | None
    token: str | None
    client: str
    resume_hash: str | None = None
    token_from_cookie: bool = False

    def __repr__(self) -> str:
        return f"UpgradeRequest(scheme={self.scheme!r}, host={self.host!r}, origin={self.origin!r}, token=...)"


class Console(Protocol):
    """An admitted session, connected to its VNC server and not yet to the browser."""

    @property
    def target(self) -> Target:
        """The connection to the VNC server, opened; the relay closes it."""

    @property
    def input(self) -> BrowserInput | None:
        """What the browser's bytes go through before the VNC server gets them; None when they are not looked at."""

    def started(self, relay: Relay) -> None:
        """The browser has its 101; the session is live from now on."""

    def confirm(self) -> None:
        """The greeting is out: wait for what has to be before anything is read from either side, or end the relay."""

    def explain(self) -> tuple[int, str]:
        """Why the VNC server closed the connection: a close code and a sentence. Bounded in time."""

    def ended(self, ended: Ended | None) -> None:
        """The session is over, always called once; None when the browser left before the 101."""


class Gate(Protocol):
    """Decides on an upgrade before the 101."""

    def admit(self, request: UpgradeRequest) -> Console:
        """Check origin, token, permission, limits and instance, in this order, connect, and use the token.

        :raises Exception: the refusal; the API's error table knows what to answer for each
        """
