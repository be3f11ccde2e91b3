"""What a real guest's VNC server sends, played back."""

from __future__ import annotations

import time
from collections.abc import Sequence

from bench.loads import messages
from bench.loads.link import Link
from bench.measure import processor_seconds
from bench.peers.base import Peer, PeerFailed
from bench.rows.base import Effort, Figure, Goal, Row, Sample
from bench.stage import Stage


class Recorded(Row):
    """A guest's boot, and a terminal that scrolls: each update is asked for as a viewer does."""

    name = "recorded"
    title = "A real guest's updates, each asked for when the one before has come: a boot, and a terminal that scrolls"
    figures = (
        Figure("cpu_us", "processor µs an update", 1),
        Figure("cpu_per_gb", "processor s/GB", 2),
        Figure("updates", "updates a second", 0),
    )
    goals = (Goal("cpu_us", 0.85, "websockify"),)

    def verify(self, stage: Stage, peer: Peer) -> None:
        """See :meth:`Row.verify`: the whole recording once."""
        with Link(stage.relay(peer, stage.leg(recorded=True)).door()) as link:
            for number, update in enumerate(stage.recording):
                link.send(messages.next_update())
                if link.read(len(update)) != update:
                    raise PeerFailed(f"update {number} differs from the one recorded")

    def measure(self, stage: Stage, peer: Peer, effort: Effort) -> Sample:
        """See :meth:`Row.measure`: the recording over and over, only whole ones."""
        relay = stage.relay(peer, stage.leg(recorded=True))
        sizes = [len(update) for update in stage.recording]
        with Link(relay.door()) as link:
            ahead = _play(link, sizes, 0)
            pids = relay.pids()
            before, began, plays = processor_seconds(pids), time.perf_counter(), 0
            while not plays or time.perf_counter() - began < effort.window:
                ahead = _play(link, sizes, ahead)
                plays += 1
            spent, seconds = processor_seconds(pids) - before, time.perf_counter() - began
        updates = plays * len(sizes)
        return {
            "cpu_us": spent / updates * 1e6,
            "cpu_per_gb": spent / (plays * sum(sizes)) * 1e9,
            "updates": updates / seconds,
        }


def _play(link: Link, sizes: Sequence[int], ahead: int) -> int:
    """Ask for each update and receive it.

    :param ahead: bytes that have come already, since a relay may ask by itself
    :returns: the same, afterwards
    """
    for size in sizes:
        link.send(messages.next_update())
        while ahead < size:
            ahead += link.receive()
        ahead -= size
    return ahead
