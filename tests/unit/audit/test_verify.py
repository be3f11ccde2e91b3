"""Every edit shows: whoever has no key cannot change, remove, add or move a line unseen."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from porthole.audit import AuditKeys
from porthole.audit.finding import Kind
from porthole.audit.line import START, encode
from tests.unit.audit.conftest import KEY, KEYS, NOW, OTHER_KEY, OTHER_KEYS, Log, chain, entry, found, heads_of


def flip_each_byte(lines: list[bytes], make: Callable[[int], int]) -> list[tuple[bytes, int]]:
    """The log with one byte made another one, for each byte, and the line that this byte belongs to."""
    whole = b"".join(lines)
    edited = []
    for index, byte in enumerate(whole):
        if (new := make(byte)) != byte:
            edited.append((whole[:index] + bytes([new]) + whole[index + 1 :], whole[:index].count(b"\n") + 1))
    return edited


class TestAGoodLog:
    def test_is_good(self, log: Log) -> None:
        lines = chain(5)
        log.put(lines)
        report = log.verify(*heads_of(lines))

        assert report.ok
        assert (report.lines, report.first, report.head.seq, report.heads) == (5, 1, 5, 5)
        assert report.notes == ()

    def test_without_heads_the_report_says_what_it_cannot_know(self, log: Log) -> None:
        log.put(chain(5))
        report = log.verify()

        assert report.ok
        assert any("nobody can say whether lines are missing at the end" in note for note in report.notes)

    def test_keys_may_change_along_the_way(self, log: Log) -> None:
        old = chain(3)
        new = chain(3, AuditKeys([OTHER_KEY, KEY]), heads_of(old)[-1])
        log.put([*old, *new])

        assert log.verify(keys=AuditKeys([OTHER_KEY, KEY])).ok

    def test_a_key_that_the_key_file_lacks_is_named(self, log: Log) -> None:
        log.put(chain(3))
        report = log.verify(keys=OTHER_KEYS)

        assert found(report) == (Kind.RECOMPUTED, 1)
        assert f"the key file lacks the key {KEYS.signing_id}" in str(report.finding)

    @pytest.mark.parametrize(("seconds", "is_told"), [(3600, True), (60, True), (59, False), (-3600, False)])
    def test_time_that_goes_back_is_told_and_is_no_finding(self, log: Log, seconds: int, is_told: bool) -> None:
        head, lines = START, []
        for back in (0, 0, seconds, seconds):
            line, head = encode(replace(entry(), time=NOW - back), head, KEYS)
            lines.append(line)
        log.put(lines)
        report = log.verify(head)

        assert report.ok
        assert [note for note in report.notes if "a clock was set back" in note] == (
            [
                f"Time goes back once at {log.path}, line 3, by {seconds} seconds: a clock was set back, or an act was "
                "recorded late. The lines are in the order in which they were written."
            ]
            if is_told
            else []
        )

    def test_an_empty_log_is_said_to_be_empty(self, log: Log) -> None:
        log.put([])
        report = log.verify()

        assert report.ok
        assert "The log has no lines." in report.sentences()


class TestAByte:
    @pytest.mark.parametrize(
        "make",
        [lambda byte: byte ^ 1, lambda byte: byte ^ 0x20, lambda byte: byte ^ 0x80, lambda _: 0, lambda _: 10],
        ids=["last bit", "case", "high bit", "zero", "newline"],
    )
    def test_that_is_changed_anywhere_is_found_in_its_line(self, log: Log, make: Callable[[int], int]) -> None:
        for edited, number in flip_each_byte(chain(3), make):
            log.path.write_bytes(edited)
            report = log.verify()
            assert report.finding is not None
            assert report.finding.line == number, str(report.finding)
            assert report.finding.kind in (Kind.CHANGED, Kind.HALF_WRITTEN, Kind.INSERTED)

    def test_that_is_removed_anywhere_is_found_in_its_line(self, log: Log) -> None:
        whole = b"".join(chain(3))
        for index in range(len(whole)):
            log.path.write_bytes(whole[:index] + whole[index + 1 :])
            report = log.verify()
            assert report.finding is not None
            assert report.finding.line == whole[:index].count(b"\n") + 1, str(report.finding)

    def test_that_is_added_anywhere_is_found(self, log: Log) -> None:
        whole = b"".join(chain(3))
        for index in range(len(whole) + 1):
            log.path.write_bytes(whole[:index] + b" " + whole[index:])
            report = log.verify()
            assert report.finding is not None
            assert report.finding.line == whole[:index].count(b"\n") + 1, str(report.finding)


class TestALine:
    @pytest.mark.parametrize("index", range(5))
    def test_that_is_removed_shows_where_it_was(self, log: Log, index: int) -> None:
        lines = chain(6)
        del lines[index]
        log.put(lines)
        report = log.verify()

        assert found(report) == (Kind.REMOVED, index + 1)
        assert f"line {index + 1} of the chain" in str(report.finding)

    def test_several_that_are_removed_are_counted(self, log: Log) -> None:
        lines = chain(8)
        log.put(lines[:2] + lines[5:])

        assert "lines 3 to 5 of the chain" in str(log.verify().finding)

    @pytest.mark.parametrize("index", range(5))
    def test_that_is_swapped_with_the_next_shows(self, log: Log, index: int) -> None:
        lines = chain(6)
        lines[index], lines[index + 1] = lines[index + 1], lines[index]
        log.put(lines)

        kind = Kind.REMOVED if index == 0 else Kind.REORDERED
        assert found(log.verify()) == (kind, index + 1)

    @pytest.mark.parametrize("index", range(6))
    def test_that_is_written_twice_shows_the_second_time(self, log: Log, index: int) -> None:
        lines = chain(6)
        lines.insert(index, lines[index])
        log.put(lines)

        assert found(log.verify()) == (Kind.INSERTED, index + 2)

    def test_that_is_copied_to_a_place_before_it_shows_there(self, log: Log) -> None:
        lines = chain(6)
        lines.insert(2, lines[4])
        log.put(lines)

        assert found(log.verify()) == (Kind.INSERTED, 3)

    @pytest.mark.parametrize(
        "line",
        [b"\n", b"{}\n", b"# nothing happened\n", b"\x00" * 100 + b"\n", b"x" * 200_000 + b"\n"],
        ids=["empty", "json", "comment", "zeros", "very long"],
    )
    @pytest.mark.parametrize("index", range(1, 4))
    def test_that_is_no_line_of_ours_is_inserted(self, log: Log, index: int, line: bytes) -> None:
        lines = chain(4)
        lines.insert(index, line)
        log.put(lines)

        assert found(log.verify()) == (Kind.INSERTED, index + 1)

    def test_that_was_made_with_another_key_is_inserted(self, log: Log) -> None:
        lines = chain(4)
        forged, _ = encode(entry(99), heads_of(lines)[1], OTHER_KEYS)
        lines.insert(2, forged)
        log.put(lines)

        assert found(log.verify()) == (Kind.INSERTED, 3)

    def test_that_takes_the_place_of_another_is_changed(self, log: Log) -> None:
        lines = chain(4)
        lines[2], _ = encode(entry(99), heads_of(lines)[1], OTHER_KEYS)
        log.put(lines)

        assert found(log.verify()) == (Kind.CHANGED, 3)

    def test_of_another_log_with_the_same_key_does_not_fit(self, log: Log) -> None:
        other = []
        head = START
        for number in range(4):
            line, head = encode(entry(number, reason="other"), head, KEYS)
            other.append(line)
        lines = chain(4)
        log.put([*lines[:2], other[2], lines[3]])

        assert found(log.verify())[1] == 3

    def test_no_edit_by_chance_goes_unseen(self, log: Log) -> None:
        chance = random.Random(7)  # noqa: S311 - edits that are the same each time
        lines = chain(12)
        for _ in range(300):
            edited = list(lines)
            for _ in range(chance.randint(1, 3)):
                where = chance.randrange(len(edited))
                act = chance.randrange(4)
                if act == 0 and len(edited) > 2:
                    del edited[where]
                elif act == 1:
                    edited.insert(where, chance.choice(lines))
                elif act == 2:
                    edited[where] = chance.choice(lines)
                else:
                    chance.shuffle(edited)
            log.put(edited)
            is_a_beginning = edited == lines[: len(edited)]
            assert log.verify().ok == is_a_beginning
            assert log.verify(heads_of(lines)[-1]).ok == (edited == lines)
