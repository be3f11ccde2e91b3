"""The command line of script/bench."""

from __future__ import annotations

import pytest

from bench import options
from bench.peers import PEERS
from bench.rows import ROWS, by_name


def test_by_default_everything_is_measured_and_written() -> None:
    asked = options.parse([])

    assert (asked.chosen_rows, asked.chosen_peers) == (list(ROWS), list(PEERS))
    assert asked.is_full
    assert not asked.effort.quick


@pytest.mark.parametrize("argument", ["--quick", "--only=echo", "--peers=go", "--rounds=1"])
def test_less_than_everything_does_not_replace_the_results_page(argument: str) -> None:
    assert not options.parse([argument]).is_full


def test_quick_has_all_rows_and_the_relays_that_goals_speak_of() -> None:
    asked = options.parse(["--quick"])

    assert asked.chosen_rows == list(ROWS)
    assert [peer.name for peer in asked.chosen_peers] == [
        "porthole", "porthole-one-by-one", "websockify", "go", "haproxy", "nova-novncproxy",
    ]  # fmt: skip
    assert [peer.name for peer in options.parse(["--quick", "--peers=node"]).chosen_peers] == ["porthole", "node"]


def test_only_may_be_repeated() -> None:
    asked = options.parse(["--only", "echo", "--only", "bulk"])

    assert [row.name for row in asked.chosen_rows] == ["bulk", "echo"]


def test_ours_is_always_measured() -> None:
    assert [peer.name for peer in options.parse(["--peers", "go"]).chosen_peers] == ["porthole", "go"]


def test_an_unknown_row_is_an_error_that_names_the_rows(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        options.parse(["--only", "bulky"])

    assert end.value.code == 2
    said = capsys.readouterr().err
    assert "there is no row 'bulky'" in said
    assert all(row.name in said for row in ROWS)


def test_an_unknown_peer_is_an_error_that_names_the_peers(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        options.parse(["--peers", "go,nginx"])

    said = capsys.readouterr().err
    assert "there is no peer 'nginx'" in said
    assert all(peer.name in said for peer in PEERS)


@pytest.mark.parametrize("rounds", ["0", "101", "-1", "many", "1.5"])
def test_rounds_are_a_number(rounds: str) -> None:
    with pytest.raises(SystemExit):
        options.parse([f"--rounds={rounds}"])


def test_the_listing_has_every_row_and_every_peer() -> None:
    listing = options.listing()

    assert all(f"  {one} " in listing for one in [*(row.name for row in ROWS), *(peer.name for peer in PEERS)])


def test_names_are_unique() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert len({peer.name for peer in PEERS}) == len(PEERS)


def test_goals_speak_of_figures_rows_and_peers_that_there_are() -> None:
    for row in ROWS:
        for goal in row.goals:
            assert goal.key in {figure.key for figure in by_name(goal.row or row.name).figures}
            assert goal.key in {figure.key for figure in row.figures}
            if goal.peer:
                (peer,) = (peer for peer in PEERS if peer.name == goal.peer)
                assert by_name(goal.row or row.name).applies_to(peer)


def test_a_peer_that_is_there_for_some_rows_is_in_these_alone() -> None:
    for peer in PEERS:
        if peer.rows:
            assert {row.name for row in ROWS if row.applies_to(peer)} == set(peer.rows)
