"""A key's echo on a screen that changes all the time, over a long and narrow way."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import replace

from bench.loads import film, messages
from bench.loads.link import HOST, Link, LinkError
from bench.measure import percentile
from bench.peers.base import Peer
from bench.peers.porthole import ONE_BY_ONE
from bench.rows.base import Effort, Figure, Goal, Row, Sample
from bench.rows.far import WAY
from bench.stage import Stage

RATE = 250_000
"""Bytes a second: 2 Mbit/s."""

LONGEST_PAUSE = 0.6
"""Seconds between two keys, at most."""


class Narrow(Row):
    """Whether asking ahead builds up a queue."""

    name = "narrow"
    title = (
        f"A key on a screen that changes all the time, {WAY * 1000:.0f} ms away over {RATE * 8 // 1_000_000} Mbit/s, "
        f"updates of {film.UPDATE_LENGTH // 1000} KB"
    )
    only = ("porthole", ONE_BY_ONE, "websockify")
    figures = (Figure("p50", "echo p50 ms", 0), Figure("longest", "longest ms", 0), Figure("fps", "pictures/s", 1))
    goals = (
        Goal("p50", 1.1, "websockify"),
        Goal("p50", 1.1, ONE_BY_ONE),
        Goal("fps", 1.0, "websockify", at_least=True),
    )

    def measure(self, stage: Stage, peer: Peer, effort: Effort) -> Sample:
        """See :meth:`Row.measure`. An echo is over when an update that shows the key is there, whole."""
        from tests.service.distance import far_away  # noqa: PLC0415 - only such rows need it

        relay = stage.relay(peer, stage.leg(film=True))
        door = relay.door()
        with (
            far_away((HOST, door.port), WAY, RATE) as port,
            Link(replace(door, port=port)) as link,
            _Keys(link) as keys,
        ):
            link.send(messages.next_update())
            _watch(link, keys, effort.settles)
            keys.echoes.clear()
            seconds = max(3.0, 5 * effort.window)
            shown = _watch(link, keys, seconds)
        return {
            "p50": percentile(keys.echoes, 0.5) * 1000,
            "longest": max(keys.echoes) * 1000,
            "fps": shown / seconds,
        }


class _Keys:
    """Presses a key now and then, by chance, for as long as the block runs.

    :ivar echoes: seconds that each took until it was seen
    """

    def __init__(self, link: Link) -> None:
        self.echoes: list[float] = []
        self._link = link
        self._pressed: tuple[int, float] | None = None  # the one that was not seen yet
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._press, daemon=True)

    def __enter__(self) -> _Keys:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def seen(self, number: int) -> None:
        """An update has shown this key."""
        if self._pressed is not None and number == self._pressed[0]:
            self.echoes.append(time.perf_counter() - self._pressed[1])
            self._pressed = None

    def _press(self) -> None:
        chance, number = random.Random(1), 0  # noqa: S311 - the same pauses in each run
        while not self._is_over.wait(chance.uniform(0, LONGEST_PAUSE)):
            if self._pressed is None:
                number += 1
                self._pressed = number, time.perf_counter()
                self._link.send(messages.key_event(number))


def _watch(link: Link, keys: _Keys, seconds: float) -> int:
    """Ask, wait for the whole update, ask again; returns how many came.

    :raises LinkError: none of them has shown a key
    """
    end, shown = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        keys.seen(film.key_in(link.read(film.UPDATE_LENGTH)))
        link.send(messages.next_update())
        shown += 1
    if not keys.echoes:
        raise LinkError("no key was seen")
    return shown
