"""What no line shows by itself: a cut end, a chain that was computed anew, half lines, and parts of a log."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from porthole.audit import AuditKeys, Entry, Event, Head
from porthole.audit.finding import Kind
from porthole.audit.line import START, encode
from porthole.audit.reading import LogUnreadable, log_files, open_lines
from porthole.audit.verify import verify
from tests.unit.audit.conftest import KEY, KEYS, NOW, OTHER_KEYS, Log, chain, entry, found, heads_of


class TestTheEnd:
    @pytest.mark.parametrize("kept", range(6))
    def test_a_cut_tail_shows_when_a_head_after_it_was_announced(self, log: Log, kept: int) -> None:
        lines = chain(6)
        log.put(lines[:kept])
        report = log.verify(heads_of(lines)[5])

        assert found(report) == (Kind.CUT, kept + 1)
        assert "missing at the end" in str(report.finding)

    def test_without_a_head_nobody_can_know_and_the_report_says_so(self, log: Log) -> None:
        log.put(chain(6)[:3])
        report = log.verify()

        assert report.ok
        assert "nobody can say" in " ".join(report.sentences())

    def test_a_head_before_the_cut_is_no_help(self, log: Log) -> None:
        lines = chain(6)
        log.put(lines[:4])

        assert log.verify(heads_of(lines)[1]).ok

    def test_lines_that_the_service_wrote_after_a_cut_differ_from_the_head(
        self, log: Log, write: Callable[..., Head]
    ) -> None:
        announced = write(6)
        log.put(log.lines()[:3])
        writer = log.writer()
        writer.append(lambda: [entry(number, reason="after") for number in range(6)])
        report = log.verify(announced)

        assert found(report) == (Kind.RECOMPUTED, 6)
        assert "lines were cut off and the service went on" in str(report.finding)

    def test_a_last_line_without_its_end_is_half_written(self, log: Log) -> None:
        lines = chain(3)
        for length in range(1, len(lines[2])):
            log.put([*lines[:2], lines[2][:length]])
            assert found(log.verify()) == (Kind.HALF_WRITTEN, 3)


class TestAChainThatIsComputedAnew:
    @pytest.mark.parametrize("start", range(5))
    def test_with_another_key_shows_where_it_begins(self, log: Log, start: int) -> None:
        lines = chain(6)
        head = heads_of(lines)[start - 1] if start else START
        log.put([*lines[:start], *chain(6 - start, OTHER_KEYS, head)])

        assert found(log.verify()) == (Kind.RECOMPUTED, start + 1)

    def test_under_the_id_of_our_key_shows_as_well(self, log: Log) -> None:
        class Impostor(AuditKeys):
            def mac(self, key_id: str, previous: str, body: bytes) -> str:
                return OTHER_KEYS.mac(OTHER_KEYS.signing_id, previous, body)

        lines = chain(6)
        log.put([*lines[:2], *chain(4, Impostor([KEY]), heads_of(lines)[1])])

        assert found(log.verify()) == (Kind.RECOMPUTED, 3)

    def test_with_our_key_shows_against_a_head(self, log: Log) -> None:
        lines = chain(6)
        heads = heads_of(lines)
        anew = list(lines[:3])
        head = heads[2]
        for number in range(3):
            line, head = encode(entry(number, reason="nothing happened"), head, KEYS)
            anew.append(line)
        log.put(anew)
        report = log.verify(heads[1], heads[4])

        assert log.verify().ok
        assert found(report) == (Kind.RECOMPUTED, 5)
        assert "After line 2 the chain was written anew by somebody who has the key" in str(report.finding)

    def test_two_heads_of_one_line_cannot_both_be_right(self, log: Log) -> None:
        lines = chain(3)
        log.put(lines)

        assert found(log.verify(heads_of(lines)[1], Head(2, "f" * 64))) == (Kind.RECOMPUTED, 2)


class TestATornLine:
    def torn(self, fragment: bytes, after: list[bytes]) -> bytes:
        mark = Entry(
            event=Event.TORN_LINE, time=NOW,
            details={"bytes": len(fragment), "sha256": hashlib.sha256(fragment).hexdigest()},
        )  # fmt: skip
        return fragment + b"\n" + encode(mark, heads_of(after)[-1], KEYS)[0]

    def test_with_its_mark_is_no_tampering(self, log: Log) -> None:
        lines = chain(3)
        log.put([*lines[:2], self.torn(lines[2][:50], lines[:2])])
        report = log.verify()

        assert report.ok
        assert any("half written, and the next line marks it" in note for note in report.notes)

    def test_that_is_another_than_the_marked_one_is_changed(self, log: Log) -> None:
        lines = chain(3)
        whole = b"".join([*lines[:2], self.torn(lines[2][:50], lines[:2])])
        start = len(b"".join(lines[:2]))
        for index in range(start, start + 50):
            log.path.write_bytes(whole[:index] + bytes([whole[index] ^ 1]) + whole[index + 1 :])
            assert found(log.verify())[1] == 3

    def test_cannot_be_marked_without_the_key(self, log: Log) -> None:
        lines = chain(4)
        good = self.torn(lines[2][:50], lines[:2])
        log.put([*lines[:2], good.replace(b"torn-line", b"torn-lime"), *lines[3:]])

        assert not log.verify().ok

    def test_whose_end_was_cut_by_hand_differs_from_the_head(self, log: Log) -> None:
        lines = chain(3)
        log.put([*lines[:2], self.torn(lines[2][:50], lines[:2])])

        assert found(log.verify(heads_of(lines)[2]))[0] is Kind.RECOMPUTED


class TestFiles:
    def test_a_part_of_the_log_can_be_checked_alone(self, log: Log) -> None:
        lines = chain(6)
        log.put(lines[3:])
        report = verify([log.path], KEYS)

        assert report.ok
        assert any("before line 4 of the chain are not here" in note for note in report.notes)

    def test_heads_of_lines_that_are_not_here_are_counted(self, log: Log) -> None:
        lines = chain(6)
        log.put(lines[3:])
        report = verify([log.path], KEYS, [Head(2, "0" * 64)])

        assert any("1 heads are of lines that are not here" in note for note in report.notes)

    def test_a_log_that_is_not_there_is_said_so(self, log: Log) -> None:
        with pytest.raises(LogUnreadable, match="there is no such log"):
            log_files(log.path)

    def test_a_file_that_cannot_be_read_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(LogUnreadable, match="missing: cannot be read"):
            verify([tmp_path / "missing"], KEYS)

    def test_what_is_no_file_is_not_waited_for(self, log: Log) -> None:
        os.mkfifo(log.path)
        with pytest.raises(LogUnreadable, match="not a regular file"):
            log_files(log.path)

    def test_what_is_written_while_it_is_read_belongs_to_the_next_check(self, log: Log) -> None:
        lines = chain(3)
        log.put(lines[:2])
        with open_lines([log.path.parent], lambda: [log.path]) as found:
            with log.path.open("ab") as file:
                file.write(lines[2][:50])
            assert [raw.data + b"\n" for raw in found] == lines[:2]
