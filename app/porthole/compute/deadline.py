"""A point in time until which everything has to be done."""

from __future__ import annotations

import time


class Deadline:
    """A time limit that several waits share.

    :param seconds: from now
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds that are left, never below 0."""
        return max(0.0, self._end - time.monotonic())
