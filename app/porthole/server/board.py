"""Memory that master and workers share: what the master wants of each worker, and how each worker is.

Signals only wake a process up. What it is to do stands here, so nothing is lost when a
signal comes before the process listens to it. Each number is written by one side only.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

NUMBERS = 16
"""Numbers in a slot: 64 bytes, so that two workers do not write to the same line of a processor's cache."""

SILENT_AFTER = 3.0
"""Seconds without a sign of life after which a worker is not waited for any more when clients are shared out."""

_LOCK_PAUSE = 0.001
LOCK_TIME = 1.0
"""Seconds for which a lock is tried at most. It is held for microseconds."""


class _HasNumbers(Protocol):
    numbers: memoryview


class _Number:
    """An aligned 32-bit number, which is written and read as a whole."""

    def __init__(self, place: int) -> None:
        self._place = place

    def __get__(self, holder: _HasNumbers, _owner: object) -> int:
        return int(holder.numbers[self._place])

    def __set__(self, holder: _HasNumbers, value: int) -> None:
        holder.numbers[self._place] = value


class Slot:
    """One worker's part.

    :ivar set_number: by the master: the set that the worker belongs to; 0: nobody has this slot
    :ivar reloads_wanted: by the master: how often the worker is to read the list of computes
    :ivar drain: by the master: one of :class:`Drain`
    :ivar deadline: by the master: when a drain is over in any case, in whole seconds of ``time.monotonic``
    :ivar ready: by the worker: whether it is made, and has answered itself
    :ivar accepts: by the worker: whether it takes new clients
    :ivar reloads: by the worker: how often it has read the list of computes
    :ivar sessions: by the worker: consoles open now
    :ivar places: by the worker: places of ``[proxy] max_sessions`` that it has taken
    :ivar load: by the worker: connections open now, consoles among them
    :ivar seen: by the worker: its last sign of life, in whole seconds of ``time.monotonic``
    :ivar computes: by the worker: compute hosts that it knows
    :ivar reachable: by the worker: those of them that it reaches
    :ivar done: by the worker: whether it has ended all its sessions in order
    """

    set_number = _Number(0)
    reloads_wanted = _Number(1)
    drain = _Number(2)
    deadline = _Number(3)
    ready = _Number(4)
    accepts = _Number(5)
    reloads = _Number(6)
    sessions = _Number(7)
    places = _Number(8)
    load = _Number(9)
    seen = _Number(10)
    computes = _Number(11)
    reachable = _Number(12)
    done = _Number(13)

    def __init__(self, numbers: memoryview) -> None:
        self.numbers = numbers

    def clear(self) -> None:
        """Its worker is gone."""
        for place in range(NUMBERS):
            self.numbers[place] = 0

    def is_alive(self, now: float) -> bool:
        """Whether its worker has given a sign of life lately."""
        return self.seen + SILENT_AFTER > now


class Drain:
    """What a worker that takes no new clients knows of those who do."""

    NO = 0
    FOR_THE_NEXT_SET = 1
    """Workers of the same master have the listening socket."""
    FOR_ANOTHER_SERVICE = 2
    """Another service has a socket of its own; clients that are under way to ours have to be taken."""


class Board:
    """Made by the master before the first fork.

    :param slots: workers that there may be at once
    :ivar serving: by the master: the number of the set of workers that takes new clients
    :ivar used: by the master: slots that were in use so far are before this one
    """

    serving = _Number(0)
    used = _Number(1)

    def __init__(self, slots: int) -> None:
        size = (slots + 1) * NUMBERS
        self._file = os.memfd_create("porthole-board")
        os.ftruncate(self._file, size * 4)
        self._memory = memoryview(mmap.mmap(self._file, size * 4)).cast("I")
        self.numbers = self._memory[:NUMBERS]
        self._most = slots
        self._slots: list[Slot] = []  # those that were in use so far, as this process knows them

    def take_slot(self, set_number: int) -> Slot:
        """A free slot, for a worker of this set. Called by the master.

        :raises IndexError: there is none
        """
        slot = next((slot for slot in self._all() if not slot.set_number), None)
        if slot is None:
            if self.used >= self._most:
                raise IndexError("there are too many workers")
            self.used += 1
            slot = self._all()[-1]
        slot.clear()
        slot.set_number = set_number
        return slot

    def free(self) -> int:
        """How many further workers there may be."""
        return self._most - len(self.slots())

    def slots(self) -> list[Slot]:
        """Those of all workers that there are."""
        return [slot for slot in self._all() if slot.set_number]

    def _all(self) -> list[Slot]:
        for number in range(len(self._slots) + 1, self.used + 1):
            self._slots.append(Slot(self._memory[number * NUMBERS : (number + 1) * NUMBERS]))
        return self._slots

    @contextmanager
    def locked(self, what: int, sleep: Callable[[float], object] = time.sleep) -> Iterator[bool]:
        """Alone among all processes, for work that waits for nothing: the kernel lifts the lock when a process dies.

        :param what: which of the locks
        :param sleep: how to wait for it
        :returns: False when it could not be had within :data:`LOCK_TIME`
        """
        has = self._lock(what, sleep)
        try:
            yield has
        finally:
            if has:
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, what)

    def _lock(self, what: int, sleep: Callable[[float], object]) -> bool:
        end = time.monotonic() + LOCK_TIME
        while True:
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, what)
            except OSError:
                if time.monotonic() >= end:
                    return False
                sleep(_LOCK_PAUSE)
            else:
                return True
