"""``porthole audit verify``: its sentences and its exit status."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from porthole.audit import Head
from porthole.audit.command import cli_verify
from porthole.audit.heads import HeadsError, read_heads
from tests.unit.audit.conftest import KEY, OTHER_KEY, Log, key_file

MAC = "0123456789abcdef" * 4


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return key_file(tmp_path / "audit.keys", KEY)


def test_a_good_log_is_0(log: Log, write: Callable[..., Head], keys: Path, tmp_path: Path) -> None:
    head = write(3)
    heads = tmp_path / "heads"
    heads.write_text(f"{head.seq} {head.mac}\n")
    outcome = cli_verify(log.path, keys, heads=str(heads))

    assert outcome.status == 0
    assert outcome.sentences[0] == "3 lines, 1 to 3 of the chain, are as they were written."
    assert outcome.sentences[1] == f"The chain's head is 3 {head.mac}."


def test_a_changed_line_is_1_and_named(log: Log, write: Callable[..., Head], keys: Path) -> None:
    write(3)
    lines = log.lines()
    log.put([lines[0], lines[1].replace(b'"ann"', b'"bob"'), lines[2]])
    outcome = cli_verify(log.path, keys)

    assert outcome.status == 1
    assert outcome.sentences[0].startswith(f"{log.path}, line 2: changed: ")
    assert outcome.sentences[1] == "1 lines, 1 to 1 of the chain, before it are as they were written."


def test_given_files_are_checked_alone(log: Log, write: Callable[..., Head], keys: Path, tmp_path: Path) -> None:
    write(3)
    part = tmp_path / "part"
    part.write_bytes(b"".join(log.lines()[1:]))

    assert cli_verify(log.path, keys, files=[part]).status == 0


def test_heads_may_come_on_standard_input(
    log: Log, write: Callable[..., Head], keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(3)
    monkeypatch.setattr("sys.stdin", io.StringIO(f"9 {MAC}\n"))
    outcome = cli_verify(log.path, keys, heads="-")

    assert outcome.status == 1
    assert "lines 4 to 9 of the chain are missing at the end" in outcome.sentences[0]


@pytest.mark.parametrize("missing", ["log", "keys", "heads"])
def test_what_cannot_be_read_is_2_and_named(
    log: Log, write: Callable[..., Head], keys: Path, tmp_path: Path, missing: str
) -> None:
    write(1)
    heads = tmp_path / "heads"
    heads.write_text(f"1 {MAC}\n")
    gone = {"log": log.path, "keys": keys, "heads": heads}[missing]
    gone.unlink()
    outcome = cli_verify(log.path, keys, heads=str(heads))

    assert outcome.status == 2
    assert str(gone) in outcome.sentences[0]


def test_another_key_file_is_said_to_be_it(log: Log, write: Callable[..., Head], tmp_path: Path) -> None:
    write(3)
    outcome = cli_verify(log.path, key_file(tmp_path / "other.keys", OTHER_KEY))

    assert outcome.status == 1
    assert "the key file lacks the key" in outcome.sentences[0]


class TestHeads:
    OURS = json.dumps({"seq": 7, "mac": MAC, "event": "audit head", "level": "info"})

    @pytest.mark.parametrize(
        "line",
        [
            f"7 {MAC}\n",
            f"  7\t{MAC}  ",
            OURS,
            f"Nov 14 22:13:20 host porthole[12]: {OURS}",
            json.dumps({"MESSAGE": OURS, "_PID": "12"}),
        ],
        ids=["pair", "spaces", "our log", "journal", "journal as json"],
    )
    def test_are_found_in(self, line: str) -> None:
        assert read_heads(["something else\n", line, "{not json", "[" * 100_000]) == [Head(7, MAC)]

    @pytest.mark.parametrize(
        "line",
        ["", f"0x7 {MAC}", f"7 {MAC[:-1]}", '{"seq": "7"}', json.dumps({"seq": -1, "mac": MAC}), "[]", "{" * 10_000],
    )
    def test_without_any_the_list_is_refused(self, line: str) -> None:
        with pytest.raises(HeadsError, match="no head among the lines"):
            read_heads([line])
