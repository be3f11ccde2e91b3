"""What is on record of a session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class User(NamedTuple):
    """Whose a token or a session is."""

    user_id: str
    project_id: str


@dataclass(frozen=True, slots=True)
class Carrier:
    """A WebSocket and the process that has it; both names are random.

    :ivar vnc_client: our own end of the connection to the VNC server, ``address:port``; empty when nobody knows
    """

    worker: str
    connection: str
    vnc_client: str = ""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes of RFB that went through a connection since they were last told: to the browser, to the VNC server."""

    session_id: str
    connection: str
    to_client: int
    to_target: int


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session as it is on record. Times are Unix times in whole seconds.

    :ivar expires: when it ends of itself, None for never
    :ivar seen: last sign of life of its connection, or of its page while there is none
    :ivar away_since: since when no connection carries it, None while one does
    :ivar ended: when it was ended for good, None before
    :ivar to_client: bytes of RFB to the browser; ``to_target`` to the VNC server
    :ivar share_uses: how many sessions the share link opens that it came from; 0: it came from none
    :ivar roles: as its token has them
    """

    session_id: str
    token_id: str
    instance_id: str
    console_type: str
    mode: str
    user_id: str
    project_id: str
    client: str
    started: int
    expires: int | None
    seen: int
    away_since: int | None
    ended: int | None
    reason: str
    to_client: int
    to_target: int
    share_uses: int = 0
    roles: str = ""


@dataclass(frozen=True, slots=True)
class ShareRow:
    """A share link that can be opened, or whose sessions may go on.

    :ivar user_id: who made it, for ``project_id``
    :ivar expires: Unix time in whole seconds at which it and its sessions end
    :ivar uses: how many sessions it opens
    :ivar used: how many it has opened
    """

    token_id: str
    instance_id: str
    user_id: str
    project_id: str
    expires: int
    uses: int
    used: int
