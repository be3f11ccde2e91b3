"""From the browser to the VNC server: a large paste."""

from __future__ import annotations

import contextlib
import os
import time
import zlib
from collections.abc import Callable, Iterator

from bench.background import meanwhile
from bench.loads import messages
from bench.loads.frames import client_frame
from bench.loads.link import Link
from bench.measure import processor_seconds
from bench.peers.base import Peer, PeerFailed, Relay
from bench.rows.base import Effort, Figure, Goal, Row, Sample
from bench.rows.echo import echo_once
from bench.stage import Stage

TEXTS = 10
TEXT = messages.MIB
FRAME = 64 * 1024


class Upload(Row):
    """Ten ClientCutText of 1 MiB each, which is as much as QEMU takes in one."""

    name = "upload"
    title = f"A client sends {TEXTS} MiB of clipboard, in frames of {FRAME // 1024} KiB"
    figures = (
        Figure("mb_per_second", "MB/s", 0),
        Figure("held", "other's longest echo ms", 2),
        Figure("cpu_per_gb", "processor s/GB", 2),
    )
    goals = (Goal("mb_per_second", 200, at_least=True), Goal("held", 5))

    def measure(self, stage: Stage, peer: Peer, effort: Effort) -> Sample:
        """See :meth:`Row.measure`. The VNC server says how many bytes came, and their CRC-32."""
        relay = stage.relay(peer, stage.leg())
        text = os.urandom(TEXT)
        data = messages.cut_text(text) * TEXTS
        framed = b"".join(client_frame(data[at : at + FRAME]) for at in range(0, len(data), FRAME))
        with Link(relay.door()) as link, _longest_echo(relay) as longest:
            wire = framed if link.reader else data
            pids = relay.pids()
            before, began = processor_seconds(pids), time.perf_counter()
            link.socket.sendall(wire)
            link.send(messages.report())
            report = messages.REPORT.unpack(link.read(messages.REPORT.size))
            seconds, spent = time.perf_counter() - began, processor_seconds(pids) - before
            held = longest()
        if report != (TEXTS * TEXT, zlib.crc32(text * TEXTS)):
            raise PeerFailed(f"of {TEXTS * TEXT} bytes {report[0]} arrived, or others than were sent")
        total = TEXTS * TEXT
        return {"mb_per_second": total / seconds / 1e6, "held": held * 1000, "cpu_per_gb": spent / total * 1e9}


@contextlib.contextmanager
def _longest_echo(relay: Relay) -> Iterator[Callable[[], float]]:
    """Another session that is used meanwhile; tells its longest echo in seconds."""
    with Link(relay.door()) as other:
        echo_once(other, 0)
        longest = 0.0

        def once() -> float:
            """How much longer than all before."""
            nonlocal longest
            more = max(0.0, echo_once(other, 0) - longest)
            longest += more
            return more

        with meanwhile(once) as counter:
            yield counter.total
