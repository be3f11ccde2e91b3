"""A page of memory that master and worker share: what the one wants, and how the other is.

Signals only wake the worker up. What it is to do stands here, so nothing is lost when a
signal comes before the worker listens to it. Each number is written by one side only.
"""

from __future__ import annotations

import mmap


class _Number:
    """An aligned 32-bit number in the page, which is written and read as a whole."""

    def __init__(self, place: int) -> None:
        self._place = place

    def __get__(self, page: Page, _owner: object) -> int:
        return page.numbers[self._place]

    def __set__(self, page: Page, value: int) -> None:
        page.numbers[self._place] = value


class Page:
    """Made by the master before the fork, one for each worker.

    :ivar reloads_wanted: by the master: how often the worker is to read the list of computes
    :ivar drain: by the master: whether the worker is to leave new clients to others and end
    :ivar answers: by the worker: whether it listens and has answered itself
    :ivar reloads: by the worker: how often it has read the list of computes
    :ivar sessions: by the worker: consoles open now
    :ivar computes: by the worker: compute hosts that it knows
    :ivar reachable: by the worker: those of them that it reaches
    """

    reloads_wanted = _Number(0)
    drain = _Number(1)
    answers = _Number(2)
    reloads = _Number(3)
    sessions = _Number(4)
    computes = _Number(5)
    reachable = _Number(6)

    def __init__(self) -> None:
        self.numbers = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("I")
