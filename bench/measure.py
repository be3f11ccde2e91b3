"""What a relay's processes cost: processor time and memory, out of /proc (proc(5))."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

_PSS = re.compile(rb"^Pss:\s+(\d+) kB", re.MULTILINE)


def tree(pid: int) -> list[int]:
    """A process and all that descend from it."""
    found = [pid]
    for one in found:
        try:
            threads = os.listdir(f"/proc/{one}/task")
        except OSError:
            continue  # it has just ended
        for thread in threads:
            try:
                found += map(int, Path(f"/proc/{one}/task/{thread}/children").read_text().split())
            except OSError:
                continue
    return found


def processor_seconds(pids: Iterable[int]) -> float:
    """User and system time of the threads that these processes have now, to the nanosecond.

    The first number of ``schedstat`` is the time a thread has been on a processor. Threads and processes that have
    ended are not in it, so what is compared has to be looked at while it lives.
    """
    total = 0
    for pid in pids:
        try:
            threads = os.listdir(f"/proc/{pid}/task")
        except OSError:
            continue
        for thread in threads:
            try:
                total += int(Path(f"/proc/{pid}/task/{thread}/schedstat").read_text().split()[0])
            except (OSError, IndexError):
                continue
    return total / 1e9


def pss(pids: Iterable[int]) -> int:
    """Proportional set size in bytes: memory of their own, and their share of what they share."""
    total = 0
    for pid in pids:
        try:
            match = _PSS.search(Path(f"/proc/{pid}/smaps_rollup").read_bytes())
        except OSError:
            continue
        total += int(match[1]) * 1024 if match else 0
    return total


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that this share of all does not exceed (nearest rank); 0.5 is the lower median.

    :raises ValueError: there are no values
    """
    if not values:
        raise ValueError("no values to take a percentile of")
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
