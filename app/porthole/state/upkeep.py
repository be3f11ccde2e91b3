"""What is done in the store now and then: what has expired is forgotten, and the time is agreed upon."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable

from porthole.state.clock import MAX_AHEAD, Clock, agree

PURGE_EVERY = 60.0
"""Seconds between two times."""

JUMP = 10.0
"""Seconds by which the time may have gone on by more or less than it took; beyond it, a clock was set."""

KEEP_SESSIONS = 2 * 3600
"""Seconds for which a session that nobody has seen any more stays on record; resume_ttl is less."""

KEEP_CUTS = 60
"""Seconds for which an order to cut a connection waits for the process that has it; a live one looks all the time."""

KEEP_DIALLED = 60
"""Seconds for which a connection to a VNC server is known as ours without a session, and a stranger as told."""

_EXPIRED = (
    "DELETE FROM tokens WHERE expires <= :now",
    "DELETE FROM signed_out WHERE expires <= :now",
    "DELETE FROM kept_tokens WHERE expires <= :now",
)

# A process that lives says so every few seconds, but may not have done it yet since a clock was set.
_UNSEEN = (
    "DELETE FROM sessions WHERE seen <= :now - :keep_sessions",
    "DELETE FROM cuts WHERE at <= :now - :keep_cuts",
    "DELETE FROM dialled WHERE at <= :now - :keep_dialled",
    "DELETE FROM strangers WHERE at <= :now - :keep_dialled",
)


class Upkeep:
    """The upkeep of one connection at a time, on the thread that has it.

    :param clock: Unix time in seconds; a :class:`porthole.state.clock.Clock` is agreed upon with other processes
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last: tuple[float, float] | None = None  # Unix time, and that of a clock that nobody sets

    def do(self, connection: sqlite3.Connection) -> None:
        """Do it, when it is due. What the store does not do now is left for the next time."""
        now, at = self._clock(), time.monotonic()
        went_by, evenly = self._since_last(now, at)
        if went_by < PURGE_EVERY and evenly and not self._is_far_ahead():
            return
        self._last = (now, at)
        try:
            if isinstance(self._clock, Clock):
                agree(connection, self._clock)
                self._last = (self._clock(), at)
            values = {"now": int(self._clock()), "keep_sessions": KEEP_SESSIONS, "keep_cuts": KEEP_CUTS}
            values["keep_dialled"] = KEEP_DIALLED
            for statement in (*_EXPIRED, *(_UNSEEN if evenly else ())):
                connection.execute(statement, values)
        except sqlite3.OperationalError:
            return

    def _is_far_ahead(self) -> bool:
        return isinstance(self._clock, Clock) and self._clock.ahead > MAX_AHEAD

    def _since_last(self, now: float, at: float) -> tuple[float, bool]:
        if self._last is None:
            return PURGE_EVERY, False
        went_by = at - self._last[1]
        return went_by, abs(now - self._last[0] - went_by) <= JUMP
