"""Updates asked for ahead: more pictures over a long way, no queue on a narrow one, none for those who want none."""

from __future__ import annotations

import statistics

import pytest

from porthole.proxy.ahead import FRESH, MAX_HOLD, MAX_MARKS, MAX_SPARE, Ahead
from tests.unit.proxy.links import REQUEST, Link, World

MBIT = 125_000
RAW = 1_024_000
"""Bytes of a 640 by 400 picture."""

FULL = Link(0.1, 1_000 * MBIT)
SECONDS = 30.0
LONG = 240.0
"""Seconds in which hundreds of keys are typed."""

NARROW = [
    (mbit, size) for mbit in (0.5, 2, 8) for size in (1_500, 5_000, 20_000, 60_000, 200_000) if size < mbit * MBIT
]
"""Mbit/s and bytes of a picture: more than one a second."""


def frames(link: Link, size: int, *, ahead: bool) -> float:
    return World(link, size, ahead=ahead).run(SECONDS).frames(SECONDS / 2, SECONDS)


class TestALongWay:
    @pytest.mark.parametrize("way", [0.05, 0.1, 0.2, 0.3])
    def test_each_picture_that_the_guest_draws_is_seen(self, way: float) -> None:
        link = Link(way, 1_000 * MBIT)
        assert frames(link, RAW, ahead=True) > 29
        assert frames(link, RAW, ahead=False) < 16

    @pytest.mark.parametrize("way", [0.05, 0.1, 0.2, 0.3])
    def test_nearly_each_where_the_way_is_now_longer_and_now_shorter(self, way: float) -> None:
        assert frames(Link(way, 1_000 * MBIT, jitter=way / 5), RAW, ahead=True) > 26

    def test_at_100_ms_four_times_as_many(self) -> None:
        assert frames(FULL, RAW, ahead=True) >= 3.9 * frames(FULL, RAW, ahead=False)

    def test_within_a_second(self) -> None:
        assert World(FULL, RAW, ahead=True).run(3).frames(1, 3) > 29

    @pytest.mark.parametrize("size", [1_000, 5_000, 30_000, 200_000])
    @pytest.mark.parametrize("way", [0.03, 0.05, 0.1, 0.2, 0.3])
    def test_of_any_size_where_the_guest_and_not_the_connection_is_what_makes_them_few(
        self, way: float, size: int
    ) -> None:
        for jitter in (0.0, 0.004, 0.01):
            assert frames(Link(way, 1_000 * MBIT, jitter), size, ahead=True) > 29

    def test_a_browser_that_is_near_sees_as_many_and_is_hardly_pinged(self) -> None:
        world = World(Link(0.0005, 1_000 * MBIT), RAW, ahead=True).run(SECONDS)
        assert world.frames(SECONDS / 2, SECONDS) == frames(world.link, RAW, ahead=False)
        assert world.ahead is not None
        assert world.ahead.repeats <= 2


class TestANarrowOne:
    @pytest.mark.parametrize("jitter", [0.0, 0.1, 0.2])
    @pytest.mark.parametrize(("mbit", "size"), NARROW)
    @pytest.mark.parametrize("way", [0.02, 0.05, 0.1, 0.3])
    def test_a_keys_echo_comes_a_tenth_later_at_most_and_no_fewer_pictures(
        self, way: float, mbit: float, size: int, jitter: float
    ) -> None:
        link = Link(way, mbit * MBIT, jitter * way)
        before, after = (World(link, size, ahead=ahead).run(LONG) for ahead in (False, True))
        assert after.echo <= 1.1 * before.echo
        assert after.frames(LONG / 2, LONG) >= 0.95 * before.frames(LONG / 2, LONG)

    @pytest.mark.parametrize(("mbit", "size"), NARROW)
    def test_no_queue_builds_up(self, mbit: float, size: int) -> None:
        world = World(Link(0.1, mbit * MBIT), size, ahead=True).run(LONG)
        a_picture = size / world.link.rate
        assert world.most_queued < 3 * a_picture + MAX_SPARE


