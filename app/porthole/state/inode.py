"""Whether the database's files are still those that were opened.

SQLite goes on with files that were removed or replaced, and a process that opens them then has others: what the one
records the other does not see, and a restart loses it.
"""

from __future__ import annotations

import os
from pathlib import Path

Identity = tuple[int, int]


class OpenedFiles:
    """The database and its write-ahead log, as one process has them open.

    :param path: the database
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._log_path = path.with_name(path.name + "-wal")
        self._database: Identity | None = None
        self._log: Identity | None = None

    def check(self) -> None:
        """See that both are there. To be asked before each use.

        :raises OSError: one is not, with a sentence
        """
        if self._database is not None and _identity(self._path) != self._database:
            raise OSError(
                "it was removed or replaced while the service ran; put it back, or restart the service to go on without"
            )
        if self._log is not None and _identity(self._log_path) != self._log:
            raise OSError(f"{self._log_path.name} was removed while the service ran")
        if self._database is not None and self._log is None:
            self._log = _identity(self._log_path)

    def opened(self) -> None:
        """The database was opened. It has to be this file from now on, for as long as the process lives."""
        self._database = self._database or _identity(self._path)

    def closed(self) -> None:
        """The database was closed; the next log is another one."""
        self._log = None


def _identity(path: Path) -> Identity | None:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
