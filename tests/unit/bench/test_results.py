"""Medians, spread, and whether a goal was reached."""

from __future__ import annotations

import pytest

from bench.results import Outcome, Results, Spread, failures, ordered, verdict
from bench.rows.base import Goal
from tests.unit.bench.doubles import FakeRow

ROW = FakeRow()


def outcome(*costs: float) -> Outcome:
    return Outcome([{"cost": cost} for cost in costs])


def results(**outcomes: Outcome) -> Results:
    return {"row": outcomes, "other": {"porthole": outcome(10.0)}}


def test_a_figure_is_its_median_with_the_lowest_and_the_highest() -> None:
    assert outcome(5, 1, 2).spread("cost") == Spread(2, 1, 5, 3)


def test_what_was_not_measured_has_no_figure() -> None:
    assert outcome(1).spread("rate") is None
    assert Outcome().spread("cost") is None


def test_a_relay_that_failed_in_a_later_round_has_none_either() -> None:
    assert Outcome([{"cost": 1.0}], failed="broke").spread("cost") is None


@pytest.mark.parametrize(
    ("ours", "theirs", "reached"), [(44.0, 100.0, True), (45.0, 100.0, True), (46.0, 100.0, False)]
)
def test_a_goal_is_a_ratio_of_medians(ours: float, theirs: float, reached: bool) -> None:
    one = verdict(ROW, Goal("cost", 0.45, "go"), results(porthole=outcome(1, ours, 99), go=outcome(theirs)))

    assert one.reached is reached
    assert one.value == pytest.approx(ours / theirs)
    assert one.text == "µs ≤ 0.45 times that of go"


def test_a_goal_without_a_peer_is_a_figure() -> None:
    assert verdict(ROW, Goal("cost", 3), results(porthole=outcome(2.9))).reached is True
    assert verdict(ROW, Goal("cost", 3, at_least=True), results(porthole=outcome(2.9))).reached is False


def test_a_goal_may_compare_with_another_row() -> None:
    one = verdict(ROW, Goal("cost", 1.3, "porthole", row="other"), results(porthole=outcome(13.0)))

    assert (one.value, one.reached) == (1.3, True)
    assert one.text.endswith("of porthole in row other")


@pytest.mark.parametrize(
    "given",
    [
        {"porthole": outcome(1)},
        {"go": outcome(1)},
        {"porthole": outcome(1), "go": Outcome(failed="broke")},
        {"porthole": Outcome(failed="broke"), "go": outcome(1)},
    ],
)
def test_with_one_of_the_two_missing_nobody_can_tell(given: dict[str, Outcome]) -> None:
    one = verdict(ROW, Goal("cost", 1, "go"), results(**given))

    assert (one.value, one.reached) == (None, None)


def test_failures_are_told_with_row_and_reason() -> None:
    assert failures(results(porthole=outcome(1), go=Outcome(failed="broke"))) == [("row", "go", "broke")]


def test_each_round_begins_with_another_relay() -> None:
    assert [ordered(["a", "b", "c"], number) for number in range(4)] == [
        ["a", "b", "c"], ["b", "c", "a"], ["c", "a", "b"], ["a", "b", "c"],
    ]  # fmt: skip
    assert ordered([], 3) == []
