"""From the VNC server to the browser: processor time per GB."""

from __future__ import annotations

import time

from bench.loads import messages
from bench.loads.link import Link
from bench.measure import processor_seconds
from bench.peers.base import Leg, Peer, PeerFailed, Relay
from bench.rows.base import Effort, Figure, Goal, Row, Sample
from bench.stage import Stage

VERIFIED_MIB = 8
WHOLE_READS = 64 * 1024


def watch(relay: Relay, link: Link, effort: Effort) -> Sample:
    """Receive what comes; what the relay's processes take for it.

    A window of time is looked at, not a number of bytes, so that slow relays do not take long. What is under way at its
    begin and at its end is little of it.
    """
    _receive(link, effort.warm_up)
    frames = link.reader.frames if link.reader else 0
    pids = relay.pids()
    before, began = processor_seconds(pids), time.perf_counter()
    received = _receive(link, effort.window)
    spent, seconds = processor_seconds(pids) - before, time.perf_counter() - began
    if not received:
        raise PeerFailed(f"nothing arrived within {seconds:.1f} s")
    sample = {"cpu_per_gb": spent / received * 1e9, "mb_per_second": received / seconds / 1e6}
    if link.reader:
        sample["frame"] = received / max(1, link.reader.frames - frames)
    return sample


def _receive(link: Link, seconds: float) -> int:
    received = 0
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        received += link.receive()
    return received


def verify(link: Link, write: int) -> None:
    """Order a stream of some MiB and compare each byte.

    :raises PeerFailed: one differs
    """
    comparison = messages.Comparison()
    link.send(messages.stream(write, VERIFIED_MIB))
    while comparison.position < VERIFIED_MIB * messages.MIB:
        link.receive(comparison.take)
    if comparison.wrong_at is not None or comparison.position != VERIFIED_MIB * messages.MIB:
        raise PeerFailed(f"what arrives differs from what was sent, from byte {comparison.wrong_at} on")


class Stream(Row):
    """One session that gets the pattern in writes of one size.

    :param write: bytes of each of the source's writes
    :param rate: millions of bytes a second; 0 for as fast as they are taken
    """

    figures = (
        Figure("cpu_per_gb", "processor s/GB", 3),
        Figure("mb_per_second", "MB/s", 0),
        Figure("frame", "bytes a frame", 0),
    )

    def __init__(
        self, name: str, title: str, *, write: int, rate: int = 0, tls: bool = False, vencrypt: bool = False,
        goals: tuple[Goal, ...] = (),
    ) -> None:  # fmt: skip
        self.name = name
        self.title = title
        self.headline = tls
        self.goals = goals
        self._write = write
        self._rate = rate
        self._tls = tls
        self._vencrypt = vencrypt

    def applies_to(self, peer: Peer) -> bool:
        """Whether the relay knows such legs at all."""
        can_stand_there = peer.why_not(Leg(0, tls=self._tls, vencrypt=self._vencrypt)) is None
        return can_stand_there and super().applies_to(peer)

    def _relay(self, stage: Stage, peer: Peer) -> Relay:
        return stage.relay(peer, stage.leg(tls=self._tls, vencrypt=self._vencrypt))

    def verify(self, stage: Stage, peer: Peer) -> None:
        """See :meth:`Row.verify`: the same writes, as fast as they are taken."""
        with Link(self._relay(stage, peer).door()) as link:
            verify(link, self._write)

    def measure(self, stage: Stage, peer: Peer, effort: Effort) -> Sample:
        """See :meth:`Row.measure`."""
        relay = self._relay(stage, peer)
        with Link(relay.door()) as link:
            link.send(messages.stream(self._write, 0, self._rate))
            return watch(relay, link, effort)
