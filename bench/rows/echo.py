"""A key and its answer: processor time, and how long it takes, alone and beside others."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence

from bench.background import meanwhile
from bench.loads import messages
from bench.loads.link import Link
from bench.measure import percentile, processor_seconds
from bench.peers.base import Peer, PeerFailed, Relay
from bench.rows.base import Effort, Figure, Goal, Row, Sample
from bench.stage import Stage

LOADERS = 8
PAUSE = 0.002
"""Seconds between two keys beside others, so that the keys are no load themselves."""


def echo_once(link: Link, number: int) -> float:
    """Send a key and wait for it to come back; seconds.

    :raises PeerFailed: something else came back
    """
    key = messages.key_event(number)
    frame = link.framed(key)
    began = time.perf_counter()
    link.socket.sendall(frame)
    answer = link.read(messages.KEY_LENGTH)
    taken = time.perf_counter() - began
    if answer != key:
        raise PeerFailed("a key came back changed")
    return taken


def echoes(link: Link, is_over: Callable[[int], bool], pause: float = 0.0) -> list[float]:
    """Seconds of one echo after the other."""
    taken: list[float] = []
    while not is_over(len(taken)):
        taken.append(echo_once(link, len(taken)))
        if pause:
            time.sleep(pause)
    return taken


def for_seconds(seconds: float) -> Callable[[int], bool]:
    """Says that it is over once so much time has gone, and one echo was made at least."""
    end = time.perf_counter() + seconds
    return lambda made: made > 0 and time.perf_counter() > end


def latencies(taken: Sequence[float]) -> Sample:
    """The median and the 99th percentile, in milliseconds."""
    return {"p50": percentile(taken, 0.5) * 1000, "p99": percentile(taken, 0.99) * 1000}


class Echo(Row):
    """One session, nothing else."""

    name = "echo"
    title = "An 8-byte key and its answer, one session"
    figures = (Figure("cpu_us", "processor µs", 1), Figure("p50", "p50 ms", 3), Figure("p99", "p99 ms", 3))
    goals = (Goal("cpu_us", 0.85, "websockify"), Goal("cpu_us", 1.25, "haproxy"), Goal("p50", 1.0, "go"))

    def measure(self, stage: Stage, peer: Peer, effort: Effort) -> Sample:
        """See :meth:`Row.measure`. Each answer is compared with its key."""
        relay = stage.relay(peer, stage.leg())
        with Link(relay.door()) as link:
            echoes(link, for_seconds(effort.warm_up))
            pids = relay.pids()
            before = processor_seconds(pids)
            taken = echoes(link, for_seconds(effort.window))
            spent = processor_seconds(pids) - before
        return {"cpu_us": spent / len(taken) * 1e6, **latencies(taken)}


class LoadedEcho(Row):
    """One session beside others at full throughput."""

    name = "echo-loaded"
    title = f"An 8-byte key and its answer, while {LOADERS} other sessions run at full throughput"
    figures = (Figure("p99", "p99 ms", 2), Figure("p50", "p50 ms", 2), Figure("load", "load MB/s", 0))
    goals = (Goal("p99", 3.0, "go"),)

    def measure(self, stage: Stage, peer: Peer, effort: Effort) -> Sample:
        """See :meth:`Row.measure`."""
        relay = stage.relay(peer, stage.leg())
        with Link(relay.door()) as link, load(relay, LOADERS) as received:
            echoes(link, for_seconds(effort.warm_up), PAUSE)
            before, began = received(), time.perf_counter()
            taken = echoes(link, for_seconds(2 * effort.window), PAUSE)
            rate = (received() - before) / (time.perf_counter() - began)
        return {**latencies(taken), "load": rate / 1e6}


@contextlib.contextmanager
def load(relay: Relay, sessions: int) -> Iterator[Callable[[], float]]:
    """So many sessions at full throughput, each received by a process of its own.

    :returns: tells how many bytes all of them have received so far
    """
    with contextlib.ExitStack() as stack:
        counters = []
        for _ in range(sessions):
            link = stack.enter_context(Link(relay.door()))
            link.send(messages.stream(messages.LARGEST_WRITE))
            counters.append(stack.enter_context(meanwhile(link.receive)))
        yield lambda: sum(counter.total() for counter in counters)
