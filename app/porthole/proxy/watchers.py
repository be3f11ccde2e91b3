"""The io watchers of one session, whose callbacks end it when they fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gevent.hub import get_hub
from gevent.socket import socket

from porthole.proxy.ended import End, Ended
from porthole.proxy.errors import CloseCode, FrameError

READ, WRITE = 1, 2

Callback = Callable[[], None]


class Watcher:
    """Watches one side for being readable or writable.

    :param watcher: gevent's
    :param session: all of the session
    """

    __slots__ = ("_callback", "_session", "_watcher")

    def __init__(self, watcher: Any, callback: Callback, session: Watchers) -> None:
        self._watcher = watcher
        self._callback = callback
        self._session = session

    @property
    def is_active(self) -> bool:
        """Whether it watches."""
        return bool(self._watcher.active)

    def start(self) -> None:
        """Have the callback called from now on, unless the session is over."""
        if not (self._watcher.active or self._session.over):
            self._watcher.start(self._callback)

    def stop(self) -> None:
        """Not any more."""
        self._watcher.stop()

    def close(self) -> None:
        """Stop for good."""
        self._watcher.stop()
        self._watcher.close()


class Watchers:
    """All watchers of a session.

    :param end: ends it
    """

    def __init__(self, end: End) -> None:
        self._end = end
        self._loop = get_hub().loop
        self._all: list[Watcher] = []
        self.over = False

    def io(self, side: socket, events: int, callback: Callback) -> Watcher:
        """Watch a socket, once it is started."""
        return self._add(self._loop.io(side.fileno(), events), callback)

    def every(self, seconds: float, callback: Callback) -> Watcher:
        """Watch the time."""
        return self._add(self._loop.timer(seconds, seconds), callback)

    def after(self, seconds: float, callback: Callback) -> None:
        """Call it once, so many seconds from now."""
        timer = self._loop.timer(seconds)
        guarded = self.guarded(callback)

        def run() -> None:
            self._all.remove(one)
            one.close()
            guarded()

        one = Watcher(timer, run, self)
        self._all.append(one)
        one.start()

    def soon(self, callback: Callback) -> None:
        """Call it once when all that is ready now has had its turn."""
        self._loop.run_callback(self.guarded(callback))

    def stop(self) -> None:
        """The session is over: no callback is called any more."""
        self.over = True
        for watcher in self._all:
            watcher.stop()

    def close(self) -> None:
        """Let go of them."""
        for watcher in self._all:
            watcher.close()
        self._all.clear()

    def guarded(self, callback: Callback) -> Callback:
        """A callback that ends the session on an error, and does nothing once it is over."""

        def run() -> None:
            if self.over:
                return
            try:
                callback()
            except FrameError as error:
                self._end(Ended(error.code, error.reason, "service"))
            except Exception:
                self._end(Ended(CloseCode.INTERNAL_ERROR, "The service met an error of its own.", "service"))
                raise  # the hub logs it

        return run

    def _add(self, watcher: Any, callback: Callback) -> Watcher:
        one = Watcher(watcher, self.guarded(callback), self)
        self._all.append(one)
        return one
