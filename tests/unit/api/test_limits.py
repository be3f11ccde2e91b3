"""How often may one ask: counted by address and name, for a bounded number of them."""

from __future__ import annotations

from collections.abc import Hashable

import pytest

from porthole.api.limits import MAX_REMEMBERED, LockedOut, Lockout, Pair, Recent, RequestLimit, TooManyRequests

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
