"""A VNC server, a browser and the connection between them, in a time of their own."""

from __future__ import annotations

import heapq
import itertools
import random
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from porthole.proxy.ahead import Ahead

REQUEST = b"\x03\x01" + bytes(8)
REFRESH, SLOWER, SLOWEST = 0.033, 0.050, 3.0
"""Seconds between two looks of QEMU at its screen: so many at least, so many more after one for which no request was
there, and so many at most (VNC_REFRESH_INTERVAL_BASE, _INC and _MAX, ui/vnc.c)."""

PING_SIZE = 7
SEED = 6143


@dataclass(frozen=True)
class Link:
    """A connection.

    :ivar way: seconds there and back
    :ivar rate: bytes a second to the browser
    :ivar jitter: seconds by which a byte may come later, at most
    :ivar answers_pings: whether the browser does
    """

    way: float
    rate: float
    jitter: float = 0.0
    answers_pings: bool = True


class World:
    """A guest that draws without a pause, and somebody who types.

    :ivar shown: when updates were in the browser, whole
    :ivar echoes: seconds from a key to the update that shows it
    :ivar most_queued: seconds that something sent at the worst moment would have waited behind what was under way
    """

    def __init__(self, link: Link, size: int, *, ahead: bool) -> None:
        self.link = link
        self.size = size
        self.ahead = Ahead() if ahead else None
        self.shown: list[float] = []
        self.echoes: list[float] = []
        self.most_queued = 0.0
        self.draws_from = 0.0
        self._chance = random.Random(SEED)  # noqa: S311 - the same each time
        self._events: list[Any] = []
        self._order = itertools.count()
        self._is_asked = False
        self._written = 0
        self._free_at = self._last_at = 0.0
        self._keys: list[float] = []
        self._timer = 0
        self._interval = REFRESH

    def run(self, seconds: float, *, asks_until: float = 1e9, then: Link | None = None) -> World:
        """Let it happen.

        :param then: what the connection becomes after half of the time
        """
        self._asks_until = asks_until
        self._at(seconds / 2, self._change, then or self.link)
        self._at(0, self._browser_asks)
        self._at(0.01, self._refresh)
        self._at(seconds / 2, self._type)
        while self._events and self._events[0][0] < seconds:
            now, _, action, arguments = heapq.heappop(self._events)
            action(now, *arguments)
        return self

    def frames(self, since: float, until: float) -> float:
        """Updates a second."""
        return sum(since <= moment < until for moment in self.shown) / (until - since)

    @property
    def echo(self) -> float:
        """Seconds from a key to its picture, in the middle."""
        return statistics.mean(self.echoes)

    def _at(self, moment: float, action: Callable[..., None], *arguments: Any) -> None:
        heapq.heappush(self._events, (moment, next(self._order), action, arguments))

    def _change(self, _now: float, link: Link) -> None:
        self.link = link

    # -- the guest

    def _refresh(self, now: float) -> None:
        if self._is_asked and now >= self.draws_from:
            self._is_asked = False
            self._interval = max(REFRESH, self._interval / 2)
            keys, self._keys = self._keys, []
            self._at(now + 0.001, self._begin, keys)
        else:
            self._interval = min(self._interval + SLOWER, SLOWEST)
        self._at(now + self._interval, self._refresh)

    def _begin(self, now: float, keys: list[float]) -> None:
        if self.ahead is not None:
            ping, request = self.ahead.begins(now, self._written)
            if ping:
                self._send(now, PING_SIZE, self._browser_pinged, ping)
            self._ask(now, request)
        self._written += self.size
        self._send(now, self.size, self._browser_shows, keys)

    def _asked(self, _now: float) -> None:
        self._is_asked = True

    def _key(self, _now: float, typed_at: float) -> None:
        self._keys.append(typed_at)

    # -- the relay

    def _ask(self, now: float, request: bytes) -> None:
        if request:
            self._at(now + 0.0002, self._asked)
        if self.ahead is not None and self.ahead.wait is not None:
            self._timer += 1
            self._at(now + self.ahead.wait, self._due, self._timer)

    def _due(self, now: float, timer: int) -> None:
        assert self.ahead is not None
        if timer == self._timer and self.ahead.wait is not None:
            self._ask(now, self.ahead.due(now, self._written))

    def _requested(self, now: float) -> None:
        if self.ahead is None or self.ahead.asked(REQUEST, now, self._written, may_wait=True):
            self._is_asked = True
        self._ask(now, b"")

    def _ponged(self, now: float, payload: bytes) -> None:
        assert self.ahead is not None
        self._ask(now, self.ahead.answered(payload, now, self._written))

    # -- the connection and the browser

    def _send(self, now: float, size: int, action: Callable[..., None], *arguments: Any) -> None:
        self.most_queued = max(self.most_queued, self._free_at - now)
        self._free_at = max(self._free_at, now) + size / self.link.rate
        late = self._chance.random() * self.link.jitter
        self._last_at = max(self._last_at, self._free_at + self.link.way / 2 + late)
        self._at(self._last_at, action, *arguments)

    def _browser_shows(self, now: float, keys: list[float]) -> None:
        self.shown.append(now)
        self.echoes += [now - typed_at for typed_at in keys]
        self._browser_asks(now)

    def _browser_asks(self, now: float) -> None:
        if now < self._asks_until:
            self._at(now + self.link.way / 2, self._requested)

    def _browser_pinged(self, now: float, payload: bytes) -> None:
        if self.link.answers_pings:
            self._at(now + self.link.way / 2, self._ponged, payload)

    def _type(self, now: float) -> None:
        self._at(now + self.link.way / 2, self._key, now)
        self._at(now + 0.731, self._type)
