"""Asking for the next update before the browser has the last one (``[proxy] pipeline_updates``), sans I/O.

A VNC client asks for an update, gets it, and asks for the next (RFC 6143 7.5.3), so one that is 100 ms away sees fewer
than ten a second. QEMU sends one update for one request and takes a further request while it sends
(``framebuffer_update_request`` and ``vnc_update_client`` in its ui/vnc.c), so whoever is beside it can repeat the
browser's last request when an update begins to flow. An update begins where bytes come after none had for a while: what
they are is not looked at.

How much may be under way is found out with pings (RFC 6455 5.5.2), which go before the update that begins. A browser
answers them in their order, behind all that it has received before, however many proxies and buffers are in between. So
each answer says how long the way was, and what had arrived. A request is sent only while what is under way is less than
what this connection carries in the time of its shortest way and a moment more, so no queue builds up on it.
"""

from __future__ import annotations

import math
import struct
from collections import deque
from typing import NamedTuple

GAP = 0.010
"""Seconds between two looks. QEMU begins an update every 30 ms at most (GUI_REFRESH_INTERVAL_DEFAULT, console.h)."""

NEAR = 0.004
"""Seconds: a browser that is not further away asks early enough by itself."""

LOOK_AGAIN = 1.0
"""Seconds after which it is found out whether one still is that near."""

FRESH = 2.0
"""Seconds for which a browser's last request is repeated. One that does not ask any more wants no more."""

MIN_WINDOW = 4096
"""Bytes that may be under way in any case."""

QUEUE = 0.125
"""Of the shortest way: the time for which more may be under way than fits into the connection, so that it is found out
whether more does."""

SPARE_STEP, MAX_SPARE = 0.01, 0.07
"""Seconds for which still more may be under way: longer by the step with each answer that says that nothing has waited.
Then what was measured is what the guest draws, and not what the connection carries. Asked only so often, it would draw
less: QEMU looks at its screen again after two more of its periods, when it finds no request."""

SLACK = 0.01
"""Seconds by which an answer may come later than after the shortest way and :data:`QUEUE`, and nothing has waited."""

SAMPLES = 8
"""Of the rate, of which the second highest counts: the highest may be an accident."""

SHORT_SPAN, LONG_SPAN = 0.02, 0.05
"""Seconds over which a sample is taken: the long one, or half of the shortest way, for answers may come in bunches. A
sample over a shorter time stands in until there is one of those."""

MEMORY = 30.0
"""Seconds for which the shortest way counts."""

PROBE = 5.0
"""Seconds without a measure of the rate, after which one request is repeated although it may be too many: only what is
under way together can be measured."""

FIRST_PAUSE, LAST_PAUSE = 0.2, 1.0
"""Seconds after which that is tried again, when it brought no measure: each time twice as many, up to the second."""

MAX_HOLD = 2.0
"""Seconds for which a browser's own request is kept back at most, while what is under way is more than fits."""

MAX_MARKS = 64
"""Pings whose answers are awaited. Beyond them none is sent."""

INCREMENTAL = b"\1"
"""RFC 6143 7.5.3: only what has changed."""

_NUMBER = struct.Struct("!xI")
"""A ping's payload: a zero byte, which tells it from an empty one, and its number."""


class _Mark(NamedTuple):
    """A ping that was sent.

    :ivar number: in its payload
    :ivar sent_at: when
    :ivar position: how much was written before
    :ivar follows: whether another was on its way still
    :ivar is_alone: whether nothing at all was
    """

    number: int
    sent_at: float
    position: int
    follows: bool
    is_alone: bool


