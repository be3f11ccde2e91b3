"""Where the workers count, with real processes that do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from porthole.metrics import Metrics, share
from porthole.server import metrics_folder
from porthole.server.board import Board
from porthole.server.metrics_folder import MetricsFolder
from tests.unit.server.test_board import in_child, status_of


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MetricsFolder]:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    folder = MetricsFolder(Board(1))
    yield folder
    folder.remove()


def counting(folder: MetricsFolder, name: str, tokens: int, sessions: int) -> None:
    """A worker that counts so much and ends without a word."""

    def work() -> bool:
        share(folder.path, name)
        metrics = Metrics(folder.path)
        metrics.tokens_issued.inc(tokens)
        metrics.sessions.inc(sessions)
        metrics.http_seconds.labels("/healthz").observe(0.001)
        metrics.set_computes(2, 1)
        return True

    assert status_of(in_child(work)) == 0


def exposition(folder: MetricsFolder) -> dict[str, float]:
    """What a worker would say, in a process of its own, for it changes how this one counts."""
    read, write = os.pipe()

    def work() -> bool:
        share(folder.path, "asked")
        os.write(write, Metrics(folder.path).exposition())
        return True

    assert status_of(in_child(work)) == 0
    os.close(write)
    with os.fdopen(read) as text:
        lines = [line.rpartition(" ") for line in text.read().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


def test_any_worker_has_the_sums_of_all(folder: MetricsFolder) -> None:
    counting(folder, "one", tokens=3, sessions=2)
    counting(folder, "two", tokens=4, sessions=5)
    told = exposition(folder)
    assert told["porthole_console_tokens_total"] == 7
    assert told["porthole_sessions"] == 7
    assert told['porthole_computes{state="up"}'] == 2, "each knows the same"
    assert told['porthole_http_request_seconds_count{route="/healthz"}'] == 2


def test_one_that_is_gone_has_no_sessions_and_its_counts_stay(folder: MetricsFolder) -> None:
    for number in range(5):
        counting(folder, f"w{number}", tokens=3, sessions=2)
        folder.bury(f"w{number}")
    counting(folder, "living", tokens=1, sessions=1)
    told = exposition(folder)
    assert told["porthole_console_tokens_total"] == 16
    assert told["porthole_sessions"] == 1
    assert told['porthole_http_request_seconds_count{route="/healthz"}'] == 6
    assert told['porthole_http_request_seconds_bucket{le="+Inf",route="/healthz"}'] == 6
    buried = [file for file in folder.path.iterdir() if file.name.split("_")[-1].startswith("w")]
    assert not buried, "or reloads would fill it"


def test_a_file_that_was_being_written_is_passed_over(folder: MetricsFolder) -> None:
    (folder.path / "counter_torn.db").write_bytes(b"\xff\x00\x00\x00 not what it should be")
    with structlog.testing.capture_logs() as lines:
        folder.bury("torn")
    assert lines[0]["log_level"] == "warning"
    assert exposition(folder)["porthole_sessions"] == 0


def test_only_its_maker_removes_it(folder: MetricsFolder) -> None:
    def work() -> bool:
        folder.remove()
        return folder.path.exists()

    assert status_of(in_child(work)) == 0
    folder.remove()
    assert not folder.path.exists()


def test_what_a_killed_service_left_is_removed_at_the_next_start_and_that_of_a_living_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    monkeypatch.setattr(metrics_folder, "_NEW", -1.0)

    def make() -> bool:
        return MetricsFolder(Board(1)).path.exists()

    assert status_of(in_child(make)) == 0
    (left,) = tmp_path.iterdir()
    living = MetricsFolder(Board(1))
    assert not left.exists()
    another = MetricsFolder(Board(1))
    assert living.path.exists()
    living.remove()
    another.remove()
