"""The same targets with inputs of hypothesis, which makes a wrong one small before it shows it."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.fuzz.__main__ import NAMES
from tests.fuzz.mutation import mutated
from tests.fuzz.running import check, targets

bounded = settings(
    max_examples=400,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example],
)


@pytest.mark.parametrize("name", NAMES)
@bounded
@given(data=st.binary(max_size=600))
@example(data=b"\0" + b"\xff" * 600)
def test_any_bytes_are_parsed_or_refused_with_a_documented_error(name: str, data: bytes) -> None:
    check(name, targets()[name], data)


@pytest.mark.parametrize("name", NAMES)
@bounded
@given(seed=st.integers(0, 1 << 32), more=st.binary(max_size=40), at=st.integers(0, 400))
def test_so_is_a_dialogue_with_anything_inside(name: str, seed: int, more: bytes, at: int) -> None:
    target = targets()[name]
    dialogue = mutated(Random(seed), target.dialogue)  # noqa: S311 - inputs are to be the same again
    check(name, target, dialogue[:at] + more + dialogue[at:])
