"""What the store is told of the sessions of this process: that they live, and what went through them."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from itertools import islice

from porthole.sessions.registry import Sessions
from porthole.sessions.session import Session
from porthole.state.database import StoreUnavailable

REPORT_EVERY = 4.0
"""Seconds between two reports of a session. One that begins right after a round did waits for two of them, and that is
still far below verdict.STALE_AFTER."""

TRY_AGAIN = 1.0
"""Seconds after which a store that did not work is tried again. Those whose turn has passed are reported at once."""

AT_ONCE = 100
"""Sessions in one transaction. It takes the database's thread about 0.5 ms and the hub 0.1 ms; others have their turn
before the next one. (2,500 at once took 10 ms and held the hub for 2 ms and more.)"""


class Reports:
    """Rounds through all sessions, each spread evenly over :data:`REPORT_EVERY` seconds.

    :param sessions: those of this process
    :param ahead: seconds until the next call of :meth:`report_due`; what is due by then is reported now
    :param clock: seconds; tests set it
    """

    def __init__(self, sessions: Sessions, ahead: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._sessions = sessions
        self._ahead = ahead
        self._clock = clock
        self._round: deque[Session] = deque()
        self._size = 0
        self._began = -math.inf
        self._not_before = -math.inf

    def report_due(self) -> None:
        """Report the sessions whose turn it is, and ends that could not be recorded before.

        :raises StoreUnavailable: they wait; none is lost
        """
        now = self._clock()
        if now < self._not_before:
            return
        planned = self._began + REPORT_EVERY
        if not self._round and now >= planned:
            # After trouble, late by a whole round: then everybody's turn is now.
            self._begin(max(planned, now - REPORT_EVERY))
        share = min(1.0, (now - self._began + self._ahead) / REPORT_EVERY)
        self._report(self._size - math.ceil(self._size * share))

    def report_all(self) -> None:
        """Report all sessions now.

        :raises StoreUnavailable: as above
        """
        self._begin(self._clock())
        self._report(0)

    def _begin(self, at: float) -> None:
        self._round = deque(self._sessions.live())
        self._size = len(self._round)
        self._began = at

    def _report(self, rest: int) -> None:
        """Report until no more than these are left in the round."""
        try:
            self._sessions.record_late()
            while len(self._round) > rest:
                self._report_some(min(AT_ONCE, len(self._round) - rest))
        except StoreUnavailable:
            self._not_before = self._clock() + TRY_AGAIN
            raise

    def _report_some(self, count: int) -> None:
        # Those that have ended meanwhile said so themselves.
        live = [session for session in islice(self._round, count) if self._sessions.is_live(session)]
        taken = [(session, session.take_traffic()) for session in live]
        try:
            if taken:
                self._sessions.records.table.report([traffic for _, traffic in taken])
        except StoreUnavailable:
            for session, traffic in taken:
                session.give_back(traffic)
            raise
        for _ in range(count):
            self._round.popleft()
