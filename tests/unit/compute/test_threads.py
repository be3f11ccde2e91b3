"""Native threads that are counted and bounded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import gevent
import pytest

from porthole.compute.threads import Exhausted, NativeThreads

Eventually = Callable[[Callable[[], object]], None]


@pytest.fixture
def stuck() -> Iterator[threading.Event]:
    """What a stuck call waits for; set at the end, so that no thread stays."""
    event = threading.Event()
    yield event
    event.set()


def test_the_result_comes_back_and_the_hub_goes_on_meanwhile(stuck: threading.Event) -> None:
    call = NativeThreads(1).submit(lambda: stuck.wait(30))
    gevent.spawn_later(0.01, stuck.set)

    assert call.get(30) is True


def test_an_exception_comes_back_and_is_not_printed(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        NativeThreads(1).submit(fail).get(30)

    assert capfd.readouterr() == ("", "")


def test_who_gives_up_waiting_frees_no_thread(stuck: threading.Event, eventually: Eventually) -> None:
    threads = NativeThreads(2)
    call = threads.submit(lambda: stuck.wait(30))
    with pytest.raises(TimeoutError):
        call.get(0.01)

    assert (threads.busy, threads.free) == (1, 1)
    stuck.set()
    eventually(lambda: (threads.busy, threads.free) == (0, 2))


def test_a_call_too_many_is_refused_at_once(stuck: threading.Event) -> None:
    threads = NativeThreads(2)
    for _ in range(2):
        threads.submit(lambda: stuck.wait(30))

    with pytest.raises(Exhausted):
        threads.submit(lambda: None)


def test_stuck_threads_leave_the_hubs_own_pool_alone(stuck: threading.Event) -> None:
    threads = NativeThreads(8)
    for _ in range(8):
        threads.submit(lambda: stuck.wait(30))

    assert gevent.get_hub().threadpool.apply(lambda: "free") == "free"


def test_done_is_called_when_the_thread_is_free(eventually: Eventually) -> None:
    done: list[int] = []
    threads = NativeThreads(1)

    threads.submit(lambda: None, lambda: done.append(threads.free))

    eventually(lambda: done == [1])
