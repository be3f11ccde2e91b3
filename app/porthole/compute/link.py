"""One connection to a compute's libvirt, from its opening to its end, seen from the hub."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import gevent
import libvirt
from gevent.event import Event
from gevent.lock import Semaphore

from porthole.compute import native, probe
from porthole.compute.deadline import Deadline
from porthole.compute.errors import ComputeUnavailable
from porthole.compute.events import EventLoop
from porthole.compute.model import GraphicsEvent
from porthole.compute.threads import Call, Exhausted, NativeThreads

T = TypeVar("T")
OnGraphics = Callable[[GraphicsEvent], None]

CALLS_AT_ONCE = 3
"""Calls that one connection has in libvirt at the same time; further ones wait their turn.

libvirt before 9.9 can overlook a second call until the first is answered or a third comes. That does no harm unless the
first is stuck, and then :meth:`Link._answers` is the third."""

THREADS = 8
"""Native threads of a compute. A new connection is only tried while there are enough for all its calls and its
closing, so at most four can be stuck in C; each of them ends when libvirt gives up or the peer comes back."""

LONG = 0.4
PATIENCE = 0.4
"""Parts of the time limit: after the first a call is taken for slow, and libvirt has the second to show that it is
there. Together they are less than the whole, so that a dead connection is known to be dead when its callers give up."""

MAX_STUCK = 2
"""Calls of one connection that may be stuck while libvirt itself answers; one more, and the connection is replaced.
With those of :data:`CALLS_AT_ONCE` these are the five requests that libvirtd takes from one client at a time."""

MAX_CHANGED = 1000
"""Domains that may wait to be looked at again; beyond it all are listed anew."""


class LinkError(Exception):
    """The connection cannot be opened; ``str()`` is a sentence's end that says why."""


class Link:
    """An open connection. Make one with :func:`open_link`.

    :ivar changed: uuids of the domains that changed since they were last looked at
    :ivar stale: whether changes were lost, so that all domains have to be listed
    :ivar closed: set when libvirt has closed it, some time after its death
    :ivar wake: set when there is something new in ``changed`` or ``stale``, or the connection is dead
    """

    def __init__(self, compute: str, threads: NativeThreads, limit: float, loop: EventLoop) -> None:
        self._compute = compute
        self._threads = threads
        self._limit = limit
        self._loop = loop
        self._slots = Semaphore(CALLS_AT_ONCE)
        self._running = 0
        self._stuck: set[str] = set()
        self._question: Call[None] | None = None
        self._connection: native.Connection | None = None
        self._dead = Event()
        self.changed: set[str] = set()
        self.stale = True
        self.wake = Event()
        self.why = ""
        self.closed = Event()

    @property
    def dead(self) -> bool:
        """Whether the connection has ended; ``why`` says the reason."""
        return self._dead.is_set()

    @property
    def stuck(self) -> bool:
        """Whether libvirt answers and yet does not answer some call. Nothing but :meth:`call` is affected."""
        return bool(self._stuck) and not self.dead

    def call(self, function: Callable[[native.Connection], T], deadline: Deadline, key: str = "") -> T:
        """Run a function with the connection on a native thread; blocks only the calling greenlet.

        A call that is not answered ends the connection if libvirt does not answer a simple
        question either. If it does, only this call is stuck: libvirt holds the lock of one
        domain, for example while its QEMU refuses to end.

        :param key: what the call is about; while one of the same key is stuck, others fail at once
        :raises ComputeUnavailable: the connection is dead, libvirt answered with an error, or the deadline passed
        """
        if key and key in self._stuck:
            raise ComputeUnavailable(self._compute, f"libvirt has still not answered a question about {key}")
        connection = self._take_slot(deadline)
        slot = _Slot(self._slots.release, self._call_ended)
        try:
            call = self._threads.submit(lambda: _run(connection, function), slot.end)
        except Exhausted:
            slot.end()
            raise ComputeUnavailable(self._compute, "all its threads are stuck in libvirt calls") from None
        try:
            call.wait_with(self._dead, min(deadline.left, self._limit * LONG))
        finally:  # also when the caller was killed: its call goes on
            if not (call.ended or self.dead):
                gevent.spawn(self._examine, call, slot, key)
        call.wait_with(self._dead, deadline.left)
        if not call.ended:
            raise ComputeUnavailable(self._compute, self.why or f"timed out after {self._limit:g} s")
        try:
            return call.get(0)
        except _Broken as error:
            self.kill(str(error))
            raise ComputeUnavailable(self._compute, str(error)) from None
        except libvirt.libvirtError as error:
            raise ComputeUnavailable(self._compute, f"libvirt: {error}") from None

    def kill(self, why: str) -> None:
        """Declare the connection dead: calls in flight fail now. It is closed when its last call has ended."""
        if self.dead:
            return
        self.why = why
        self._loop.forget(self.lost_events)
        self._dead.set()
        self.wake.set()
        self._slots.release()  # wakes the first of those who wait, who wakes the next
        if self._running == 0:
            self._close()

    # --- called on the hub for libvirt's events

    def domain_changed(self, uuid: str) -> None:
        """A domain changed; look at it again."""
        if len(self.changed) >= MAX_CHANGED:
            self.lost_events()
        else:
            self.changed.add(uuid)
        self.wake.set()

    def lost_events(self) -> None:
        """Changes were lost; look at all domains again."""
        self.changed.clear()
        self.stale = True
        self.wake.set()

    # --- inside

    def opened(self, connection: native.Connection) -> None:
        """The connection stands (for :func:`open_link`)."""
        self._connection = connection
        self._loop.on_overflow(self.lost_events)
        if self.dead:  # it broke before the hub heard that it was open
            self._close()

    def _take_slot(self, deadline: Deadline) -> native.Connection:
        if not self.dead and not self._slots.acquire(timeout=deadline.left):
            raise ComputeUnavailable(self._compute, f"was busy for {self._limit:g} s")
        if self.dead or self._connection is None:
            self._slots.release()
            raise ComputeUnavailable(self._compute, self.why)
        self._running += 1
        return self._connection

    def _call_ended(self) -> None:
        self._running -= 1
        if self.dead and self._running == 0:
            self._close()

    def _examine(self, call: Call[T], slot: _Slot, key: str) -> None:
        """A call takes long: is it the connection, or only this call?"""
        rest = Deadline(self._limit * (1 - LONG))
        if not self._answers(self._limit * PATIENCE):
            self.kill("libvirt does not answer")
            return
        call.wait_with(self._dead, rest.left)
        if call.ended or self.dead:
            return
        if len(self._stuck) >= MAX_STUCK:
            self.kill(f"{MAX_STUCK + 1} calls are stuck in libvirt")
            return
        mark = key or f"call {id(call)}"
        self._stuck.add(mark)
        slot.give_back()  # others go on; the thread stays counted
        call.then_always(lambda: self._stuck.discard(mark))

    def _answers(self, timeout: float) -> bool:
        """Whether libvirt answers a question that needs no lock of a domain."""
        connection = self._connection
        if self.dead or connection is None:
            return False
        if self._question is None or self._question.ended:
            try:
                self._question = self._threads.submit(
                    lambda: _run(connection, native.Connection.ping), self._call_ended
                )
            except Exhausted:
                return False
            self._running += 1
        question = self._question
        question.wait_with(self._dead, timeout)
        return question.ended and question.succeeded

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            close_later(self._threads, connection, self.closed.set)


