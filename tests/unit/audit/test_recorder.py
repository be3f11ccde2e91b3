"""The recorder: what must be on record before it happens, what is recorded later, and what strangers can write."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
import structlog

from porthole.audit import AuditUnavailable, Event, Recorder, Who
from porthole.audit import recorder as recorder_module
from porthole.audit.allowance import PER_ADDRESS
from tests.unit.audited import Audited

ANN = Who("ann", "p1")


@pytest.fixture
def audited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Audited]:
    monkeypatch.setattr(recorder_module, "RETRY_EVERY", 0.02)
    audited = Audited(tmp_path)
    yield audited
    audited.recorder.close()


@pytest.fixture
def journal() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as lines:
        yield lines


class TestMust:
    def test_it_is_on_record_when_the_call_returns(self, audited: Audited) -> None:
        audited.recorder.must(Event.TOKEN_ISSUED, who=ANN, client="192.0.2.7", token_id="ab")
        (line,) = audited.lines()
        assert (line["event"], line["who"]["user"], line["client"], line["token_id"]) == (
            "token-issued", "ann", "192.0.2.7", "ab",
        )  # fmt: skip

    def test_else_it_raises_and_is_not_written_later(self, audited: Audited) -> None:
        audited.break_()
        with pytest.raises(AuditUnavailable):
            audited.recorder.must(Event.TOKEN_ISSUED)
        audited.mend()
        audited.recorder.must(Event.SIGN_IN)
        assert audited.events() == ["recording-resumed", "sign-in"]


class TestHappened:
    def test_it_is_on_record_when_the_call_returns(self, audited: Audited) -> None:
        audited.recorder.happened(Event.SESSION_ENDED, session_id="s")
        assert audited.events() == ["session-ended"]

    def test_what_could_not_be_recorded_follows_in_order_and_with_its_time(
        self, audited: Audited, journal: list[Any]
    ) -> None:
        audited.break_()
        for number in range(3):
            audited.recorder.happened(Event.SESSION_ENDED, details={"n": number})
        assert audited.recorder.problem() != ""
        audited.mend()
        with gevent.Timeout(10):
            while len(audited.lines("session-ended")) < 3:
                gevent.sleep(0.01)
        lines = audited.lines()
        assert lines[0]["event"] == "recording-resumed"
        assert [line["details"]["n"] for line in lines[1:]] == [0, 1, 2]
        assert all(line["time"] < lines[0]["time"] for line in lines[1:])
        assert audited.recorder.problem() == ""
        assert len([line for line in journal if line["event"] == "acts are not in the audit log yet"]) == 1

    def test_nobody_waits_long_for_it_while_the_log_does_not_work(self, audited: Audited) -> None:
        audited.break_()
        with gevent.Timeout(recorder_module.LATE_WAIT + 1):
            for _ in range(500):
                audited.recorder.happened(Event.SESSION_ENDED)

    def test_thousands_at_once_are_all_written(self, audited: Audited) -> None:
        count = 2 * recorder_module.LATE_AT_ONCE + 1000
        ends = [gevent.spawn(audited.recorder.happened, Event.SESSION_ENDED, details={"n": n}) for n in range(count)]
        gevent.joinall(ends, timeout=60, raise_error=True)
        audited.recorder.close()
        assert [line["details"]["n"] for line in audited.lines()] == list(range(count))

    def test_the_journal_has_what_is_given_up(
        self, audited: Audited, journal: list[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(recorder_module, "MAX_LATE", 2)
        audited.break_()
        for number in range(3):
            audited.recorder.happened(Event.SESSION_ENDED, session_id=f"s{number}")
            gevent.idle()  # an act that is being tried does not wait

        def given_up() -> list[str]:
            return [line["act"]["session_id"] for line in journal if line["event"] == "act is not in the audit log"]

        assert given_up() == ["s2"]
        audited.recorder.close()
        assert given_up() == ["s2", "s0", "s1"]
        audited.recorder.happened(Event.SESSION_ENDED, session_id="after the close")
        assert given_up()[-1] == "after the close"
        audited.mend()

    def test_the_close_makes_a_last_attempt(self, audited: Audited, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(recorder_module, "RETRY_EVERY", 60.0)
        audited.break_()
        audited.recorder.happened(Event.SESSION_ENDED)
        audited.mend()
        audited.recorder.close()
        assert audited.events() == ["recording-resumed", "session-ended"]


class TestRefusals:
    def test_each_is_a_line(self, audited: Audited) -> None:
        audited.recorder.refused(Event.CONNECT_REFUSED, client="192.0.2.9", reason="token-used")
        (line,) = audited.lines()
        assert (line["result"], line["reason"]) == ("refused", "token-used")

    def test_one_that_cannot_be_recorded_says_so(self, audited: Audited) -> None:
        audited.break_()
        with pytest.raises(AuditUnavailable):
            audited.recorder.refused(Event.SIGN_IN_REFUSED, client="192.0.2.9")
        audited.mend()

    def test_a_stranger_cannot_fill_the_log_and_what_he_does_is_counted(
        self, audited: Audited, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(recorder_module, "TELL_EVERY", 0.05)
        for _ in range(PER_ADDRESS[0] + 30):
            audited.recorder.refused(Event.CONNECT_REFUSED, client="192.0.2.9")
        audited.recorder.refused(Event.CONNECT_REFUSED, client="192.0.2.10")
        assert len(audited.lines("connect-refused")) == PER_ADDRESS[0] + 1
        with gevent.Timeout(10):
            while not audited.lines("refusals-passed-over"):
                gevent.sleep(0.01)
        (line,) = audited.lines("refusals-passed-over")
        assert line["details"] == {"connect-refused": 30}

    def test_the_number_is_not_lost_at_the_close(self, audited: Audited) -> None:
        for _ in range(PER_ADDRESS[0] + 1):
            audited.recorder.refused(Event.SIGN_IN_REFUSED, client="192.0.2.9")
        audited.recorder.close()
        assert audited.lines()[-1]["details"] == {"sign-in-refused": 1}


def test_switched_off_it_does_nothing_and_says_that_all_is_well() -> None:
    recorder = Recorder(None)
    recorder.must(Event.TOKEN_ISSUED)
    recorder.refused(Event.SIGN_IN_REFUSED)
    recorder.happened(Event.SESSION_ENDED)
    assert recorder.problem() == ""
    recorder.close()
