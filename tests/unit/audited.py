"""A real audit log to record in, which can be made to fail."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from porthole.audit import AuditKeys, AuditLog, Recorder
from porthole.audit.verify import verify_log

KEYS = AuditKeys([b"a" * 32])


class Audited:
    """A log in a folder of its own.

    :ivar recorder: what acts are recorded with
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder / "audit"
        self._folder.mkdir()
        self._away = folder / "audit.away"
        self.path = self._folder / "audit.log"
        self.recorder = Recorder(AuditLog(self.path, KEYS, announce=lambda _: None), clock)

    def lines(self, event: str = "") -> list[dict[str, Any]]:
        """The lines, or those of an event; the chain is good."""
        if not self.path.exists():
            return []
        assert verify_log(self.path, KEYS).ok
        lines = [json.loads(line) for line in self.path.read_text().splitlines()]
        return [line for line in lines if event in ("", line["event"])]

    def events(self) -> list[str]:
        """What happened, in order."""
        return [line["event"] for line in self.lines()]

    def break_(self) -> None:
        """Nothing can be written from now on: the folder is gone."""
        self._folder.rename(self._away)

    def mend(self) -> None:
        """The folder is back."""
        self._away.rename(self._folder)