class TestAConnectionThatChanges:
    @pytest.mark.parametrize("size", [30_000, RAW])
    def test_a_way_that_becomes_longer_is_found_out(self, size: int) -> None:
        world = World(Link(0.05, 1_000 * MBIT), size, ahead=True).run(LONG, then=Link(0.2, 1_000 * MBIT))
        assert world.frames(0.8 * LONG, LONG) > 29

    @pytest.mark.parametrize("size", [5_000, 20_000, 60_000])
    def test_one_that_becomes_narrow_has_no_queue_in_the_end(self, size: int) -> None:
        narrow = Link(0.1, 2 * MBIT)
        world = World(Link(0.1, 1_000 * MBIT), size, ahead=True).run(LONG, then=narrow)
        alone = World(narrow, size, ahead=False).run(LONG)
        assert statistics.mean(world.echoes[-50:]) <= 1.1 * alone.echo


class TestRestraint:
    def test_a_browser_that_answers_no_pings_gets_its_pictures_all_the_same(self) -> None:
        link = Link(0.1, 1_000 * MBIT, answers_pings=False)
        world = World(link, RAW, ahead=True).run(SECONDS)
        assert world.frames(SECONDS / 2, SECONDS) >= frames(link, RAW, ahead=False)

    def test_one_that_asks_no_more_is_soon_left_alone(self) -> None:
        world = World(FULL, RAW, ahead=True).run(20, asks_until=5)
        assert world.frames(4, 5) > 29
        assert world.frames(5 + 2 * FRESH, 20) == 0

    def test_a_request_for_everything_is_not_repeated(self) -> None:
        ahead = Ahead()
        assert ahead.asked(b"\x03\x00" + bytes(8), 0, 0, may_wait=True)
        assert ahead.begins(0.1, 0)[1] == b""

    def test_nor_is_one_that_is_not_known_whole(self) -> None:
        ahead = Ahead()
        ahead.asked(REQUEST, 0, 0, may_wait=False)
        ahead.asked(b"", 0.05, 0, may_wait=False)
        assert ahead.begins(0.1, 0)[1] == b""

    def test_what_is_kept_back_is_sent_in_the_end(self) -> None:
        ahead = Ahead()
        now, written = 0.0, 0
        ahead.asked(REQUEST, now, written, may_wait=True)
        pings = []
        for _ in range(2):
            pings.append(ahead.begins(now, written)[0])
            now, written = now + 0.1, written + 100_000
        for ping in pings:
            ahead.answered(ping, now, written)
            now += 0.4
        assert not ahead.asked(REQUEST, now, written + 10_000_000, may_wait=True)
        assert ahead.wait is not None
        assert ahead.due(now + 0.5, written + 10_000_000) == b""
        assert ahead.due(now + MAX_HOLD, written + 10_000_000) == REQUEST

    @pytest.mark.parametrize("payload", [b"", b"\0\0\0\0\x63", b"hello", b"\0\0\0\0\1\0", bytes(125)])
    def test_an_answer_to_no_ping_is_none(self, payload: bytes) -> None:
        ahead = Ahead()
        ahead.asked(REQUEST, 0, 0, may_wait=True)
        ping, _ = ahead.begins(0, 0)
        assert ahead.answered(payload, 0.1, 100) == b""
        assert ahead.answered(ping, 0.1, 100) == b""
        assert ahead.answered(ping, 0.1, 100) == b"", "nor is a second one"

    def test_of_pings_that_nobody_answers_only_so_many_are_remembered(self) -> None:
        ahead = Ahead()
        ahead.asked(REQUEST, 0, 0, may_wait=True)
        sent = [ahead.begins(second * 1.0, second * 100)[0] for second in range(1000)]
        assert sum(map(bool, sent)) == MAX_MARKS
