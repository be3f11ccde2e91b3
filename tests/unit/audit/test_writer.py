"""The writer: turns, what it finds when it starts, rotation."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from porthole.audit import AuditKeys, AuditUnavailable, Entry, Head
from porthole.audit.finding import Kind
from porthole.audit.line import MAX_LINE
from porthole.audit.log import check
from porthole.audit.recovery import GLANCE, WINDOW
from porthole.audit.writer import MAX_WRITE, ChainWriter
from tests.unit.audit.conftest import KEY, KEYS, OTHER_KEY, OTHER_KEYS, Log, entry, events, fields, put


class TestTheChain:
    def test_begins_with_line_one_in_a_file_that_others_cannot_read(self, log: Log) -> None:
        head = put(log.writer(), entry())

        assert head.seq == 1
        assert stat.S_IMODE(log.path.stat().st_mode) & stat.S_IRWXO == 0
        assert log.verify(head).ok

    def test_goes_on_after_a_restart(self, log: Log, write: Callable[..., Head]) -> None:
        write(3)
        head = write(2)

        assert head.seq == 5
        assert events(log) == ["token-issued"] * 5
        assert log.verify(head).lines == 5

    def test_two_writers_take_turns(self, log: Log) -> None:
        writers = [log.writer(), log.writer()]
        for number in range(20):
            head = put(writers[number % 2], entry(number))

        assert [fields(line)["details"]["n"] for line in log.lines()] == list(range(20))
        assert log.verify(head).ok

    def test_a_turn_after_another_writer_costs_no_more_in_a_long_log(
        self, log: Log, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first, second = log.writer(), log.writer()
        put(first, *(entry(n, reason="x" * 200) for n in range(2 * WINDOW // 500)))
        put(second, entry())
        put(first, entry())
        lengths: list[int] = []

        def pread(descriptor: int, length: int, offset: int) -> bytes:
            lengths.append(length)
            return read(descriptor, length, offset)

        read = os.pread
        monkeypatch.setattr(os, "pread", pread)
        head = put(second, entry())

        assert lengths == [GLANCE]
        assert log.verify(head).ok

    def test_a_line_that_is_longer_than_the_first_glance_is_found(self, log: Log) -> None:
        put(log.writer(), entry(reason="x" * GLANCE))
        head = put(log.writer(), entry())

        assert head.seq == 2
        assert log.verify(head).ok

    def test_what_is_waiting_is_taken_when_it_is_our_turn(self, log: Log) -> None:
        first, second = log.writer(), log.writer()
        seen: list[int] = []

        def take() -> list[Entry]:
            seen.append(len(log.path.read_bytes()))
            return [entry(2)]

        put(first, entry(1))
        second.append(take)

        assert seen == [len(log.lines()[0])]

    def test_a_batch_that_is_larger_than_one_write_is_written_in_several(self, log: Log) -> None:
        count = 2 * MAX_WRITE // 500
        head = put(log.writer(), *(entry(n, reason="x" * 200) for n in range(count)))

        assert log.path.stat().st_size > MAX_WRITE
        assert log.verify(head).lines == count

    def test_a_new_key_signs_from_the_next_start_on(self, log: Log, write: Callable[..., Head]) -> None:
        both = AuditKeys([OTHER_KEY, KEY])
        write(2)
        head = write(2, both)

        assert log.verify(head, keys=both).lines == 4

    def test_a_running_writer_goes_on_after_lines_of_a_newer_one_whose_key_it_lacks(self, log: Log) -> None:
        old, both = log.writer(), AuditKeys([OTHER_KEY, KEY])
        put(old, entry(1))
        put(log.writer(both), entry(2))
        head = put(old, entry(3))

        assert head.seq == 3
        assert log.verify(head, keys=both).ok


class TestAtTheStart:
    def test_a_half_written_line_of_any_length_is_marked_and_the_chain_goes_on(
        self, log: Log, write: Callable[..., Head]
    ) -> None:
        write(3)
        whole = log.path.read_bytes()
        last = len(log.lines()[2])
        for missing in range(1, last):
            log.path.write_bytes(whole[:-missing])
            head = write(1)
            report = log.verify(head)
            assert report.ok, str(report.finding)
            lost = missing > 1  # else the line lacks only its newline, and gets it
            assert events(log)[-2:] == ["torn-line" if lost else "token-issued", "token-issued"]

    def test_a_first_line_that_is_half_written_is_marked(self, log: Log, write: Callable[..., Head]) -> None:
        write(1)
        log.path.write_bytes(log.path.read_bytes()[:40])
        head = write(1)

        assert head.seq == 2
        assert log.verify(head).ok

    def test_zeros_that_a_power_failure_left_are_marked(self, log: Log, write: Callable[..., Head]) -> None:
        write(2)
        log.path.write_bytes(log.path.read_bytes() + b"\0" * 5000)

        assert log.verify(write(1)).ok

    def test_an_edited_last_line_is_not_washed_clean(self, log: Log, write: Callable[..., Head]) -> None:
        write(3)
        log.put([*log.lines()[:2], log.lines()[2].replace(b"192.0.2.7", b"192.0.2.8")])
        write(2)
        report = log.verify()

        assert "log-broken" in events(log)
        assert report.finding is not None
        assert (report.finding.kind, report.finding.line) == (Kind.INSERTED, 3)

    def test_a_file_that_is_no_log_is_left_alone(self, log: Log) -> None:
        log.path.write_text("[DEFAULT]\ndebug = true\n")
        with pytest.raises(AuditUnavailable) as caught:
            check(log.path, KEYS)

        assert "no line that one of the keys has signed" in caught.value.why
        assert log.path.read_text() == "[DEFAULT]\ndebug = true\n"

    def test_a_key_file_without_the_key_of_the_last_line_is_refused(self, log: Log, write: Callable[..., Head]) -> None:
        write(2)
        with pytest.raises(AuditUnavailable) as caught:
            check(log.path, OTHER_KEYS)

        assert f"signed with the key {KEYS.signing_id}, which the key file does not hold" in caught.value.why

    def test_a_good_log_or_none_passes_the_check(self, log: Log, write: Callable[..., Head]) -> None:
        check(log.path, KEYS)
        write(2)
        before = log.path.read_bytes()
        check(log.path, KEYS)

        assert log.path.read_bytes() == before

    def test_a_link_is_not_followed(self, log: Log, tmp_path: Path) -> None:
        elsewhere = tmp_path / "elsewhere"
        elsewhere.touch()
        log.path.symlink_to(elsewhere)
        with pytest.raises(AuditUnavailable):
            check(log.path, KEYS)

        assert elsewhere.read_bytes() == b""

    def test_a_pipe_is_refused_and_not_waited_for(self, log: Log) -> None:
        os.mkfifo(log.path)
        with pytest.raises(AuditUnavailable) as caught:
            check(log.path, KEYS)

        assert "not a regular file" in caught.value.why

    @pytest.mark.parametrize(("option", "value"), [("max_bytes", MAX_LINE - 1), ("backups", 0)])
    def test_bounds_that_make_no_sense_are_refused(self, log: Log, option: str, value: int) -> None:
        with pytest.raises(ValueError, match=option):
            ChainWriter(log.path, KEYS, **dict[str, Any]({"max_bytes": MAX_LINE, "backups": 1, option: value}))
