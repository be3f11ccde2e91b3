"""Rows and relays that measure nothing, for tests of what is made of their results."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bench.peers.base import Certificates, Leg, Peer, Relay
from bench.rows.base import Effort, Figure, Goal, Row, Sample
from bench.stage import Stage


class FakePeer(Peer):
    """A relay that is never started."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.title = f"{name} | of a test"

    def start(self, leg: Leg, certificates: Certificates, folder: Path) -> Relay:
        raise NotImplementedError


class FakeRow(Row):
    """A row with an answer."""

    title = "A row of a test"
    figures = (Figure("cost", "µs", 1), Figure("rate", "MB/s", 0))

    def __init__(
        self, name: str = "row", goals: tuple[Goal, ...] = (), answer: Callable[[Peer], Sample] | None = None
    ) -> None:
        self.name = name
        self.goals = goals
        self.verified: list[str] = []
        self.measured: list[str] = []
        self._answer = answer or (lambda _peer: {"cost": 1.0})

    def verify(self, stage: Stage, peer: Peer) -> None:
        self.verified.append(peer.name)

    def measure(self, stage: Stage, peer: Peer, effort: Effort) -> Sample:
        self.measured.append(peer.name)
        return self._answer(peer)
