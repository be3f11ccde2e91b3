"""New clients go to the worker with the fewest connections, without anybody who hands them out.

All workers wait at one listening socket, and whoever comes first has the client. A worker that has clearly more than
another one holds back for a moment, so that the other comes first. The one with the fewest never holds back,
so somebody always takes clients; and the moment is short, so a worker that hangs only delays them.
"""

from __future__ import annotations

import time
from typing import Protocol

from porthole.server.board import Board, Slot

PAUSE = 0.01
"""Seconds for which a worker with more connections leaves a client to the others; then it takes one itself."""

_MORE = 2
_PART = 20


class Turn(Protocol):
    """What an HTTP server asks before it takes a client, and tells of its connections."""

    def others_first(self) -> bool:
        """Whether another worker should have the next client."""

    def opened(self) -> None:
        """A connection was taken."""

    def closed(self) -> None:
        """A connection is over."""


class Evenness:
    """The rule for one worker.

    :param board: how many connections each worker has
    :param slot: this one's
    """

    def __init__(self, board: Board, slot: Slot) -> None:
        self._board = board
        self._slot = slot

    def others_first(self) -> bool:
        """Whether a living worker of the same set has clearly fewer connections: by 2, or by a twentieth."""
        mine, now = self._slot, time.monotonic()
        others = [
            slot.load
            for slot in self._board.slots()
            if slot.set_number == mine.set_number and slot.accepts and slot.is_alive(now)
        ]
        least = min(others, default=mine.load)
        return mine.load >= least + _MORE + least // _PART

    def opened(self) -> None:
        """One more."""
        self._slot.load += 1

    def closed(self) -> None:
        """One less."""
        self._slot.load -= 1
