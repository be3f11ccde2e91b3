"""The embedded store: issued tokens and ended sign-ins. The sessions have :mod:`porthole.state.sessions`."""

from __future__ import annotations

import sqlite3

from porthole.state.database import MAX_WAITING, PURGE_EVERY, Database, StoreUnavailable, check
from porthole.state.schema import BUSY_TIMEOUT, SCHEMA_VERSION

__all__ = [
    "BUSY_TIMEOUT",
    "FILE",
    "MAX_WAITING",
    "PURGE_EVERY",
    "SCHEMA_VERSION",
    "SqliteStore",
    "StoreUnavailable",
    "check",
]

FILE = "porthole.sqlite"
"""The database in the service's folder."""


class SqliteStore(Database):
    """Issued tokens and ended sign-ins."""

    def add_token(
        self, *, token_id: str, instance_id: str, console_type: str, mode: str,
        user_id: str, project_id: str, expires: int, share_uses: int = 0, roles: str = "",
    ) -> None:  # fmt: skip
        """Record an issued token.

        :param expires: Unix time in whole seconds
        :param share_uses: sessions that a share link opens; 0: it is none
        :param roles: those of the person now, empty where they are looked up at each connect

        :raises StoreUnavailable: it could not be recorded
        """
        row = (token_id, instance_id, console_type, mode, user_id, project_id, expires, share_uses, roles)

        def write(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO tokens "
                "(token_id, instance_id, console_type, mode, user_id, project_id, expires, share_uses, roles) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            )

        self.run(write)

    def note_token(
        self, *, token_id: str, instance_id: str, console_type: str, mode: str,
        user_id: str, project_id: str, expires: int, share_uses: int = 0,
    ) -> int | None:  # fmt: skip
        """Record a token of another issuer, who has just said that it is good; what that said before is replaced.

        :param expires: Unix time in whole seconds; of a token that is on record and lasts, that on record stays
        :returns: when it expires by the record; None when it was revoked here
        :raises StoreUnavailable: it could not be recorded
        """
        now = self.now()
        row = (token_id, instance_id, console_type, mode, user_id, project_id, expires, share_uses, now)

        def write(connection: sqlite3.Connection) -> int | None:
            found = connection.execute(
                "INSERT INTO tokens "
                "(token_id, instance_id, console_type, mode, user_id, project_id, expires, share_uses) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (token_id) DO UPDATE SET "
                "instance_id = excluded.instance_id, project_id = excluded.project_id, "
                "expires = iif(expires > ?, expires, excluded.expires) WHERE revoked = 0 RETURNING expires",
                row,
            ).fetchall()  # to its end, for only then the statement is
            return int(found[0][0]) if found else None

        return self.run(write)

    def is_token_live(
        self, *, token_id: str, instance_id: str, console_type: str, mode: str,
        user_id: str, project_id: str, expires: int, share_uses: int = 0, roles: str = "",
    ) -> bool:  # fmt: skip
        """Whether exactly this was recorded here and is not revoked.

        All of it is compared: who has got hold of a key can sign what he likes under the id of a token of his own.

        :raises StoreUnavailable: nobody can say
        """
        row = (token_id, instance_id, console_type, mode, user_id, project_id, expires, share_uses, roles)

        def read(connection: sqlite3.Connection) -> bool:
            query = (
                "SELECT 1 FROM tokens WHERE token_id = ? AND instance_id = ? AND console_type = ? AND mode = ? "
                "AND user_id = ? AND project_id = ? AND expires = ? AND share_uses = ? AND roles = ? AND revoked = 0"
            )
            return connection.execute(query, row).fetchone() is not None

        return self.run(read)

    def sign_out(self, sign_in_id: str, expires: int) -> None:
        """Record that a sign-in has ended, until the Unix time at which its cookie expires anyway.

        :raises StoreUnavailable: it could not be recorded
        """

        def write(connection: sqlite3.Connection) -> None:
            query = "INSERT INTO signed_out (sign_in_id, expires) VALUES (?, ?) ON CONFLICT DO NOTHING"
            connection.execute(query, (sign_in_id, expires))

        self.run(write)

    def is_signed_out(self, sign_in_id: str) -> bool:
        """Whether this sign-in has ended.

        :raises StoreUnavailable: nobody can say
        """

        def read(connection: sqlite3.Connection) -> bool:
            query = "SELECT 1 FROM signed_out WHERE sign_in_id = ?"
            return connection.execute(query, (sign_in_id,)).fetchone() is not None

        return self.run(read)
