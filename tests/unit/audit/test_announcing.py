"""Heads are announced: at once, at intervals, and at the close."""

from __future__ import annotations

from gevent.event import Event as Signal

from porthole.audit import Event, Head
from tests.unit.audit.conftest import Log, Make


class TestHeads:
    def test_the_first_is_announced_at_once_and_the_last_at_the_close(self, log: Log, make: Make) -> None:
        heads: list[Head] = []
        audit = make(heads.append)
        for _ in range(5):
            audit.record(Event.SIGN_IN)
        audit.close()

        assert [head.seq for head in heads] == [1, 5]
        assert log.verify(*heads).heads == 2

    def test_a_new_one_is_announced_when_it_is_time_and_none_without_a_record(self, make: Make) -> None:
        heads: list[Head] = []
        announced = Signal()

        def announce(head: Head) -> None:
            heads.append(head)
            announced.set()

        audit = make(announce, every=0.05)
        audit.record(Event.SIGN_IN)
        announced.clear()
        audit.record(Event.SIGN_IN)
        audit.record(Event.SIGN_IN)
        assert announced.wait(10)
        announced.clear()

        assert [head.seq for head in heads] == [1, 3]
        assert not announced.wait(0.2)
        audit.close()
        assert len(heads) == 2

    def test_an_announcement_that_fails_stops_no_record(self, log: Log, make: Make) -> None:
        def announce(_: Head) -> None:
            raise OSError("the journal is gone")

        audit = make(announce)
        audit.record(Event.SIGN_IN)
        audit.record(Event.SIGN_IN)

        assert len(log.lines()) == 2