class Ahead:
    """One session's decisions.

    Times are seconds of a clock that does not go back, positions are bytes written to the browser.

    :ivar repeats: requests sent to the VNC server in the browser's name so far
    :ivar wait: seconds after which :meth:`due` is to be called; None for not at all
    :ivar rest: seconds for which :meth:`begins` need not be called: the browser is near
    """

    def __init__(self) -> None:
        self.repeats = 0
        self.wait: float | None = None
        self.rest = 0.0
        self._request = b""
        self._asked_at = 0.0
        self._marks: deque[_Mark] = deque()
        self._looked_at = -LOOK_AGAIN  # when the last of them was sent
        self._number = 0
        self._begin = 0  # position of the update that flows now
        self._size = 0  # of the one before it
        # Updates that have begun, with when and where, after which the browser has not asked yet.
        self._flowing: deque[tuple[float, int]] = deque(maxlen=MAX_MARKS)
        self._arrived = _Mark(0, 0.0, 0, follows=False, is_alone=False)  # what has arrived for sure
        self._arrived_at = 0.0
        self._since = 0  # where the next sample of the rate begins
        self._since_at = 0.0
        self._shortest = 0.0  # seconds there and back; 0 while nobody knows
        self._shortest_at = 0.0
        self._recent = math.inf  # the shortest since then
        self._drains_until = 0.0  # so long everything is to arrive first, so that the shortest way is seen again
        self._samples: deque[float] = deque(maxlen=SAMPLES)
        self._rate = 0.0  # bytes a second; 0 while nobody knows
        self._spare = 0.0  # seconds for which more may be under way, while nothing shows that anything waits
        self._sampled_at = -PROBE  # when a rate was found
        self._probes_at = 0.0  # when one is looked for again
        self._pause = FIRST_PAUSE
        self._is_owed = False  # whether the request is to be repeated as soon as there is room
        self._held_at: float | None = None  # since when one that the browser has sent is kept back

    def asked(self, request: bytes, now: float, written: int, *, may_wait: bool) -> bool:
        """The browser has sent a FramebufferUpdateRequest.

        One that comes while more is under way than fits is kept back until there is room: the VNC server's answer would
        only wait behind it, and show what was on the screen before.

        :param request: all of it; b"" when it is not known whole
        :param may_wait: whether it can be kept back
        :returns: whether it is to be passed on now
        """
        self._learn_from_one(now, written)
        known = self._request
        self._request = request if request[1:2] == INCREMENTAL else b""
        self._asked_at = now
        self._is_owed, self._held_at, self.wait = False, None, None
        if not (may_wait and self._request and self._request == known and self._rate) or self._is_near:
            return True
        if self._has_room(now, written):
            return True
        self._is_owed, self._held_at = True, now
        self._come_back(now, written)
        return False

    def begins(self, now: float, written: int) -> tuple[bytes, bytes]:
        """There are bytes of the VNC server.

        :param written: bytes that the browser was sent so far
        :returns: the payload of a ping to be sent before them, and the request for the VNC server; each may be b""
        """
        since = now - self._looked_at
        self.rest = LOOK_AGAIN - since if self._is_near and since < LOOK_AGAIN else 0.0
        if self.rest or len(self._marks) >= MAX_MARKS:
            return b"", b""
        if since < GAP:
            if not self._is_owed:
                self._is_owed, self.wait = True, GAP  # it may be the next update already
            return b"", b""
        self._looked_at = now
        self._size, self._begin = written - self._begin, written
        self._number = (self._number + 1) & 0xFFFFFFFF
        follows = bool(self._marks)
        if since > FRESH:
            self._flowing.clear()  # one that paused was taken for two
        self._marks.append(_Mark(self._number, now, written, follows, not (follows or self._flowing)))
        self._flowing.append((now, written))
        return _NUMBER.pack(self._number), self._repeat(now, written, self._size, begins=True)

    def answered(self, payload: bytes, now: float, written: int) -> bytes:
        """The browser has answered a ping.

        :returns: the request for the VNC server, or b""
        """
        if len(payload) != _NUMBER.size:
            return b""
        (number,) = _NUMBER.unpack(payload)
        if not any(mark.number == number for mark in self._marks):
            return b""
        while (mark := self._marks.popleft()).number != number:
            pass
        self._learn(mark, now)
        return self.due(now, written)

    def due(self, now: float, written: int) -> bytes:
        """The time of :attr:`wait` has passed.

        :returns: the request for the VNC server, or b""
        """
        return self._repeat(now, written) if self._is_owed else b""

    @property
    def _is_near(self) -> bool:
        return 0 < self._shortest <= NEAR

    # -- what to do

    def _repeat(self, now: float, written: int, coming: int = 0, *, begins: bool = False) -> bytes:
        """Send the request when there is room, or else later.

        :param coming: bytes that are about to be written before the answer
        :param begins: whether an update does; only then another can be under way together with it
        """
        self.wait = None
        if self._held_at is None and (not self._request or self._is_near or now - self._asked_at > FRESH):
            self._is_owed = False
            return b""
        too_long = self._held_at is not None and now - self._held_at >= MAX_HOLD
        if too_long or self._has_room(now, written, coming) or (begins and self._probes(now)):
            self.repeats += 1
            self._is_owed, self._held_at = False, None
            return self._request
        self._is_owed = True
        self._come_back(now, written, coming)
        return b""

    def _probes(self, now: float) -> bool:
        if self._held_at is not None or self._drains_until or now < max(self._probes_at, self._sampled_at + PROBE):
            return False
        self._probes_at = now + self._pause
        self._pause = min(2 * self._pause, LAST_PAUSE)
        return True

    def _has_room(self, now: float, written: int, coming: int = 0) -> bool:
        if self._drains_until > now:
            return not self._flowing
        if self._drains_until:
            self._found(self._recent, now)
        return self._under_way(now, written) + coming < self._window

    def _come_back(self, now: float, written: int, coming: int = 0) -> None:
        """Say when there is likely to be room; where no rate is known, the next answer will show."""
        if self._drains_until:
            self.wait = max(0.001, self._drains_until - now)
            return
        excess = self._under_way(now, written) + coming - self._window
        self.wait = min(MAX_HOLD, max(0.001, excess / self._rate)) if self._rate else None

    def _under_way(self, now: float, written: int) -> float:
        """Bytes that are likely to be: the connection went on carrying them since its last answer."""
        return max(0.0, written - self._arrived.position - self._rate * (now - self._arrived_at))

    @property
    def _window(self) -> float:
        return max(MIN_WINDOW, self._rate * (self._shortest * (1 + QUEUE) + self._spare))

    # -- what is learnt

    def _learn(self, mark: _Mark, now: float) -> None:
        """The shortest way there and back; and the rate, from two pings that were on their way at once."""
        took = now - mark.sent_at
        self._learn_the_shortest(took, mark, now)
        self._learn_what_is_spare(took)
        follows = mark.follows and mark.number == self._arrived.number + 1
        self._arrived, self._arrived_at = mark, now
        if not follows:
            self._since, self._since_at = mark.position, now
            return
        span, size = now - self._since_at, mark.position - self._since
        if size < MIN_WINDOW:
            return
        if span >= max(LONG_SPAN, self._shortest / 2):
            self._since, self._since_at = mark.position, now
            self._sample(size / span, now)
        elif span >= SHORT_SPAN and now - self._sampled_at > PROBE:
            self._rate = size / span

    def _learn_the_shortest(self, took: float, mark: _Mark, now: float) -> None:
        """One that nobody has seen for long is either no more, or hidden by what waits: then that has to go first."""
        self._recent = min(self._recent, took)
        if not self._shortest or took <= self._shortest or (self._drains_until and mark.is_alone):
            self._found(took, now)
        elif now - self._shortest_at > MEMORY and not self._drains_until:
            if self._recent <= self._unhindered:
                self._found(self._shortest, now)
            else:
                self._drains_until = now + min(MAX_HOLD, 2 * took)

    def _found(self, shortest: float, now: float) -> None:
        self._shortest, self._shortest_at = shortest, now
        self._recent, self._drains_until = math.inf, 0.0

    @property
    def _unhindered(self) -> float:
        """Seconds of a way on which nothing waits."""
        return self._shortest * (1 + QUEUE) + SLACK

    def _learn_what_is_spare(self, took: float) -> None:
        """Nothing is, where one update alone fills the connection for longer."""
        is_clear = took <= self._unhindered
        is_small = self._size <= self._rate * (self._shortest + MAX_SPARE)
        self._spare = min(self._spare + SPARE_STEP, MAX_SPARE) if is_clear and is_small else 0.0

    def _learn_from_one(self, now: float, written: int) -> None:
        """An update has arrived, for the browser asks again: on a narrow connection that tells the rate too."""
        if not self._flowing:
            return
        began_at, begin = self._flowing.popleft()
        end = self._flowing[0][1] if self._flowing else written
        took, size = now - max(began_at + self._shortest, self._asked_at), end - begin
        if self._shortest and took >= max(LONG_SPAN, self._shortest / 2) and size >= MIN_WINDOW:
            self._sample(size / took, now)

    def _sample(self, rate: float, now: float) -> None:
        if now - self._sampled_at > PROBE:
            self._samples.clear()
        self._samples.append(rate)
        self._rate = sorted(self._samples)[-2:][0]
        self._sampled_at, self._pause = now, FIRST_PAUSE
