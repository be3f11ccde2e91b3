"""Pictures a second over a long way: of a real guest that draws without end."""

from __future__ import annotations

import struct
import time
from dataclasses import replace

from bench.loads.link import HOST, Link
from bench.measure import processor_seconds
from bench.peers.base import Peer, Relay
from bench.peers.porthole import ONE_BY_ONE
from bench.rows.base import Effort, Figure, Goal, Row, Sample
from bench.stage import Stage

WAY = 0.1
"""Seconds there and back, added to each piece by a process in between."""

REQUEST = struct.pack("!BBHHHH", 3, 1, 0, 0, 640, 400)
PIXELS = 4


class Far(Row):
    """One session over a long way, or over none."""

    only = ("porthole", ONE_BY_ONE, "websockify")  # all but ours do the same here: one update for one request
    figures = (Figure("fps", "pictures/s", 1), Figure("cpu_ms", "processor ms a picture", 2))

    def __init__(self, name: str, way: float, goals: tuple[Goal, ...]) -> None:
        self.name = name
        self.title = f"A guest that draws 30 pictures a second, of 1 MB each, {way * 1000:.0f} ms away"
        self.goals = goals
        self._way = way

    def measure(self, stage: Stage, peer: Peer, effort: Effort) -> Sample:
        """See :meth:`Row.measure`. The guest is QEMU's, its pictures are in raw encoding."""
        from tests.service.distance import far_away  # noqa: PLC0415 - only this row needs it

        with stage.film() as leg:
            relay = stage.relay(peer, leg)
            door = relay.door()
            with far_away((HOST, door.port), self._way) as port, Link(replace(door, port=port)) as link:
                return self._watched(link, relay, effort)

    def _watched(self, link: Link, relay: Relay, effort: Effort) -> Sample:
        seconds = 4 * effort.window
        link.send(REQUEST)
        self._watch(link, effort.settles)
        pids = relay.pids()
        spent = processor_seconds(pids)
        shown = self._watch(link, seconds)
        spent = processor_seconds(pids) - spent
        return {"fps": shown / seconds, "cpu_ms": spent / max(shown, 1) * 1000}

    @staticmethod
    def _watch(link: Link, seconds: float) -> int:
        """Ask, wait for the whole update, ask again."""
        end, shown = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            _, count = struct.unpack("!BxH", link.read(4))
            for _ in range(count):
                width, height, encoding = struct.unpack("!4xHHi", link.read(12))
                if encoding == 0:
                    link.read(width * height * PIXELS)
            link.send(REQUEST)
            shown += 1
        return shown
