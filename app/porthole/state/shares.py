"""The share links that work now. They are tokens like others; :mod:`porthole.state.sessions` uses and revokes them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from typing import Any

from porthole.state.database import Database
from porthole.state.rows import ShareRow, User

MAX_LISTED = 1000
"""Links in one answer."""

_LIVE = "share_uses > 0 AND revoked = 0 AND expires > :now"
_COLUMNS = "token_id, instance_id, user_id, project_id, expires, share_uses, uses"
_USERS = "SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(:users)"


class ShareTable:
    """The rows of share links. Every method may raise :class:`porthole.state.database.StoreUnavailable`.

    :param database: where they are
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def users(self) -> list[User]:
        """Who has made those that work, each user once."""
        query = f"SELECT DISTINCT user_id, project_id FROM tokens WHERE {_LIVE}"  # noqa: S608 - constants
        return [User(*row) for row in self._all(query, {})]

    def listing(self, users: Iterable[User]) -> list[ShareRow]:
        """Those of these users that work, the first to expire first, :data:`MAX_LISTED` at most."""
        query = (
            f"SELECT {_COLUMNS} FROM tokens WHERE {_LIVE} AND (user_id, project_id) IN ({_USERS}) "  # noqa: S608 - constants
            f"ORDER BY expires, token_id LIMIT {MAX_LISTED}"
        )
        return [ShareRow(*row) for row in self._all(query, {"users": json.dumps(list(users))})]

    def count(self, user: User) -> int:
        """How many of this user work."""
        query = f"SELECT COUNT(*) FROM tokens WHERE {_LIVE} AND user_id = :user AND project_id = :project"  # noqa: S608 - constants
        return int(self._all(query, {"user": user.user_id, "project": user.project_id})[0][0])

    def get(self, token_id: str) -> ShareRow | None:
        """One that works; None when there is none."""
        query = f"SELECT {_COLUMNS} FROM tokens WHERE {_LIVE} AND token_id = :id"  # noqa: S608 - constants
        rows = self._all(query, {"id": token_id})
        return ShareRow(*rows[0]) if rows else None

    def _all(self, query: str, values: dict[str, object]) -> list[Any]:
        values = values | {"now": self._database.now()}

        def read(connection: sqlite3.Connection) -> list[Any]:
            return connection.execute(query, values).fetchall()

        return self._database.run(read)
