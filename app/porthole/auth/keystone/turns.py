"""How many questions of one kind are asked at the same time, and how many wait."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import gevent
from gevent.lock import BoundedSemaphore


class NoTurn(Exception):
    """So many are asked already that this one was not; it says nothing about who would have answered."""


class TooLate(Exception):
    """There was no answer within the time."""


class Turns:
    """Those of one kind of question.

    :param at_once: questions at the same time
    :param at_most: questions that are asked or wait; beyond it none is taken
    :param wait: seconds that one may wait for its turn
    :param seconds: that one may take, with the wait; one that has its turn has at least ``seconds - wait``
    """

    def __init__(self, at_once: int, at_most: int, wait: float, seconds: float) -> None:
        self._free = BoundedSemaphore(at_once)
        self._at_most = at_most
        self._wait = wait
        self._seconds = seconds
        self._taken = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """A turn.

        :raises NoTurn: none is free, nor soon
        :raises TooLate: what is done with it takes too long
        """
        if self._taken >= self._at_most:
            raise NoTurn(f"{self._at_most} questions wait for it already")
        self._taken += 1
        try:
            end = time.monotonic() + self._seconds
            if not self._free.acquire(timeout=self._wait):
                raise NoTurn(f"other questions took longer than {self._wait:g} s")
            try:
                with gevent.Timeout(end - time.monotonic(), TooLate):
                    yield
            finally:
                self._free.release()
        finally:
            self._taken -= 1
