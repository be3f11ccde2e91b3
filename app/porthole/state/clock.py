"""The time that everything with an end is judged by: Unix time that does not go back when the machine's clock does.

What was refused because its time was over would be good again after such a step, and what was given out before it
would be good for longer than it should. docs/decisions/0020-time-and-clocks.md has the reasons.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable

from gevent import monkey

MAX_AHEAD = 2 * 24 * 3600
"""Seconds by which this time may be ahead of the machine's. When that goes back by more, it was wrong by days, then or
now: this time goes back too, a new era begins, and all that was given out before is worthless."""

PACE = 0.9
"""Seconds that go by in a second while this time is ahead, so that the machine's clock gets level with it."""

# Called on the hub and on the store's thread; under monkey-patching the name would be gevent's.
_allocate_lock = monkey.get_original("_thread", "allocate_lock")


_NEW_ERA = (
    "DELETE FROM tokens",
    "DELETE FROM signed_out",
    "DELETE FROM kept_tokens",
    # Those that are connected go on, and nobody goes on with one.
    "UPDATE sessions SET resume_hash = NULL, ended = iif(away_since IS NULL, ended, COALESCE(ended, :now)), "
    "expires = iif(seen > :now, expires - seen + :now, expires), started = MIN(started, :now), seen = MIN(seen, :now)",
    "UPDATE cuts SET at = MIN(at, :now)",
)


class Clock:
    """Calling it gives Unix time in seconds.

    It is the machine's time, or, after that went back, the highest there was and what went by since.
    Where that is too far ahead, :func:`agree` begins a new era.

    :param wall: the machine's Unix time
    :param steady: seconds of a clock that nobody sets
    :ivar wall: the machine's Unix time
    :ivar era: how often it had to go back, as far as this process knows; see :func:`agree`
    """

    def __init__(self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic) -> None:
        self.era = 0
        self.wall = wall
        self._steady = steady
        self._lock = _allocate_lock()
        self._time = 0.0
        self._at = steady()

    def __call__(self) -> float:
        """The time now."""
        with self._lock:
            wall, at = self.wall(), self._steady()
            self._time, self._at = max(wall, self._time + PACE * (at - self._at)), at
            return self._time

    @property
    def ahead(self) -> float:
        """Seconds by which it is ahead of the machine's clock."""
        return self() - self.wall()

    def at_least(self, other: float) -> None:
        """Another process, or one before this, has seen a higher time."""
        now = self()
        with self._lock:
            self._time = max(now, other)

    def begin(self, era: int) -> None:
        """Have the machine's time again, in a new era."""
        with self._lock:
            self._time, self.era = self.wall(), era


def agree(connection: sqlite3.Connection, clock: Clock) -> None:
    """Leave the highest time in the store for other processes and those to come, and take theirs over.

    :raises sqlite3.Error: the store cannot be read or written
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        highest, era = connection.execute("SELECT highest, era FROM clock").fetchone() or (0, clock.era)
        if era > clock.era:
            clock.begin(era)
        clock.at_least(highest)
        is_new = clock.ahead > MAX_AHEAD
        now = int(clock.wall() if is_new else clock())
        era += is_new
        for statement in _NEW_ERA if is_new else ():
            connection.execute(statement, {"now": now})
        connection.execute(
            "INSERT INTO clock (id, highest, era) VALUES (1, :highest, :era) "
            "ON CONFLICT (id) DO UPDATE SET highest = :highest, era = :era",
            {"highest": now, "era": era},
        )
        connection.execute("COMMIT")
        if is_new:  # not before all else is worthless
            clock.begin(era)
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
