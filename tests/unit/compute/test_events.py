"""From libvirt's thread to gevent's hub."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import gevent
import pytest

from porthole.compute import events
from porthole.compute.events import event_loop

Eventually = Callable[[Callable[[], object]], None]


def in_a_native_thread(function: Callable[[], object]) -> None:
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


def test_the_process_has_one_event_loop() -> None:
    assert event_loop() is event_loop()


def test_what_a_native_thread_delivers_runs_on_the_hub_in_order(eventually: Eventually) -> None:
    seen: list[tuple[int, bool]] = []
    loop = event_loop()

    def note(number: int) -> None:
        seen.append((number, gevent.getcurrent() is gevent.get_hub()))

    def deliver() -> None:
        for number in range(100):
            loop.deliver(partial(note, number))

    in_a_native_thread(deliver)

    eventually(lambda: len(seen) == 100)
    assert seen == [(number, True) for number in range(100)]


def test_a_handler_that_fails_hurts_no_other(eventually: Eventually, caplog: pytest.LogCaptureFixture) -> None:
    seen: list[str] = []
    loop = event_loop()

    def fail() -> None:
        raise LookupError("on purpose")

    loop.deliver(fail)
    loop.deliver(lambda: seen.append("next"))

    eventually(lambda: seen == ["next"])
    assert "a handler of libvirt's events failed" in caplog.text


def test_a_flood_is_bounded_and_the_loss_is_told(eventually: Eventually, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MAX_WAITING", 10)
    seen: list[int] = []
    lost: list[str] = []
    loop = event_loop()

    def overflow() -> None:
        lost.append("events were lost")

    loop.on_overflow(overflow)
    try:
        for number in range(1000):
            loop.deliver(partial(seen.append, number))
        eventually(lambda: lost)
    finally:
        loop.forget(overflow)

    assert (seen, lost) == (list(range(10)), ["events were lost"])
