"""``porthole audit verify``, and what other commands have recorded."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from porthole import cli, cli_audit, config
from porthole.audit import Event
from porthole.state.sqlite import FILE, SqliteStore
from tests.service.installation import Installation

Says = Callable[..., tuple[int, str, str]]


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    installation = Installation(tmp_path)
    (tmp_path / "state").mkdir()
    yield installation
    installation.end()


@pytest.fixture
def says(capsys: pytest.CaptureFixture[str]) -> Says:
    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        status = cli.main(arguments)
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run


def log(installation: Installation) -> Path:
    return installation.folder / "state" / "audit.log"


def lines(installation: Installation) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log(installation).read_text().splitlines()]


def tell(installation: Installation, count: int = 1) -> list[str]:
    """Record some acts; returns the arguments that name the configuration."""
    path = installation.configure()
    for number in range(count):
        cli_audit.tell(config.load([path]), Event.ADMIN_ACT, reason=f"act {number}")
    return ["--config-file", str(path)]


class TestVerify:
    def test_a_good_log(self, installation: Installation, says: Says) -> None:
        where = tell(installation, 3)
        status, out, err = says("audit", "verify", *where)
        assert (status, err) == (0, "")
        assert out.startswith("3 lines, 1 to 3 of the chain, are as they were written.\n")
        assert "No head was compared" in out

    def test_a_changed_line_is_1_and_named_on_standard_error(self, installation: Installation, says: Says) -> None:
        where = tell(installation, 3)
        log(installation).write_bytes(log(installation).read_bytes().replace(b"act 1", b"act 9"))
        status, out, err = says("audit", "verify", *where)
        assert (status, out) == (1, "")
        assert err.startswith(f"{log(installation)}, line 2: changed: ")

    def test_heads_of_a_file_or_of_standard_input(
        self, installation: Installation, says: Says, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        where = tell(installation, 2)
        heads = tmp_path / "heads"
        heads.write_text(f"2 {lines(installation)[1]['mac']}\n")
        assert says("audit", "verify", "--heads", str(heads), *where)[0] == 0
        log(installation).write_bytes(log(installation).read_bytes().splitlines(keepends=True)[0])
        with heads.open() as given:
            monkeypatch.setattr("sys.stdin", given)
            status, _, err = says("audit", "verify", "--heads", "-", *where)
        assert status == 1
        assert "line 2: cut" in err

    def test_copies_are_checked_on_a_machine_without_a_configuration(
        self, installation: Installation, says: Says, tmp_path: Path
    ) -> None:
        tell(installation)
        copy, key = tmp_path / "copy", installation.folder / "audit.keys"
        log(installation).rename(copy)
        assert says("audit", "verify", "--key-file", str(key), str(copy))[0] == 0

    def test_what_cannot_be_checked_is_2(self, installation: Installation, says: Says, tmp_path: Path) -> None:
        where = ["--config-file", str(installation.configure())]
        for arguments in (
            where,
            ["--key-file", str(tmp_path / "no.keys"), str(tmp_path / "no.log")],
            ["--config-file", str(tmp_path / "no.conf")],
            ["--heads", str(tmp_path / "no.heads"), *where],
        ):
            status, out, err = says("audit", "verify", *arguments)
            assert (status, out) == (2, "")
            assert len(err.splitlines()) == 1


class TestActs:
    def test_a_copy_of_the_store_and_its_return(self, installation: Installation, says: Says, tmp_path: Path) -> None:
        where = ["--config-file", str(installation.configure())]
        store = SqliteStore(installation.folder / "state" / FILE)
        store.open()
        store.close()
        copy = tmp_path / "copy.sqlite"
        assert says("store", "backup", str(copy), *where)[0] == 0
        assert says("store", "restore", str(copy), *where)[0] == 0
        first, second = lines(installation)
        assert (first["event"], first["reason"], second["reason"]) == (
            "admin-act", "copied the store", "replaced the store",
        )  # fmt: skip
        assert first["details"]["file"] == str(copy)

    def test_who_it_was_is_the_systems_user_and_not_what_the_environment_says(
        self, installation: Installation, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("LOGNAME", "mallory")
        monkeypatch.setenv("USER", "mallory")
        monkeypatch.setenv("SUDO_USER", "ann")
        tell(installation)
        (line,) = lines(installation)
        assert line["who"]["user"] not in ("", "mallory")
        assert line["details"] == {"way": "command line", "sudo_user": "ann"}

    def test_what_cannot_be_recorded_is_said_and_done(
        self, installation: Installation, says: Says, tmp_path: Path
    ) -> None:
        installation.audit_path = tmp_path / "nowhere" / "audit.log"
        where = ["--config-file", str(installation.configure())]
        store = SqliteStore(installation.folder / "state" / FILE)
        store.open()
        store.close()
        status, out, err = says("store", "backup", str(tmp_path / "copy"), *where)
        assert status == 0
        assert "is a copy of" in out
        assert err.startswith("porthole: this is not in the audit log: ")

    def test_switched_off_nothing_is_recorded(self, installation: Installation) -> None:
        installation.audit_enabled = False
        tell(installation)
        assert not log(installation).exists()
