"""The log for greenlets: it returns when the record is on the disk, holds up nobody else, and has bounds."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

import gevent
import pytest

from porthole.audit import AuditUnavailable, Event
from porthole.audit import log as log_module
from porthole.audit.line import MAX_LINE
from tests.unit.audit.conftest import ANN, Log, Make


@contextmanager
def locked_by_another(log: Log) -> Iterator[None]:
    """A descriptor of its own has a lock of its own, as in another process."""
    descriptor = os.open(log.path.parent, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def numbers(log: Log) -> list[int]:
    return [json.loads(line)["details"]["n"] for line in log.lines()]


class TestRecord:
    def test_it_is_on_the_disk_when_the_call_returns(self, log: Log, make: Make) -> None:
        make().record(
            Event.SESSION_ENDED, who=ANN, client="192.0.2.7", instance="i", compute="c1", token_id="ab", session_id="s",
            reason="4000", details={"seconds": 7},
        )  # fmt: skip
        line = json.loads(log.lines()[0])

        assert line["event"] == "session-ended"
        assert line["who"] == {"user": "ann", "project": "p1"}
        assert (line["client"], line["instance"], line["compute"]) == ("192.0.2.7", "i", "c1")
        assert (line["token_id"], line["session_id"], line["reason"]) == ("ab", "s", "4000")
        assert line["details"] == {"seconds": 7}
        assert log.verify().ok

    def test_records_stand_in_the_order_of_their_calls(self, log: Log, make: Make) -> None:
        audit = make()
        greenlets = [gevent.spawn(audit.record, Event.SIGN_IN, details={"n": n}) for n in range(600)]
        gevent.joinall(greenlets, timeout=30, raise_error=True)

        assert numbers(log) == list(range(600))
        assert log.verify().ok

    def test_those_that_wait_together_are_written_together(
        self, log: Log, make: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        audit = make()
        audit.record(Event.SIGN_IN, details={"n": 0})
        syncs: list[int] = []
        sync = os.fdatasync

        def counted(descriptor: int) -> None:
            syncs.append(descriptor)
            sync(descriptor)

        monkeypatch.setattr(os, "fdatasync", counted)
        with locked_by_another(log):
            greenlets = [gevent.spawn(audit.record, Event.SIGN_IN, details={"n": n}) for n in range(1, 200)]
            gevent.idle()
        gevent.joinall(greenlets, raise_error=True)

        # What came first may have been on its way before the rest stood in line.
        assert 1 <= len(syncs) <= 2
        assert numbers(log) == list(range(200))

    def test_a_lock_held_elsewhere_holds_up_no_other_greenlet(self, log: Log, make: Make) -> None:
        audit = make()
        with locked_by_another(log):
            waiting = gevent.spawn(audit.record, Event.SIGN_IN)
            turns = 0
            end = time.monotonic() + 0.3
            while time.monotonic() < end:
                gevent.sleep(0.001)
                turns += 1
            assert not waiting.ready()
            assert turns > 30
        waiting.get(timeout=10)

    def test_a_greenlet_that_is_killed_leaves_its_record(self, log: Log, make: Make) -> None:
        audit = make()
        with locked_by_another(log):
            waiting = gevent.spawn(audit.record, Event.SIGN_IN, details={"n": 7})
            gevent.idle()
            waiting.kill()
        audit.record(Event.SIGN_OUT, details={"n": 8})

        assert numbers(log) == [7, 8]

    def test_two_logs_of_one_file_go_together(self, log: Log, make: Make) -> None:
        both = [make(), make()]
        greenlets = [gevent.spawn(both[n % 2].record, Event.SIGN_IN, details={"n": n}) for n in range(100)]
        gevent.joinall(greenlets, timeout=30, raise_error=True)

        assert sorted(numbers(log)) == list(range(100))
        assert log.verify().ok

    def test_a_full_file_in_the_middle_of_a_batch_loses_nothing(self, log: Log, make: Make) -> None:
        audit = make(max_bytes=MAX_LINE)
        greenlets = [gevent.spawn(audit.record, Event.SIGN_IN, details={"n": n}) for n in range(500)]
        gevent.joinall(greenlets, timeout=30, raise_error=True)
        lines = [json.loads(line) for file in log.files() for line in file.read_bytes().splitlines()]

        assert len(log.files()) > 2
        assert [line["details"]["n"] for line in lines if line["event"] == "sign-in"] == list(range(500))
        assert log.verify().ok


class TestBounds:
    def test_a_record_that_is_not_written_in_time_is_refused_and_never_written(
        self, log: Log, make: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(log_module, "WAIT", 0.05)
        audit = make()
        with locked_by_another(log), pytest.raises(AuditUnavailable) as caught:
            audit.record(Event.SIGN_IN, details={"n": 1})
        monkeypatch.setattr(log_module, "WAIT", 10.0)
        audit.record(Event.SIGN_IN, details={"n": 2})

        assert "not on the disk after 0.05 seconds" in caught.value.why
        assert numbers(log) == [2]

    def test_a_full_queue_refuses(self, log: Log, make: Make) -> None:
        audit = make()
        with locked_by_another(log):
            waiting = [gevent.spawn(audit.record, Event.SIGN_IN) for _ in range(log_module.MAX_WAITING)]
            gevent.idle()
            with pytest.raises(AuditUnavailable) as caught:
                audit.record(Event.SIGN_IN)
        gevent.joinall(waiting, timeout=30, raise_error=True)

        assert "1000 records wait" in caught.value.why
        assert len(log.lines()) == log_module.MAX_WAITING

    def test_a_closed_log_refuses(self, make: Make) -> None:
        audit = make()
        audit.close()
        with pytest.raises(AuditUnavailable):
            audit.record(Event.SIGN_IN)

    def test_closing_waits_for_what_is_under_way(self, log: Log, make: Make) -> None:
        audit = make()
        with locked_by_another(log):
            waiting = gevent.spawn(audit.record, Event.SERVICE_STOPPED)
            gevent.idle()
            closing = gevent.spawn(audit.close)
            gevent.idle()
            assert not closing.ready()
        closing.get(timeout=10)
        waiting.get(timeout=10)

        assert json.loads(log.lines()[-1])["event"] == "service-stopped"


class TestTrouble:
    def test_a_log_that_cannot_be_opened_refuses_each_record(self, log: Log, make: Make) -> None:
        log.path.mkdir()
        audit = make()
        for _ in range(2):
            with pytest.raises(AuditUnavailable) as caught:
                audit.record(Event.SIGN_IN)
        assert "Is a directory" in caught.value.why
        assert str(log.path) not in str(caught.value)
        assert audit.problem() == "The audit log cannot be written."

    def test_it_recovers_by_itself_and_records_how_many_it_refused(self, log: Log, make: Make) -> None:
        log.path.mkdir()
        audit = make()
        for _ in range(3):
            with pytest.raises(AuditUnavailable):
                audit.record(Event.SIGN_IN)
        log.path.rmdir()

        assert audit.problem() == ""
        resumed = json.loads(log.lines()[0])
        assert (resumed["event"], resumed["details"]["failed"]) == ("recording-resumed", 3)

    def test_a_good_log_has_no_problem_and_the_question_writes_nothing(self, log: Log, make: Make) -> None:
        audit = make()
        audit.record(Event.SIGN_IN)
        before = log.path.read_bytes()

        assert audit.problem() == ""
        assert log.path.read_bytes() == before

    def test_a_folder_that_goes_away_refuses_and_one_that_comes_back_does_not(self, log: Log, make: Make) -> None:
        audit = make()
        audit.record(Event.SIGN_IN)
        away = log.path.parent.rename(log.path.parent.with_name("away"))
        with pytest.raises(AuditUnavailable):
            audit.record(Event.SIGN_IN)
        away.rename(log.path.parent)
        audit.record(Event.SIGN_IN)

        assert log.verify().ok
