"""How many refusals are recorded one by one.

Whoever has no token and no password can be refused as often as he likes. If each refusal were a line, he could have
the log rotated until nothing is left of what he wants to hide, and keep the disk from those who have something to do.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

PER_ADDRESS = (100, 10.0)
"""So many refusals of an address at once, and then one in so many seconds."""

IN_ALL = (1000, 0.5)
"""The same for all addresses together: 75 MB a day at the most."""

MAX_ADDRESSES = 10_000
"""Addresses that are remembered; beyond it the one that was refused longest ago is forgotten."""


@dataclass(frozen=True, slots=True)
class _Bucket:
    """So many at once, and then one in so many seconds.

    :ivar empty_at: when all that were taken are forgotten
    """

    empty_at: float = 0.0

    def after_one(self, now: float, burst: int, each: float) -> _Bucket | None:
        """The bucket when one more was taken; None when there is none."""
        empty_at = max(now, self.empty_at) + each
        return _Bucket(empty_at) if empty_at - now <= burst * each + 1e-6 else None


class Allowance:
    """Counts refusals by address.

    :param clock: seconds, monotonic
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._all = _Bucket()
        self._by_address: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, address: str) -> bool:
        """Whether a refusal of this address gets a line of its own."""
        now = self._clock()
        one = self._by_address.get(address, _Bucket()).after_one(now, *PER_ADDRESS)
        every = self._all.after_one(now, *IN_ALL)
        if one is None or every is None:
            return False
        self._all = every
        self._by_address[address] = one
        self._by_address.move_to_end(address)
        if len(self._by_address) > MAX_ADDRESSES:
            self._by_address.popitem(last=False)
        return True
