"""How often may one ask: counted by address and name, for a bounded number of them."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import ExitStack

import pytest

from porthole.api.limits import (
    MAX_REMEMBERED,
    SIGN_INS_PER_ADDRESS,
    LockedOut,
    Lockout,
    Pair,
    Recent,
    RequestLimit,
    SignInsUnderWay,
    TooManyRequests,
)
from porthole.auth.errors import TooBusy
from porthole.auth.keystone.identity import MAX_SIGN_INS

HERE, THERE = "192.0.2.1", "192.0.2.2"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


class TestRequests:
    def test_as_many_as_a_minute_holds_at_once_and_then_evenly(self, clock: Clock) -> None:
        limit = RequestLimit(60, clock)
        for _ in range(60):
            limit.take(HERE)
        with pytest.raises(TooManyRequests) as caught:
            limit.take(HERE)
        assert caught.value.retry_after == 1
        limit.take(THERE)
        clock.now += 1
        limit.take(HERE)
        with pytest.raises(TooManyRequests):
            limit.take(HERE)

    def test_one_that_is_refused_does_not_count(self, clock: Clock) -> None:
        limit = RequestLimit(1, clock)
        limit.take(HERE)
        for _ in range(100):
            with pytest.raises(TooManyRequests) as caught:
                limit.take(HERE)
            assert caught.value.retry_after == 60
        clock.now += 60
        limit.take(HERE)

    def test_0_is_no_limit(self, clock: Clock) -> None:
        limit = RequestLimit(0, clock)
        for _ in range(10_000):
            limit.take(HERE)

    def test_addresses_without_end_do_not_fill_the_memory(self, clock: Clock) -> None:
        memory: Recent[Hashable, Pair] = Recent()
        limit = RequestLimit(1, clock, memory=memory)
        for number in range(MAX_REMEMBERED + 100):
            limit.take(str(number))
        assert len(memory._entries) == MAX_REMEMBERED


class TestLockout:
    def waits(self, lockout: Lockout, clock: Clock) -> int:
        try:
            lockout.check(HERE, "ann")
        except LockedOut as locked:
            clock.now += locked.retry_after
            return locked.retry_after
        return 0

    def test_each_further_wrong_password_doubles_the_wait_up_to_the_longest(self, clock: Clock) -> None:
        lockout = Lockout(3, 60, clock)
        waits = []
        for _ in range(11):
            waits.append(self.waits(lockout, clock))
            lockout.failed(HERE, "ann")
        assert waits == [0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60]

    def test_neither_another_address_nor_another_user_waits(self, clock: Clock) -> None:
        lockout = Lockout(1, 60, clock)
        lockout.failed(HERE, "ann")
        with pytest.raises(LockedOut):
            lockout.check(HERE, "ann")
        lockout.check(THERE, "ann")
        lockout.check(HERE, "bob")

    def test_the_right_password_makes_all_forgotten_and_so_does_time(self, clock: Clock) -> None:
        lockout = Lockout(2, 60, clock)
        lockout.failed(HERE, "ann")
        lockout.succeeded(HERE, "ann")
        lockout.failed(HERE, "ann")
        lockout.check(HERE, "ann")
        clock.now += 61
        lockout.failed(HERE, "ann")
        lockout.check(HERE, "ann")

    def test_0_is_no_limit(self, clock: Clock) -> None:
        memory: Recent[Hashable, Pair] = Recent()
        lockout = Lockout(0, 60, clock, memory)
        for _ in range(1000):
            lockout.failed(HERE, "ann")
        lockout.check(HERE, "ann")
        assert not memory._entries

    def test_names_without_end_do_not_fill_the_memory(self, clock: Clock) -> None:
        memory: Recent[Hashable, Pair] = Recent()
        lockout = Lockout(1, 60, clock, memory)
        for number in range(MAX_REMEMBERED + 100):
            lockout.failed(HERE, str(number))
        assert len(memory._entries) == MAX_REMEMBERED


class TestSignInsUnderWay:
    @pytest.fixture
    def held(self) -> Iterator[ExitStack]:
        with ExitStack() as held:
            yield held

    def test_one_address_has_a_part_of_the_turns(self, held: ExitStack) -> None:
        assert SIGN_INS_PER_ADDRESS < MAX_SIGN_INS
        under_way = SignInsUnderWay()
        for _ in range(SIGN_INS_PER_ADDRESS):
            held.enter_context(under_way.one(HERE))
        with pytest.raises(TooBusy, match="passwords from this address are being checked"), under_way.one(HERE):
            pass
        with under_way.one(THERE):
            """Another address has its own."""

    def test_one_that_is_done_makes_room_for_another_however_it_ended(self) -> None:
        under_way = SignInsUnderWay(1)
        for _ in range(3):
            with pytest.raises(ValueError, match="it was wrong"), under_way.one(HERE):
                raise ValueError("it was wrong")
        with under_way.one(HERE), pytest.raises(TooBusy), under_way.one(HERE):
            pass
        with under_way.one(HERE):
            """One that was refused takes no room."""

    @pytest.mark.parametrize(
        ("first", "second"), [("2001:db8::1", "2001:db8::ffff:1"), ("192.0.2.1", "::ffff:192.0.2.1")]
    )
    def test_a_network_that_one_client_has_is_one_address(self, held: ExitStack, first: str, second: str) -> None:
        under_way = SignInsUnderWay(1)
        held.enter_context(under_way.one(first))
        with pytest.raises(TooBusy), under_way.one(second):
            pass
        with under_way.one("2001:db8:0:1::1"):
            """The next /64 is somebody else's."""
