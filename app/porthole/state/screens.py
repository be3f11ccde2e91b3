"""Who is at the computes' VNC servers: our own connections, of all processes, and strangers that were told of.

A connection is named by the address and port of its client, as the VNC server sees them.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from porthole.state.database import Database

TOLD_AGAIN_AFTER = 10
"""Seconds within which what two processes see of the same stranger is one sighting; they see it at the same moment."""


class ScreenTable:
    """Every method may raise :class:`porthole.state.database.StoreUnavailable`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def dialled(self, vnc_clients: Sequence[str]) -> None:
        """Record connections of ours that are begun now, whatever becomes of them; kept for a minute."""
        now = self._database.now()
        query = "INSERT OR REPLACE INTO dialled (vnc_client, at) VALUES (?, ?)"
        rows = [(vnc_client, now) for vnc_client in vnc_clients]
        self._database.write(lambda connection: connection.executemany(query, rows).rowcount)

    def ours(self, vnc_clients: Sequence[str]) -> set[str]:
        """Which of these are, or were a moment ago, connections of any process of the service."""
        query = (
            "WITH asked AS (SELECT value FROM json_each(?)) "
            "SELECT vnc_client FROM dialled WHERE vnc_client IN asked "
            "UNION SELECT vnc_client FROM sessions WHERE vnc_client IN asked"
        )
        asked = json.dumps(list(vnc_clients))
        rows = self._database.run(lambda connection: connection.execute(query, (asked,)).fetchall())
        return {str(row[0]) for row in rows}

    def tell(self, sighting: str) -> bool:
        """Whether the calling process is the one to tell of a stranger, because no other has."""
        now = self._database.now()
        query = (
            "INSERT INTO strangers (sighting, at) VALUES (:sighting, :now) "
            "ON CONFLICT (sighting) DO UPDATE SET at = :now WHERE at <= :now - :again"
        )
        row = {"sighting": sighting, "now": now, "again": TOLD_AGAIN_AFTER}

        def write(connection: sqlite3.Connection) -> bool:
            return connection.execute(query, row).rowcount == 1

        return self._database.write(write)
