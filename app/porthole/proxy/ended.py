"""How a session ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of one session.

    :ivar code: WebSocket close code sent to the browser, or received from it
    :ivar reason: a sentence for the person in front of it
    :ivar by: ``client``, ``target`` (the VNC server) or ``service``
    """

    code: int
    reason: str
    by: str


End = Callable[[Ended], None]
"""Ends a session; only its first call counts."""
