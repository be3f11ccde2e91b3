"""What came out: samples of each relay and row, their medians and spread, and what was to be reached."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bench.peers import OURS
from bench.rows.base import Goal, Row, Sample


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over all rounds."""

    median: float
    low: float
    high: float
    rounds: int


@dataclass(slots=True)
class Outcome:
    """One relay in one row.

    :ivar failed: why there is nothing more, "" when nothing failed; then the samples are not shown
    """

    samples: list[Sample] = field(default_factory=list)
    failed: str = ""

    def spread(self, key: str) -> Spread | None:
        """A figure; None when the relay failed or was not measured."""
        values = [sample[key] for sample in self.samples if key in sample]
        if self.failed or not values:
            return None
        return Spread(statistics.median(values), min(values), max(values), len(values))


Results = Mapping[str, Mapping[str, Outcome]]
"""Row's name → relay's name → outcome."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a goal was reached.

    :ivar text: what was to be reached, in words
    :ivar value: the ratio to what it is compared with, or the figure itself; None when one of them is missing
    :ivar reached: None when it cannot be told
    """

    text: str
    value: float | None
    reached: bool | None


def verdict(row: Row, goal: Goal, results: Results) -> Verdict:
    """Judge one goal by the medians."""
    text = _in_words(row, goal)
    ours = _median(results, row.name, OURS, goal.key)
    other = _median(results, goal.row or row.name, goal.peer, goal.key) if goal.peer else 1.0
    if ours is None or not other:
        return Verdict(text, None, None)
    value = ours / other
    return Verdict(text, value, value >= goal.bound if goal.at_least else value <= goal.bound)


def verdicts(row: Row, results: Results) -> list[Verdict]:
    """All of a row's goals."""
    return [verdict(row, goal, results) for goal in row.goals]


def failures(results: Results) -> list[tuple[str, str, str]]:
    """Row, relay and reason of each that failed."""
    return [
        (row, peer, outcome.failed)
        for row, outcomes in results.items()
        for peer, outcome in outcomes.items()
        if outcome.failed
    ]


def _median(results: Results, row: str, peer: str, key: str) -> float | None:
    outcome = results.get(row, {}).get(peer)
    spread = outcome.spread(key) if outcome else None
    return spread.median if spread else None


def _in_words(row: Row, goal: Goal) -> str:
    title = next(figure.title for figure in row.figures if figure.key == goal.key)
    sign = "≥" if goal.at_least else "≤"
    if not goal.peer:
        return f"{title} {sign} {goal.bound:g}"
    row_in_words = f" in row {goal.row}" if goal.row else ""
    return f"{title} {sign} {goal.bound:g} times that of {goal.peer}{row_in_words}"


def ordered(names: Sequence[str], round_: int) -> list[str]:
    """The relays in a round's order: each round begins with another one."""
    if not names:
        return []
    first = round_ % len(names)
    return [*names[first:], *names[:first]]
