"""Rotation: bounds, names, what may be killed in between, and what the log says of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from porthole.audit import Head
from porthole.audit.files import older_files, older_name
from porthole.audit.finding import Kind
from porthole.audit.line import MAX_LINE
from tests.unit.audit.conftest import Log, entry, events, fields, put


class TestRotation:
    def fill(self, log: Log, files: int, backups: int = 3) -> Head:
        writer = log.writer(max_bytes=MAX_LINE, backups=backups)
        for number in range(10_000):
            head = put(writer, *(entry(number * 10 + n, reason="x" * 200) for n in range(10)))
            if fields(log.lines()[0])["seq"] > files * 60 and len(older_files(log.path)) >= min(files, backups):
                return head
        raise AssertionError("it never rotated")

    def test_no_file_is_larger_than_the_bound_and_the_chain_goes_through_all(self, log: Log) -> None:
        head = self.fill(log, 3)
        report = log.verify(head)

        assert all(file.stat().st_size <= MAX_LINE for file in log.files())
        assert report.ok
        assert report.first == 1
        assert fields(log.lines()[0])["event"] == "log-rotated"

    def test_a_full_file_is_named_after_its_last_line(self, log: Log) -> None:
        self.fill(log, 1)
        (full,) = older_files(log.path)
        last = fields(full.read_bytes().splitlines()[-1])["seq"]

        assert full == older_name(log.path, last)
        assert fields(log.lines()[0])["seq"] == last + 1

    def test_the_oldest_are_removed_and_the_log_says_so(self, log: Log) -> None:
        head = self.fill(log, 6, backups=2)
        report = log.verify(head)

        assert len(older_files(log.path)) == 2
        assert report.ok
        assert report.first > 1
        assert fields(log.lines()[0])["details"]["removed_to"] == report.first - 1

    def test_an_old_file_that_somebody_removes_shows(self, log: Log) -> None:
        self.fill(log, 6, backups=3)
        older_files(log.path)[0].unlink()
        report = log.verify()

        assert report.finding is not None
        assert report.finding.kind is Kind.REMOVED
        assert "not because the service made room" in str(report.finding)

    def test_a_file_in_the_middle_that_somebody_removes_shows(self, log: Log) -> None:
        self.fill(log, 3)
        older_files(log.path)[1].unlink()
        report = log.verify()

        assert report.finding is not None
        assert (report.finding.kind, report.finding.line) == (Kind.REMOVED, 1)

    def test_another_writer_goes_on_in_the_new_file(self, log: Log) -> None:
        other = log.writer(max_bytes=MAX_LINE)
        put(other, entry())
        self.fill(log, 1)

        assert log.verify(put(other, entry())).ok

    def test_a_kill_between_the_two_names_is_made_good(self, log: Log, write: Callable[..., Head]) -> None:
        head = write(5)
        log.path.rename(older_name(log.path, head.seq))
        report = log.verify(write(1))

        assert report.ok
        assert report.lines == 7
        assert events(log) == ["log-rotated", "token-issued"]

    @pytest.mark.parametrize("left", [0, 1, 100, 300])
    def test_a_kill_while_the_first_line_of_the_new_file_is_written_is_made_good(
        self, log: Log, write: Callable[..., Head], left: int
    ) -> None:
        self.fill(log, 1)
        log.path.write_bytes(log.lines()[0][:left])

        assert log.verify(write(1)).ok

    def test_a_kill_before_the_oldest_is_removed_is_made_good_the_next_time(self, log: Log) -> None:
        self.fill(log, 2, backups=2)
        oldest = older_files(log.path)[0]
        kept = oldest.read_bytes()
        while oldest.exists():
            put(log.writer(max_bytes=MAX_LINE, backups=2), entry(reason="x" * 200))
        oldest.write_bytes(kept)

        assert log.verify().ok
        head = self.fill(log, 7, backups=2)
        assert len(older_files(log.path)) == 2
        assert log.verify(head).ok

    def test_a_file_in_the_way_is_not_overwritten(self, log: Log) -> None:
        writer = log.writer(max_bytes=MAX_LINE)
        why = ""
        for number in range(1, 1000):
            in_the_way = older_name(log.path, number)
            in_the_way.write_text("evidence")
            if why := writer.append(lambda: [entry(reason="x" * 200)]).why:
                break

        assert "it is in the way" in why
        assert in_the_way.read_text() == "evidence"
