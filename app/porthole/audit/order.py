"""Lines' times, which are what the machine's clock said: their order may differ from that of writing, which counts."""

from __future__ import annotations

from datetime import datetime, timedelta

from porthole.audit.reading import Raw

ODD = timedelta(seconds=60)
"""A line that is earlier than the one before it by less is not worth a word: acts may wait for a full disk."""


class Times:
    """The times of a walk along the chain."""

    def __init__(self) -> None:
        self._last: datetime | None = None
        self._first: tuple[Raw, timedelta] | None = None
        self._count = 0

    def take(self, raw: Raw, text: object) -> None:
        """The time of the next line."""
        time = datetime.fromisoformat(str(text))
        if self._last is not None and self._last - time >= ODD:
            self._count += 1
            self._first = self._first or (raw, self._last - time)
        self._last = time

    def notes(self) -> list[str]:
        """What is odd about them; that is no finding, for the chain says in which order lines were written."""
        if self._first is None:
            return []
        raw, by = self._first
        where = "once" if self._count == 1 else f"{self._count} times, first"
        return [
            f"Time goes back {where} at {raw.file}, line {raw.number}, by {int(by.total_seconds())} seconds: "
            "a clock was set back, or an act was recorded late. The lines are in the order in which they were written."
        ]
