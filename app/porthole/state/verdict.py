"""May a token open one more session? Asked before anything is done, and once more in the transaction that uses it."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from enum import Enum

STALE_AFTER = 15
"""Seconds without a sign of life after which a session's process is taken to be dead."""

_COMPARED = (
    "token_id", "instance_id", "console_type", "mode", "user_id", "project_id", "share_uses", "expires", "roles",
)  # fmt: skip
_LIVE = "ended IS NULL AND away_since IS NULL AND seen > :stale"


class Verdict(Enum):
    """Whether a token opens another session."""

    GOOD = "good"
    UNKNOWN = "unknown"
    USED = "used"
    USER = "user"
    INSTANCE = "instance"
    ADDRESS = "address"


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """How many sessions there may be at once; 0 for any number."""

    per_user: int = 0
    per_instance: int = 0
    per_address: int = 0


@dataclass(frozen=True, slots=True)
class Wanted:
    """Who wants to open what, and how many uses the token has (0: any number).

    :ivar share_uses: of a share link, which counts instead; 0: it is none
    :ivar expires: what the token says of it, Unix time; None when it was compared before
    :ivar roles: what the token says of them, empty where they are looked up
    """

    token_id: str
    instance_id: str
    console_type: str
    mode: str
    user_id: str
    project_id: str
    client: str
    token_uses: int
    limits: SessionLimits
    share_uses: int = 0
    expires: int | None = None
    roles: str = ""


def verdict_on(connection: sqlite3.Connection, wanted: Wanted, now: int) -> Verdict:
    """What the records say at this moment, within whatever transaction the connection is in.

    The token is known when exactly this was recorded: who has got hold of a key can sign what he likes under the id
    of a token of his own.
    """
    query = (
        "SELECT uses FROM tokens WHERE token_id = :token_id AND instance_id = :instance_id "
        "AND console_type = :console_type AND mode = :mode AND user_id = :user_id AND project_id = :project_id "
        "AND share_uses = :share_uses AND roles = :roles AND expires = coalesce(:expires, expires) "
        "AND revoked = 0 AND expires > :now"
    )
    values = {name: getattr(wanted, name) for name in _COMPARED} | {"now": now}
    token = connection.execute(query, values).fetchone()
    if token is None:
        return Verdict.UNKNOWN
    allowed = wanted.share_uses or wanted.token_uses
    if allowed and token[0] >= allowed:
        return Verdict.USED
    limits = wanted.limits
    for limit, which, verdict in (
        (limits.per_user, "user_id = :user_id AND project_id = :project_id", Verdict.USER),
        (limits.per_instance, "instance_id = :instance_id", Verdict.INSTANCE),
        (limits.per_address, "client = :client", Verdict.ADDRESS),
    ):
        if limit and _count(connection, which, wanted, now, limit) >= limit:
            return verdict
    return Verdict.GOOD


def _count(connection: sqlite3.Connection, which: str, wanted: Wanted, now: int, most: int) -> int:
    """Sessions that are connected now; no more are counted than matter."""
    query = f"SELECT count(*) FROM (SELECT 1 FROM sessions WHERE {which} AND {_LIVE} LIMIT :most)"  # noqa: S608 - constants
    values = {
        "user_id": wanted.user_id, "project_id": wanted.project_id, "instance_id": wanted.instance_id,
        "client": wanted.client, "most": most, "stale": now - STALE_AFTER,
    }  # fmt: skip
    return int(connection.execute(query, values).fetchone()[0])
