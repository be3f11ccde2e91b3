"""The benchmark's rows in front of our own service alone, each for a moment: they measure, and bytes are compared."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.peers.porthole import Porthole
from bench.rows import by_name
from bench.rows.base import Effort
from bench.rows.crowds import Growth
from bench.stage import Stage

EFFORT = Effort(quick=True, rounds=1)
PEER = Porthole()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """With the service that all rows share."""
    folder: Path = tmp_path_factory.mktemp("bench")
    stage = Stage(folder, seconds=1)
    yield stage
    stage.close()


@pytest.mark.parametrize("name", ["bulk", "both-tls", "echo", "upload", "blocked"])
def test_a_row_measures_our_service(stage: Stage, name: str) -> None:
    row = by_name(name)
    row.verify(stage, PEER)
    sample = row.measure(stage, PEER, EFFORT)

    assert set(sample) >= {figure.key for figure in row.figures}
    assert all(value >= 0 for value in sample.values())
    assert sample.get("cpu_per_gb", sample.get("cpu_us", 1)) > 0
    assert sample.get("keys", 100) == 100


def test_a_crowd_is_opened_and_answers(stage: Stage) -> None:
    sample = Growth(10).measure(stage, PEER, EFFORT)

    assert sample["sessions"] == 10
    assert sample["answering"] == 100
    assert sample["opened"] > 0
