"""Somebody meddles with the file while a process writes: it is recorded on, and it shows."""

from __future__ import annotations

import pytest

from porthole.audit.finding import Kind
from porthole.audit.writer import ChainWriter
from tests.unit.audit.conftest import Log, entry, events, put


class TestUnderTheWriter:
    @pytest.fixture
    def writer(self, log: Log) -> ChainWriter:
        writer = log.writer()
        put(writer, *(entry(number) for number in range(5)))
        return writer

    def test_a_file_that_is_removed_leaves_a_gap_that_shows(self, log: Log, writer: ChainWriter) -> None:
        log.path.unlink()
        head = put(writer, entry())
        report = log.verify(head)

        assert events(log) == ["log-broken", "token-issued"]
        assert report.finding is not None
        assert report.finding.kind is Kind.REMOVED
        assert "lines 1 to 5 of the chain are missing" in str(report.finding)

    @pytest.mark.parametrize("kept", range(5))
    def test_a_file_that_is_cut_shows_without_a_head(self, log: Log, writer: ChainWriter, kept: int) -> None:
        log.put(log.lines()[:kept])
        put(writer, entry())
        report = log.verify()

        assert report.finding is not None
        assert (report.finding.kind, report.finding.line) == (Kind.REMOVED, kept + 1)

    def test_a_file_that_is_replaced_by_an_older_copy_shows(self, log: Log, writer: ChainWriter) -> None:
        copy = log.path.with_name("copy")
        copy.write_bytes(b"".join(log.lines()[:3]))
        copy.rename(log.path)
        put(writer, entry())

        assert "lines 4 to 5 of the chain are missing" in str(log.verify().finding)

    def test_garbage_in_its_place_shows(self, log: Log, writer: ChainWriter) -> None:
        log.path.write_bytes(b"nothing\nhappened\n")
        put(writer, entry())
        report = log.verify()

        assert report.finding is not None
        assert report.finding.line == 1

    def test_lines_that_somebody_appends_show(self, log: Log, writer: ChainWriter) -> None:
        with log.path.open("ab") as file:
            file.write(log.lines()[0])
        put(writer, entry())
        report = log.verify()

        assert report.finding is not None
        assert (report.finding.kind, report.finding.line) == (Kind.INSERTED, 6)

    def test_a_file_that_another_program_rotated_is_gone_on_with_and_nothing_is_lost(
        self, log: Log, writer: ChainWriter
    ) -> None:
        moved = log.path.with_name("audit.log-2023")
        log.path.rename(moved)
        head = put(writer, entry())
        joined = log.path.with_name("joined")
        joined.write_bytes(moved.read_bytes() + log.path.read_bytes())
        log.path.unlink()
        joined.rename(log.path)

        assert log.verify(head).ok
