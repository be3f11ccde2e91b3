"""How many refusals get a line: enough for those who mistype, and a bounded number for those who attack."""

from __future__ import annotations

from porthole.audit import allowance
from porthole.audit.allowance import IN_ALL, PER_ADDRESS, Allowance


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def taken(allowed: Allowance, address: str, count: int) -> int:
    return sum(allowed.take(address) for _ in range(count))


def test_an_address_has_a_number_at_once_and_then_one_now_and_then() -> None:
    clock = Clock()
    allowed = Allowance(clock)
    burst, each = PER_ADDRESS
    assert taken(allowed, "a", burst + 50) == burst
    clock.now += each
    assert taken(allowed, "a", 5) == 1
    clock.now += 3 * each
    assert taken(allowed, "a", 5) == 3
    clock.now += 10 * burst * each
    assert taken(allowed, "a", burst + 50) == burst, "no more is saved up"


def test_one_address_takes_nothing_from_another() -> None:
    allowed = Allowance(Clock())
    assert taken(allowed, "a", 10 * PER_ADDRESS[0]) == PER_ADDRESS[0]
    assert allowed.take("b")


def test_many_addresses_together_have_a_bound() -> None:
    clock = Clock()
    allowed = Allowance(clock)
    burst, each = IN_ALL
    assert sum(allowed.take(f"address {n}") for n in range(burst + 500)) == burst
    clock.now += each
    assert sum(allowed.take(f"later {n}") for n in range(10)) == 1


def test_what_is_remembered_has_a_bound() -> None:
    clock = Clock()
    allowed = Allowance(clock)
    for number in range(allowance.MAX_ADDRESSES + 10):
        clock.now += IN_ALL[1]
        assert allowed.take(f"address {number}")
    assert len(allowed._by_address) == allowance.MAX_ADDRESSES
