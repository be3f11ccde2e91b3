"""Work that goes on in a process of its own while something else is measured."""

from __future__ import annotations

import contextlib
import mmap
import os
import signal
import struct
import traceback
from collections.abc import Callable, Iterator

_NUMBER = struct.Struct("=d")


class Counter:
    """What a process in the background has added up."""

    def __init__(self) -> None:
        self._page = mmap.mmap(-1, mmap.PAGESIZE)

    def total(self) -> float:
        """So far."""
        return float(_NUMBER.unpack_from(self._page)[0])

    def set(self, total: float) -> None:
        """Called in the background."""
        _NUMBER.pack_into(self._page, 0, total)


@contextlib.contextmanager
def meanwhile(work: Callable[[], float]) -> Iterator[Counter]:
    """Call *work* again and again in a forked process until the block ends.

    :returns: the sum of what it has returned
    """
    counter = Counter()
    pid = os.fork()
    if pid == 0:
        _work(work, counter)
    try:
        yield counter
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _work(work: Callable[[], float], counter: Counter) -> None:
    """The child; it never returns."""
    try:
        total = 0.0
        while True:
            total += work()
            counter.set(total)
    except BaseException:  # nothing of the parent may run here
        traceback.print_exc()
    finally:
        os._exit(1)
