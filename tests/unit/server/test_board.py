"""What master and workers share: slots, locks, places for sessions, and the rule that spreads clients."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import pytest

from porthole.server import board as boards
from porthole.server.board import Board, Slot
from porthole.server.evenness import Evenness
from porthole.server.places import SharedPlaces
from porthole.server.status import status


def in_child(work: Callable[[], bool]) -> int:
    """Start something in another process; its exit status is 0 when it is true."""
    pid = os.fork()
    if pid:
        return pid
    result = 2
    try:
        result = 0 if work() else 1
    finally:
        os._exit(result)


def status_of(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class TestSlots:
    def test_what_a_child_writes_is_seen_and_slots_that_are_made_later_too(self) -> None:
        board = Board(4)
        first = board.take_slot(1)
        later = board.take_slot(1)

        def write() -> bool:
            first.sessions = 7
            return sum(slot.sessions for slot in board.slots()) == 7

        assert status_of(in_child(write)) == 0
        assert first.sessions == 7
        assert later.sessions == 0

    def test_a_child_sees_a_slot_that_was_taken_after_its_fork(self) -> None:
        board = Board(4)
        board.take_slot(1)
        read, write = os.pipe()

        def look() -> bool:
            os.read(read, 1)
            return len(board.slots()) == 2

        child = in_child(look)
        board.take_slot(1)
        os.write(write, b"x")
        assert status_of(child) == 0
        os.close(read)
        os.close(write)

    def test_a_slot_is_used_again_and_begins_at_zero(self) -> None:
        board = Board(2)
        slot = board.take_slot(1)
        slot.sessions, slot.places = 3, 3
        slot.clear()
        assert board.slots() == []
        again = board.take_slot(2)
        assert (again.set_number, again.sessions, again.places) == (2, 0, 0)
        assert board.free() == 1
        board.take_slot(2)
        with pytest.raises(IndexError):
            board.take_slot(2)


class TestLock:
    def test_one_process_at_a_time_and_not_for_ever(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(boards, "LOCK_TIME", 0.1)
        board = Board(1)
        with board.locked(0) as has:
            assert has

            def other() -> bool:
                with board.locked(0) as has_too, board.locked(1) as has_another:
                    return not has_too and has_another

            assert status_of(in_child(other)) == 0
        assert status_of(in_child(lambda: board.locked(0).__enter__())) == 0

    def test_it_is_free_when_its_holder_is_killed(self) -> None:
        board = Board(1)
        read, write = os.pipe()

        def hold() -> bool:
            with board.locked(0):
                os.write(write, b"x")
                time.sleep(60)
            return True

        child = in_child(hold)
        os.read(read, 1)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with board.locked(0) as has:
            assert has
        os.close(read)
        os.close(write)


class TestPlaces:
    def test_there_are_so_many_for_all_workers_together(self) -> None:
        board = Board(2)
        one, other = (SharedPlaces(board, board.take_slot(1), 3) for _ in range(2))
        assert [one.take(), other.take(), one.take(), other.take(), one.take()] == [True, True, True, False, False]
        one.give()
        assert other.take()
        assert not one.take()

    def test_many_processes_at_once_get_exactly_so_many(self) -> None:
        board = Board(8)
        slots = [board.take_slot(1) for _ in range(8)]
        read, write = os.pipe()

        def work(slot: Slot) -> Callable[[], bool]:
            def take() -> bool:
                os.read(read, 1)  # all begin together
                places = SharedPlaces(board, slot, 1001)
                for _ in range(400):
                    places.take()
                return True

            return take

        children = [in_child(work(slot)) for slot in slots]
        os.write(write, b"x" * 8)
        assert [status_of(child) for child in children] == [0] * 8
        assert sum(slot.places for slot in slots) == 1001
        os.close(read)
        os.close(write)

    def test_a_worker_that_is_gone_has_none(self) -> None:
        board = Board(2)
        slot = board.take_slot(1)
        assert SharedPlaces(board, slot, 1).take()
        slot.clear()
        assert SharedPlaces(board, board.take_slot(1), 1).take()


class TestEvenness:
    def workers(self, *loads: int, sets: tuple[int, ...] = (1, 1, 1, 1)) -> list[tuple[Evenness, Slot]]:
        board = Board(len(loads))
        made = []
        for load, number in zip(loads, sets, strict=False):
            slot = board.take_slot(number)
            slot.load, slot.accepts, slot.seen = load, 1, int(time.monotonic())
            made.append((Evenness(board, slot), slot))
        return made

    @pytest.mark.parametrize(
        ("loads", "hold_back"),
        [
            ((0, 0), [False, False]),
            ((1, 0), [False, False]),
            ((2, 0), [True, False]),
            ((102, 100), [False, False]),
            ((107, 100), [True, False]),
            ((5, 9, 5, 8), [False, True, False, True]),
            ((9,), [False]),
        ],
    )
    def test_who_has_clearly_more_holds_back(self, loads: tuple[int, ...], hold_back: list[bool]) -> None:
        assert [rule.others_first() for rule, _ in self.workers(*loads)] == hold_back

    def test_somebody_always_takes_the_next_client(self) -> None:
        for loads in ((0, 0, 0), (7, 3, 900), (50, 53, 51), (1, 2, 4)):
            assert not all(rule.others_first() for rule, _ in self.workers(*loads))

    def test_one_that_is_dead_hangs_drains_or_is_of_another_set_is_not_waited_for(self) -> None:
        (rule, _), (_, other) = self.workers(9, 0)
        assert rule.others_first()
        other.seen = int(time.monotonic() - 10)
        assert not rule.others_first()
        other.seen, other.accepts = int(time.monotonic()), 0
        assert not rule.others_first()
        other.accepts = 1
        assert rule.others_first()
        other.clear()
        assert not rule.others_first()
        (rule, _), _ = self.workers(9, 0, sets=(2, 1))
        assert not rule.others_first()

    def test_connections_are_counted(self) -> None:
        ((rule, slot),) = self.workers(0)
        rule.opened()
        rule.opened()
        rule.closed()
        assert slot.load == 1


class TestStatus:
    def slots(self, *values: tuple[int, int, int]) -> list[Slot]:
        board = Board(len(values) or 1)
        made = []
        for sessions, reachable, computes in values:
            slot = board.take_slot(1)
            slot.sessions, slot.reachable, slot.computes = sessions, reachable, computes
            made.append(slot)
        return made

    def test_sessions_of_all_workers_and_the_computes_of_the_worst(self) -> None:
        serving = self.slots((3, 2, 2), (4, 1, 2))
        assert status(serving, []) == "Ready: 7 sessions, 1 of 2 compute hosts reachable"

    def test_those_from_before_a_reload_count_and_are_named(self) -> None:
        text = status(self.slots((0, 1, 1)), self.slots((1, 0, 1)))
        assert text == "Ready: 1 session (1 from before a reload), 1 of 1 compute hosts reachable"

    def test_without_a_compute_that_can_be_reached_it_is_not_ready(self) -> None:
        assert status(self.slots((0, 0, 1)), []).startswith("Not ready: 0 sessions")
        assert status([], []).startswith("Ready: 0 sessions, 0 of 0")

    def test_a_drain(self) -> None:
        text = status(self.slots((2, 1, 1)), self.slots((1, 1, 1)), "2026-11-23 09:00:00Z")
        assert text == "Draining: 3 sessions until 2026-11-23 09:00:00Z at the latest"