def open_link(
    compute: str, uri: str, threads: NativeThreads, limit: float, loop: EventLoop, on_graphics: OnGraphics
) -> Link:
    """Connect to a libvirt, within the time limit.

    :param limit: seconds for each of: resolving and probing the host, and opening
    :param on_graphics: called on the hub with what the clients of screens do; it must not block
    :raises LinkError: it cannot be reached
    """
    if threads.free < CALLS_AT_ONCE + 1:
        raise LinkError(f"{threads.busy} threads are stuck in libvirt calls; waiting for one to end")
    deadline = Deadline(limit)
    _probe(uri, threads, deadline)

    link = Link(compute, threads, limit, loop)
    watcher = native.Watcher(
        changed=lambda uuid: loop.deliver(lambda: link.domain_changed(uuid)),
        closed=lambda why: loop.deliver(lambda: link.kill(why)),
        graphics=lambda event: loop.deliver(lambda: on_graphics(event)),
        compute=compute,
    )
    call = threads.submit(lambda: native.Connection(uri, compute, watcher))
    try:
        connection = call.get(deadline.left)
    except TimeoutError:
        link.kill("was opened too late")
        call.then(lambda late: close_later(threads, late))
        raise LinkError(f"timed out after {limit:g} s") from None
    except libvirt.libvirtError as error:
        raise LinkError(f"libvirt: {error}") from None
    except BaseException:
        call.then(lambda late: close_later(threads, late))
        raise
    link.opened(connection)
    if link.dead:
        raise LinkError(link.why)
    return link


def close_later(threads: NativeThreads, connection: native.Connection, done: Callable[[], None] = lambda: None) -> None:
    """Close a connection on a native thread, and wait for nothing.

    :param done: called on the hub when it is closed
    """
    try:
        threads.submit(connection.close, done)
    except Exhausted:
        # THREADS leaves one for this. Were it not so, the connection stays open: to free it here would block the hub.
        threads.keep(connection)


def _probe(uri: str, threads: NativeThreads, deadline: Deadline) -> None:
    where = probe.endpoint(uri)
    if where is None:
        return
    try:
        found = threads.submit(lambda: native.addresses(where.host, where.port)).get(deadline.left)
        probe.probe(where, found, deadline.left)
    except TimeoutError:
        raise LinkError(f"the name {where.host} was not resolved in time") from None
    except OSError as error:
        raise LinkError(f"the name {where.host} cannot be resolved: {error.strerror}") from None
    except probe.ProbeError as error:
        raise LinkError(str(error)) from None


class _Slot:
    """The place of one call among :data:`CALLS_AT_ONCE`, given back at its end, or before that when it is stuck."""

    def __init__(self, release: Callable[[], object], ended: Callable[[], None]) -> None:
        self._release: Callable[[], object] | None = release
        self._ended = ended

    def give_back(self) -> None:
        """Let another call have the place."""
        release, self._release = self._release, None
        if release is not None:
            release()

    def end(self) -> None:
        """The call has ended."""
        self.give_back()
        self._ended()


class _Broken(Exception):
    """The connection broke during the call."""


def _run(connection: native.Connection, function: Callable[[native.Connection], T]) -> T:
    """On the native thread: the call, and after an error the question whether the connection still stands."""
    try:
        return function(connection)
    except libvirt.libvirtError as error:
        if connection.is_alive():
            raise
        raise _Broken(f"libvirt: {error}") from None
