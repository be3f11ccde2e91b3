"""Many sessions at once: memory, how fast they are opened, and whether all of them answer."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.measure import percentile, processor_seconds, pss
from bench.peers.base import Peer, PeerFailed, Relay, clean_environment
from bench.rows.base import Effort, Figure, Goal, Row, Sample
from bench.stage import Stage

CHECKOUT = Path(__file__).resolve().parents[2]
TOGETHER = 64
"""Sessions that are being opened at the same time."""

KEYS_PER_SECOND = 1000
FIRST = 4
"""Sessions before those that are looked at: what a process loads or makes for its first session is no session's."""

COUNT, LARGE_COUNT = 1000, 5000
QUICK_COUNT, QUICK_LARGE_COUNT = 200, 1000
QUICK_FORKING_COUNT = 20
"""Of relays that start a process for each session, when there is little time."""

KB = 1000


class Crowd:
    """The clients' process; see :mod:`bench.loads.crowd`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def open(self, relay: Relay, count: int) -> float:
        """Open so many sessions; returns seconds.

        :raises PeerFailed: not all of them could be opened
        """
        doors = [relay.door() for _ in range(count)]  # what admits them is asked for before
        answer = self._tell({"open": [[door.port, door.path] for door in doors], "together": TOGETHER})
        if answer["opened"] < count:
            raise PeerFailed(f"of {count} sessions {answer['opened']} were opened: {', '.join(answer['reasons'])}")
        return float(answer["seconds"])

    def echo(self, count: int) -> list[float]:
        """A key of each session; how long each took.

        :raises PeerFailed: not all of them came back
        """
        answer = self._tell({"echo": count / KEYS_PER_SECOND})
        if answer["answered"] < count:
            raise PeerFailed(f"of {count} sessions {answer['answered']} answered: {', '.join(answer['reasons'])}")
        return [float(one) for one in answer["taken"]]

    def _tell(self, order: dict[str, Any]) -> dict[str, Any]:
        if self._process.stdin is None or self._process.stdout is None:
            raise PeerFailed("the clients' process has no pipes")
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise PeerFailed(f"the clients' process ended with status {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextlib.contextmanager
def crowd() -> Iterator[Crowd]:
    """Clients, who leave when the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.loads.crowd"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**clean_environment(), "PYTHONPATH": str(CHECKOUT)},
    )  # fmt: skip
    try:
        yield Crowd(process)
    finally:
        process.kill()
        process.communicate()


def measure(stage: Stage, peer: Peer, count: int) -> Sample:
    """Open so many sessions on a relay that is new, look at it, and let each send a key."""
    with stage.fresh(peer, stage.leg(crowd=True)) as relay, crowd() as clients:
        clients.open(relay, FIRST)
        idle = pss(relay.pids())
        seconds = clients.open(relay, count)
        pids = relay.pids()
        full = pss(pids)
        before = processor_seconds(pids)
        taken = clients.echo(count + FIRST)
        spent = processor_seconds(pids) - before
    return {
        "sessions": count,
        "answering": 100.0 * len(taken) / (count + FIRST),
        "kb": (full - idle) / count / KB,
        "opened": count / seconds,
        "cpu_us": spent / len(taken) * 1e6,
        "p50": percentile(taken, 0.5) * 1000,
        "p99": percentile(taken, 0.99) * 1000,
    }


_FIGURES = (
    Figure("kb", "KB a session", 1),
    Figure("opened", "opened a second", 0),
    Figure("cpu_us", "processor µs a key", 1),
    Figure("p50", "key p50 ms", 2),
    Figure("p99", "key p99 ms", 2),
    Figure("answering", "answering %", 0),
    Figure("sessions", "sessions", 0),
)


class Memory(Row):
    """Idle sessions."""

    name = "memory"
    title = "1,000 idle sessions (200 with --quick; fewer where each has a process): proportional set size of one"
    figures = _FIGURES
    goals = (Goal("kb", 40),)
    once = True

    def measure(self, stage: Stage, peer: Peer, effort: Effort) -> Sample:
        """See :meth:`Row.measure`."""
        is_forking = peer.most_sessions <= COUNT
        if effort.quick:
            return measure(stage, peer, QUICK_FORKING_COUNT if is_forking else QUICK_COUNT)
        return measure(stage, peer, min(COUNT, peer.most_sessions))


class Sessions(Row):
    """As many as the service is to hold."""

    name = "sessions"
    title = "5,000 sessions (1,000 with --quick) on one machine, all answering"
    figures = (_FIGURES[1], _FIGURES[0], *_FIGURES[2:])
    goals = (Goal("answering", 100, at_least=True), Goal("opened", 300, at_least=True))
    only = ("porthole", "go", "haproxy", "lighttpd", "node")
    once = True

    def measure(self, stage: Stage, peer: Peer, effort: Effort) -> Sample:
        """See :meth:`Row.measure`."""
        return measure(stage, peer, QUICK_LARGE_COUNT if effort.quick else LARGE_COUNT)


class Growth(Row):
    """The same at other numbers."""

    only = ("porthole", "go", "websockify")
    figures = _FIGURES
    once = True

    def __init__(self, count: int) -> None:
        self.name = f"growth-{count}"
        self.title = f"How cost grows: {count:,} sessions"
        self._count = count

    def applies_to(self, peer: Peer) -> bool:
        """Those that can hold so many."""
        return super().applies_to(peer) and peer.most_sessions >= self._count

    def measure(self, stage: Stage, peer: Peer, effort: Effort) -> Sample:
        """See :meth:`Row.measure`."""
        return measure(stage, peer, self._count)
