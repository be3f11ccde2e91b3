"""libvirt's event loop, on one native thread of the process.

libvirt delivers events, notices dead connections and answers keepalives only
while its event loop runs. The loop blocks in C, so it has a thread of its own;
what happens is handed to gevent's hub through a deque and an async watcher, the
two things that may be touched from both sides. Nothing else of gevent is used
on that thread: its locks belong to a hub.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable

import gevent
import libvirt
from gevent import monkey

LOG = logging.getLogger(__name__)

MAX_WAITING = 10_000
"""Events that may wait for the hub; beyond it they are dropped and every subscriber lists anew."""

# Under monkey-patching these names would be gevent's.
_start_new_thread = monkey.get_original("_thread", "start_new_thread")
_sleep = monkey.get_original("time", "sleep")

_PAUSE_AFTER_ERROR = 0.05


class EventLoop:
    """The bridge from libvirt's thread to the hub. One a process: see :func:`event_loop`."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._waiting: deque[Callable[[], None]] = deque()
        self._dropped = False
        self._overflow_handlers: set[Callable[[], None]] = set()
        self._watcher = gevent.get_hub().loop.async_(ref=False)
        self._watcher.start(self._drain)
        # libvirt prints every error on stderr unless somebody takes it; each one is raised as well.
        libvirt.registerErrorHandler(_ignore, None)
        libvirt.virEventRegisterDefaultImpl()
        _start_new_thread(_run_forever, ())

    def deliver(self, handler: Callable[[], None]) -> None:
        """Have ``handler`` called on the hub, where it must not block. For any thread."""
        if len(self._waiting) >= MAX_WAITING:
            self._dropped = True
        else:
            self._waiting.append(handler)
        self._watcher.send()

    def on_overflow(self, handler: Callable[[], None]) -> None:
        """Have ``handler`` called on the hub whenever events were lost."""
        self._overflow_handlers.add(handler)

    def forget(self, handler: Callable[[], None]) -> None:
        """Undo :meth:`on_overflow`."""
        self._overflow_handlers.discard(handler)

    def _drain(self) -> None:
        # Only as many as there are now: a flood must not hold the hub.
        for _ in range(len(self._waiting)):
            self._call(self._waiting.popleft())
        if self._dropped:
            self._dropped = False
            LOG.warning(
                "too many events of libvirt at once: some were dropped, strangers' connections perhaps among them"
            )
            for handler in list(self._overflow_handlers):
                self._call(handler)

    @staticmethod
    def _call(handler: Callable[[], None]) -> None:
        try:
            handler()
        except Exception:
            LOG.exception("a handler of libvirt's events failed")


_process_loop: EventLoop | None = None


def event_loop() -> EventLoop:
    """The process's event loop, started at the first call.

    The one global of the package: libvirt accepts one event implementation a
    process and has no call to take it back. A child of ``fork`` starts its own,
    so nothing may call this before gunicorn has forked its workers.
    """
    global _process_loop  # noqa: PLW0603
    if _process_loop is None or _process_loop.pid != os.getpid():
        _process_loop = EventLoop()
    return _process_loop


def _run_forever() -> None:
    while True:
        try:
            libvirt.virEventRunDefaultImpl()
        except libvirt.libvirtError:
            _sleep(_PAUSE_AFTER_ERROR)


def _ignore(context: object, error: object) -> None:
    pass
