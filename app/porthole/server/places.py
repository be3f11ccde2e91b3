"""The places for sessions, counted over all workers of the service."""

from __future__ import annotations

import gevent

from porthole.server.board import Board, Slot

LOCK = 0
"""Of the board's locks, the one of the places."""


class SharedPlaces:
    """The places of one worker (:class:`porthole.sessions.registry.Places`).

    Whoever wants one counts and takes in one go, alone among all workers: so there are never more sessions than
    places, and none is refused while there is one. The places of a worker that dies are free again, for the master
    clears its slot.

    :param board: what all workers have taken
    :param slot: what this one has
    :param limit: sessions at once, of all workers together, those that drain included
    """

    def __init__(self, board: Board, slot: Slot, limit: int) -> None:
        self._board = board
        self._slot = slot
        self._limit = limit

    def take(self) -> bool:
        """Take a place; False when there is none, or when it could not be counted in time."""
        with self._board.locked(LOCK, gevent.sleep) as counted:
            if not counted or sum(slot.places for slot in self._board.slots()) >= self._limit:
                return False
            self._slot.places += 1
            return True

    def give(self) -> None:
        """Give one back."""
        self._slot.places -= 1
