"""Limits that hold for all workers together."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from porthole.api.limits import MAX_REMEMBERED, LockedOut, Lockout, RequestLimit, TooManyRequests
from porthole.server.board import Board
from porthole.server.remembered import SharedMemory
from tests.unit.server.test_board import in_child, status_of


@pytest.fixture
def memory() -> SharedMemory:
    return SharedMemory(Board(1), 0)


def test_what_is_put_is_found_until_it_is_dropped(memory: SharedMemory) -> None:
    memory.put("ann", (1, 2.5))
    memory.put(("192.0.2.1", "ann"), (3, 4.5))
    memory.put("ann", (7, 8.5))
    assert memory.get("ann", (0, 0)) == (7, 8.5)
    assert memory.get(("192.0.2.1", "ann"), (0, 0)) == (3, 4.5)
    memory.drop("ann")
    assert memory.get("ann", (0, 0)) == (0, 0)


def test_names_without_end_do_not_fill_it_and_what_lasts_longest_is_kept(memory: SharedMemory) -> None:
    memory.put("locked out for long", (20, 1e9))
    for number in range(3 * MAX_REMEMBERED):
        memory.put(number, (1, float(number)))
    assert memory.get("locked out for long", (0, 0)) == (20, 1e9)
    found = sum(memory.get(number, (0, 0)) != (0, 0) for number in range(3 * MAX_REMEMBERED))
    assert MAX_REMEMBERED * 0.9 < found <= MAX_REMEMBERED


def test_processes_that_count_at_once_miss_nothing(memory: SharedMemory) -> None:
    read, write = os.pipe()

    def take() -> bool:
        limit = RequestLimit(100, lambda: 1000.0, memory=memory)
        os.read(read, 1)
        taken = 0
        for _ in range(60):
            try:
                limit.take("ann")
            except TooManyRequests:
                continue
            taken += 1
        os._exit(taken)

    work: list[Callable[[], bool]] = [take] * 4
    children = [in_child(one) for one in work]
    os.write(write, b"xxxx")
    assert sum(status_of(child) for child in children) == 100
    os.close(read)
    os.close(write)


def test_wrong_passwords_at_one_worker_count_at_another(memory: SharedMemory) -> None:
    one, other = (Lockout(2, 60, lambda: 1000.0, memory=memory) for _ in range(2))
    one.failed("192.0.2.1", "ann")
    other.failed("192.0.2.1", "ann")
    with pytest.raises(LockedOut):
        one.check("192.0.2.1", "ann")
    other.succeeded("192.0.2.1", "ann")
    one.check("192.0.2.1", "ann")
