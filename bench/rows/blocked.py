"""A browser that stops reading."""

from __future__ import annotations

import time

from bench.loads import messages
from bench.loads.link import Link
from bench.measure import pss
from bench.peers.base import Peer, PeerFailed
from bench.rows.base import Effort, Figure, Goal, Row, Sample
from bench.rows.echo import PAUSE, echoes, for_seconds, latencies
from bench.stage import Stage

STREAM_MIB = 256
"""What the VNC server would like to send: a relay that buffers without a bound is not to take all memory."""

SENT_KEYS = 20
KEYS_TIMEOUT, QUICK_KEYS_TIMEOUT = 5.0, 1.0


class Blocked(Row):
    """One session whose client reads nothing, and one beside it."""

    name = "blocked"
    title = f"A client stops reading {STREAM_MIB} MiB; it types {SENT_KEYS} keys, and another session is used"
    figures = (
        Figure("mib", "memory grown by MiB", 2),
        Figure("keys", "keys delivered %", 0),
        Figure("p50", "other's echo p50 ms", 2),
        Figure("p99", "other's echo p99 ms", 2),
    )
    goals = (Goal("mib", 1), Goal("keys", 100, at_least=True), Goal("p99", 3.0, "go"))

    def measure(self, stage: Stage, peer: Peer, effort: Effort) -> Sample:
        """See :meth:`Row.measure`. What the kernel holds in the sockets' buffers is not in the memory."""
        relay = stage.relay(peer, stage.leg())
        with Link(relay.door()) as blocked, Link(relay.door()) as other:
            echoes(other, for_seconds(effort.warm_up), PAUSE)
            before = pss(relay.pids())
            typed = stage.keys.stat().st_size
            blocked.send(messages.stream(messages.LARGEST_WRITE, STREAM_MIB))
            taken = echoes(other, for_seconds(2 * effort.window), PAUSE)
            grown = pss(relay.pids()) - before
            self._type(blocked)
            delivered = self._delivered(stage, typed, QUICK_KEYS_TIMEOUT if effort.quick else KEYS_TIMEOUT)
        return {"mib": max(0, grown) / messages.MIB, "keys": delivered / SENT_KEYS * 100, **latencies(taken)}

    @staticmethod
    def _type(link: Link) -> None:
        try:
            for number in range(SENT_KEYS):
                link.send(messages.key_event(number))
        except OSError as error:
            raise PeerFailed(f"takes no keys while its client reads nothing: {error}") from None

    @staticmethod
    def _delivered(stage: Stage, before: int, timeout: float) -> int:
        end = time.monotonic() + timeout
        while (delivered := stage.keys.stat().st_size - before) < SENT_KEYS and time.monotonic() < end:
            time.sleep(0.01)
        return delivered
