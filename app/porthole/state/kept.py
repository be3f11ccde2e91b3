"""Tokens of another service that stand behind sign-ins, sealed by whoever keeps them here."""

from __future__ import annotations

import sqlite3

from porthole.state.database import Database


class KeptTokens:
    """Their rows. Every method may raise :class:`porthole.state.database.StoreUnavailable`.

    :param database: where they are
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, name: str, sealed: bytes, expires: int) -> None:
        """Keep one.

        :param name: which nobody can guess
        :param expires: Unix time in whole seconds at which it is forgotten
        """

        def write(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO kept_tokens (name, sealed, expires) VALUES (?, ?, ?)", (name, sealed, expires)
            )

        self._database.run(write)

    def get(self, name: str) -> bytes | None:
        """One that is kept and not over, None otherwise."""
        query = "SELECT sealed FROM kept_tokens WHERE name = ? AND expires > ?"
        values = (name, self._database.now())
        row = self._database.run(lambda connection: connection.execute(query, values).fetchone())
        return None if row is None else bytes(row[0])

    def drop(self, name: str) -> None:
        """Forget one."""
        query = "DELETE FROM kept_tokens WHERE name = ?"
        self._database.run(lambda connection: connection.execute(query, (name,)).rowcount)
