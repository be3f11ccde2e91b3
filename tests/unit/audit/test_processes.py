"""Several processes, killed at any moment; and disks that are full. All of it is real."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

from porthole.audit import AuditUnavailable
from porthole.audit.line import read
from porthole.audit.log import check
from porthole.audit.reading import log_files
from tests.unit.audit.conftest import KEYS, Log, entry

CHILD = Path(__file__).with_name("child.py")
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
NOBODY_ID = 65534


@contextmanager
def child(*arguments: object, before: tuple[str, ...] = ()) -> Iterator[subprocess.Popen[bytes]]:
    command = [*before, sys.executable, str(CHILD), *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT) as process:
        try:
            yield process
        finally:
            process.kill()


def told(process: subprocess.Popen[bytes], lines: int) -> list[dict[str, Any]]:
    """The next so many lines that it tells."""
    assert process.stdout is not None
    return [json.loads(line) for line in (process.stdout.readline() for _ in range(lines)) if line.endswith(b"\n")]


def rest(stream: IO[bytes] | None) -> list[dict[str, Any]]:
    assert stream is not None
    return [json.loads(line) for line in stream if line.endswith(b"\n")]


def recorded(log: Log) -> Counter[tuple[str, int]]:
    found = [read(raw, KEYS) for file in log_files(log.path) for raw in file.read_bytes().splitlines()]
    fields = [line.fields() for line in found if line and line.genuine]
    return Counter((line["session_id"], line["details"]["n"]) for line in fields if "n" in line["details"])


class TestKilledProcesses:
    def test_nothing_that_was_acknowledged_is_lost_and_the_chain_holds(self, log: Log) -> None:
        acknowledged: list[dict[str, Any]] = []
        with child("write-on", log.path.parent, "steady") as steady:
            for turn in range(6):
                with child("write-on", log.path.parent, f"killed{turn}") as killed:
                    acknowledged += told(killed, 20 + 13 * turn)
                    killed.kill()
                    acknowledged += rest(killed.stdout)
                acknowledged += told(steady, 40)
            steady.kill()
            acknowledged += rest(steady.stdout)
        writer = log.writer()
        written = writer.append(lambda: [entry()])
        writer.close()
        assert written.head is not None
        report = log.verify(written.head)

        assert report.ok, str(report.finding)
        on_disk = recorded(log)
        assert len(acknowledged) > 6 * 60
        assert [told for told in acknowledged if on_disk[(told["session"], told["n"])] != 1] == []

    def test_records_of_one_greenlet_stand_in_their_order(self, log: Log) -> None:
        with child("write-on", log.path.parent, "a") as one, child("write-on", log.path.parent, "b") as two:
            told(one, 100)
            told(two, 100)
        seen: dict[str, list[int]] = {}
        for session, number in recorded(log):
            seen.setdefault(session, []).append(number)

        assert len(seen) == 8
        assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in seen.values())

    def test_a_check_while_they_write_and_rotate_sees_no_half_line_and_misses_no_file(self, log: Log) -> None:
        with child("write-on", log.path.parent, "a") as one, child("write-on", log.path.parent, "b") as two:
            told(one, 1)
            told(two, 1)
            seen = 0
            while len(log.files()) < 4:
                report = log.verify()
                assert report.ok, str(report.finding)
                assert report.head.seq >= seen
                seen = report.head.seq
                told(one, 20)
                told(two, 20)


class TestNoRoom:
    def check(self, log: Log, said: list[dict[str, Any]]) -> None:
        full, emptied = said[:2]
        lines = [json.loads(line) for line in log.lines()]
        resumed = [line for line in lines if line["event"] == "recording-resumed"]

        assert full["recorded"] > 10
        assert full["problem"] == "The audit log cannot be written."
        assert emptied["problem"] == ""
        assert [line["event"] for line in lines].count("sign-in") == full["recorded"]
        assert [line["details"]["failed"] for line in resumed] == [1]
        assert resumed[0]["reason"] == full["why"]
        assert lines[-1]["event"] == "sign-out"
        assert log.verify().ok

    def test_a_full_disk_refuses_leaves_nothing_half_written_and_is_recorded_afterwards(
        self, log: Log, tmp_path: Path
    ) -> None:
        disk = tmp_path / "disk"
        disk.mkdir()
        with child("small-disk", disk, before=("unshare", "--map-root-user", "--mount")) as process:
            mounted = told(process, 1)
            if not mounted:
                pytest.skip("this machine lets nobody mount a small disk")
            said = told(process, 3)
        log.path.write_text(said[2]["log"])

        assert "No space left on device" in said[0]["why"]
        self.check(log, said)

    def test_a_limit_of_the_files_size_does_the_same(self, log: Log) -> None:
        with child("limited", log.path.parent) as process:
            said = told(process, 2)
            assert process.wait(30) == 0

        assert "File too large" in said[0]["why"]
        self.check(log, said)


class TestNoPermission:
    @pytest.fixture
    def folder(self) -> Iterator[Path]:
        """One that nobody else can write to, in a place that others can get to."""
        folder = Path(tempfile.mkdtemp())
        folder.chmod(0o555)
        yield folder
        shutil.rmtree(folder)

    @contextmanager
    def unprivileged(self) -> Iterator[None]:
        if os.geteuid() != 0:
            yield
            return
        os.seteuid(NOBODY_ID)
        try:
            yield
        finally:
            os.seteuid(0)

    def test_a_folder_that_we_may_not_write_to_is_refused_with_the_reason(self, folder: Path) -> None:
        with self.unprivileged(), pytest.raises(AuditUnavailable) as caught:
            check(folder / "audit.log", KEYS)

        assert caught.value.why == f"{folder / 'audit.log'}: Permission denied"

    def test_a_folder_that_is_missing_is_refused_with_the_reason(self, tmp_path: Path) -> None:
        with pytest.raises(AuditUnavailable) as caught:
            check(tmp_path / "missing" / "audit.log", KEYS)

        assert "No such file or directory" in caught.value.why

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files of others")
    def test_what_an_administrator_creates_belongs_to_the_owner_of_the_folder(self, folder: Path) -> None:
        os.chown(folder, NOBODY_ID, NOBODY_ID)
        check(folder / "audit.log", KEYS)
        status = (folder / "audit.log").stat()

        assert (status.st_uid, status.st_gid) == (NOBODY_ID, NOBODY_ID)
