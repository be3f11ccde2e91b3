"""Native threads for calls that block in C, counted and bounded.

A time limit does not free a thread: a libvirt call to a silent peer keeps its
thread until libvirt itself gives up. So every compute has threads of its own,
never those of gevent's hub (name resolution needs them), and what is stuck is
counted: see :attr:`NativeThreads.busy`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeAlias, TypeVar, cast

import gevent
from gevent.event import AsyncResult, Event
from gevent.threadpool import ThreadPool

T = TypeVar("T")
_Result: TypeAlias = "AsyncResult[tuple[Any, Exception | None]]"


class Exhausted(Exception):
    """All threads are busy."""


class NativeThreads:
    """A fixed number of native threads, started when they are first needed.

    Belongs to the thread whose gevent hub made it; only that one calls it.

    :param size: the most calls that run at once
    """

    def __init__(self, size: int) -> None:
        self._pool = ThreadPool(size)
        self._size = size
        self._busy = 0
        self._kept: list[object] = []

    @property
    def busy(self) -> int:
        """Calls that have not ended, those included for which nobody waits any more."""
        return self._busy

    @property
    def free(self) -> int:
        """Calls that can be started now."""
        return self._size - self._busy

    def submit(self, function: Callable[[], T], done: Callable[[], None] = lambda: None) -> Call[T]:
        """Start a call at once; this never blocks.

        :param done: called on the hub when the thread is free again; must not block
        :raises Exhausted: all threads are busy
        """
        if self._busy >= self._size:
            raise Exhausted
        self._busy += 1
        result: _Result = self._pool.spawn(_guarded, function)

        def ended(_: object) -> None:
            self._busy -= 1
            done()

        result.rawlink(ended)
        return Call(result)

    def close(self) -> None:
        """End the threads. Does nothing while one is stuck: it cannot be interrupted, and ends with the process."""
        if not self._busy:
            self._pool.kill()

    def keep(self, thing: object) -> None:
        """Keep a reference for as long as the process lives, so that ``thing`` is never freed on the hub."""
        self._kept.append(thing)


class Call(Generic[T]):
    """A call that was started on a thread."""

    def __init__(self, result: _Result) -> None:
        self._result = result

    @property
    def ended(self) -> bool:
        """Whether the function has returned or raised."""
        return self._result.ready()

    @property
    def succeeded(self) -> bool:
        """Whether the function has returned."""
        return self.ended and _outcome(self._result)[1] is None

    def wait_with(self, event: Event, timeout: float) -> None:
        """Wait until the call has ended, the event is set, or ``timeout`` seconds are over."""
        gevent.wait([self._result, event], timeout=timeout, count=1)

    def then(self, receive: Callable[[T], None]) -> None:
        """Have ``receive`` called on the hub with the result, if there is one; it must not block."""

        def ended(result: _Result) -> None:
            value, error = _outcome(result)
            if error is None:
                receive(value)

        self._result.rawlink(ended)

    def then_always(self, ended: Callable[[], None]) -> None:
        """Have ``ended`` called on the hub when the function has returned or raised; it must not block."""
        self._result.rawlink(lambda _: ended())

    def get(self, timeout: float | None) -> T:
        """Wait for the function's result, or raise what it raised.

        :raises TimeoutError: it has not ended within ``timeout`` seconds
        """
        self._result.wait(timeout)
        if not self._result.ready():
            raise TimeoutError
        value, error = _outcome(self._result)
        if error is not None:
            raise error
        return cast(T, value)


def _outcome(result: _Result) -> tuple[Any, Exception | None]:
    outcome = result.get()
    assert outcome is not None  # noqa: S101 - for the type checker: _guarded always returns a pair
    return outcome


def _guarded(function: Callable[[], object]) -> tuple[object, Exception | None]:
    """Hand over exceptions as values: gevent prints those that leave a thread.

    Their tracebacks are dropped, for the frames hold libvirt's objects, and to free those can block.
    """
    try:
        return function(), None
    except Exception as error:
        error.__cause__ = error.__context__ = None
        return None, error.with_traceback(None)
