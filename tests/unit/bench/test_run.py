"""What becomes of a run in which a relay fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest

from bench import prepare, run
from bench.peers.base import Peer, PeerFailed, launch
from bench.rows.base import Effort, Sample
from bench.stage import Stage
from provision import debian, novnc, python_env
from provision.progress import Progress, StepFailed
from tests.unit.bench.doubles import FakePeer, FakeRow

NO_STAGE = cast(Stage, None)
PEERS = [FakePeer("porthole"), FakePeer("go")]


def measured(row: FakeRow, rounds: int = 2, failed: dict[str, str] | None = None) -> tuple[dict[str, Any], list[str]]:
    said: list[str] = []
    results = run.measure([row], PEERS, NO_STAGE, Effort(True, rounds), failed or {}, said.append)
    return results[row.name], said


def test_relays_take_turns() -> None:
    row = FakeRow()
    outcomes, _ = measured(row)

    assert row.measured == ["porthole", "go", "go", "porthole"]
    assert [len(outcome.samples) for outcome in outcomes.values()] == [2, 2]


def test_bytes_are_compared_before_the_first_round_only() -> None:
    row = FakeRow()
    measured(row, rounds=3)

    assert sorted(row.verified) == ["go", "porthole"]


@pytest.mark.parametrize(("quick", "cleared"), [(False, ["first", "second"]), (True, [])])
def test_a_row_has_the_machine_without_the_relays_of_the_one_before(quick: bool, cleared: list[str]) -> None:
    said: list[str] = []

    class Noting(Stage):
        def __init__(self) -> None:
            self.after: list[str] = []

        def clear(self) -> None:
            self.after.append(said[-1].partition(":")[0])

    stage = Noting()
    run.measure([FakeRow("first"), FakeRow("second")], PEERS, stage, Effort(quick, 1), {}, said.append)
    assert stage.after == cleared


def test_a_row_that_needs_one_round_has_one() -> None:
    row = FakeRow()
    row.once = True
    measured(row, rounds=5)

    assert row.measured == ["porthole", "go"]


@pytest.mark.parametrize("error", [PeerFailed("a byte differs"), TimeoutError("timed out"), ConnectionResetError()])
def test_a_relay_that_fails_is_said_and_not_asked_again_and_the_others_go_on(error: Exception) -> None:
    def answer(peer: Peer) -> Sample:
        if peer.name == "go":
            raise error
        return {"cost": 1.0}

    row = FakeRow(answer=answer)
    outcomes, said = measured(row, rounds=3)

    assert row.measured.count("go") == 1
    assert row.measured.count("porthole") == 3
    assert outcomes["go"].failed == (str(error) or type(error).__name__)
    assert any("go FAILED" in line for line in said)


def test_a_relay_that_could_not_be_installed_is_not_measured_and_said() -> None:
    row = FakeRow()
    outcomes, _ = measured(row, failed={"go": "not installed: no network"})

    assert "go" not in row.measured
    assert outcomes["go"].failed == "not installed: no network"


def test_a_peer_that_cannot_be_installed_does_not_end_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ensure(needs: Any, *_: object) -> None:
        if needs == prepare.NEEDS["haproxy"]:
            raise StepFailed("apt-get failed", step="Debian packages")

    monkeypatch.setattr(debian, "ensure", ensure)
    monkeypatch.setattr(python_env, "ensure", lambda *_: tmp_path / "python")
    monkeypatch.setattr(novnc, "ensure", lambda *_: None)
    monkeypatch.setattr(prepare, "CACHE", tmp_path)
    monkeypatch.setattr(prepare, "FAILED", tmp_path / "failed.json")

    prepare.everything(["porthole", "haproxy", "lighttpd"], Progress())

    assert json.loads((tmp_path / "failed.json").read_text()) == {
        "haproxy": "not installed: Debian packages: apt-get failed"
    }


def test_a_program_that_is_not_there_is_a_failure_in_words(tmp_path: Path) -> None:
    with pytest.raises(PeerFailed, match=r"cannot be started: /nowhere/relay: No such file"):
        launch(["/nowhere/relay"], tmp_path)
