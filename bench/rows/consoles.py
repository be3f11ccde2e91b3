"""Getting a console: the API's answer, and the way from the upgrade to the first byte of RFB."""

from __future__ import annotations

import contextlib
import random
import time

from bench.loads.link import Link
from bench.measure import percentile
from bench.peers.base import Peer
from bench.rows.base import Effort, Figure, Goal, Row, Sample
from bench.stage import Stage

COMPUTES, GUESTS = 50, 40
WARM_UP = 10
"""Sessions of a round that are not counted."""


class Ask(Row):
    """POST /v1/consoles."""

    name = "ask"
    title = (
        f"A console asked for by a user who is signed in, with {COMPUTES} computes and {COMPUTES * GUESTS:,} instances"
    )
    figures = (Figure("p50", "p50 ms", 2), Figure("p99", "p99 ms", 2))
    goals = (Goal("p50", 5),)
    only = ("porthole",)
    once = True

    def measure(self, stage: Stage, peer: Peer, effort: Effort) -> Sample:
        """See :meth:`Row.measure`. One call after the other on one connection, each for an instance by chance."""
        choice = random.Random(1)  # noqa: S311 - the same instances in each run
        with stage.cloud(COMPUTES, GUESTS) as service:
            taken = []
            for _ in range(100 if effort.quick else 1000):
                instance = choice.choice(service.instances)
                began = time.perf_counter()
                service.ask(instance)
                taken.append(time.perf_counter() - began)
        return {"p50": percentile(taken, 0.5) * 1000, "p99": percentile(taken, 0.99) * 1000}


class Connect(Row):
    """A session's begin."""

    name = "connect"
    title = "Upgrade to the first byte of RFB, TCP's handshake included"
    figures = (Figure("p50", "p50 ms", 2), Figure("p99", "p99 ms", 2))
    goals = (Goal("p50", 3), Goal("p50", 1 / 20, "nova-novncproxy"))

    def measure(self, stage: Stage, peer: Peer, effort: Effort) -> Sample:
        """See :meth:`Row.measure`. What admits the session was asked for before; one session after the other."""
        relay = stage.relay(peer, stage.leg(crowd=True))
        taken = []
        with contextlib.ExitStack() as stack:
            for _ in range(WARM_UP + (5 if effort.quick else 40)):
                link = stack.enter_context(Link(relay.door()))
                taken.append(link.first_byte)
        taken = taken[WARM_UP:]
        return {"p50": percentile(taken, 0.5) * 1000, "p99": percentile(taken, 0.99) * 1000}
