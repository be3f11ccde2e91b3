"""Sets of workers: those that were started with one configuration, and end together."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from porthole.config import Settings, contents

MAX_WORKERS = 128
"""Workers of one set."""

MAX_DRAINING = 10
"""Sets that keep their sessions after a reload; of one more, the oldest is told to end."""

READY_TIME = 60.0
"""Seconds, beside two libvirt calls, after which a set that is not ready is given up."""

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
"""Seconds before a worker that could not start is started again; they double."""


class State(Enum):
    """What a set does."""

    STARTING = "starting"
    SERVING = "serving"
    DRAINING = "draining"
    ENDING = "ending"


@dataclass(eq=False, slots=True)
class WorkerSet:
    """One.

    :ivar number: 1 for the first of the service, and so on
    :ivar settings: what its workers are made with
    :ivar state: what it does now
    :ivar give_up_at: when it should be ready, in the time of ``time.monotonic``
    :ivar read: what stood in the files that its workers have read at their start
    :ivar hand_over_by: when it takes the clients although a worker before it still does; 0: not yet
    :ivar next_try: when a worker that could not start is started again
    :ivar pause: seconds before that
    """

    number: int
    settings: Settings
    state: State
    give_up_at: float
    read: dict[Path, str] = field(init=False)
    hand_over_by: float = 0.0
    next_try: float = 0.0
    pause: float = FIRST_PAUSE

    def __post_init__(self) -> None:
        self.read = contents(self.settings)

    @property
    def size(self) -> int:
        """How many workers it should have."""
        return min(self.settings.workers or processors(), MAX_WORKERS)

    def put_off(self, now: float) -> None:
        """A worker could not start: try again later, each time later."""
        self.next_try = now + self.pause
        self.pause = min(2 * self.pause, LONGEST_PAUSE)


def processors() -> int:
    """How many this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except OSError:  # a sandbox may not let it look
        return os.cpu_count() or 1
