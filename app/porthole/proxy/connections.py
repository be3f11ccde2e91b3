"""The connections that carry HTTP and no console, so that waiting clients cannot take all places.

A client that has connected and says nothing costs a place until its time is over.
Beyond a number of them the one that has been quiet for longest is cut off, so the
next one, which may be a health check, is served at once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gevent import getcurrent
from gevent.socket import SHUT_RDWR, socket


@dataclass(slots=True, eq=False)
class _Connection:
    socket: socket
    idle: bool = True
    answered: bool = False


class Connections:
    """Those of one server, each belonging to the greenlet that handles it.

    :param limit: how many there may be; one more cuts off the oldest
    :ivar closing: whether the server ends: no connection waits for another request
    """

    def __init__(self, limit: int) -> None:
        self.closing = False
        self._closed = False
        self._limit = limit
        self._all: dict[object, _Connection] = {}  # the one that is quiet for longest is the first

    def __len__(self) -> int:
        return len(self._all)

    @contextlib.contextmanager
    def carrying(self, side: socket) -> Iterator[None]:
        """For as long as the calling greenlet has a connection."""
        self.waits(side)
        try:
            yield
        finally:
            self.leave()

    def waits(self, side: socket) -> None:
        """The calling greenlet begins to wait for a request on this connection."""
        greenlet = getcurrent()
        before = self._all.pop(greenlet, None)
        self._all[greenlet] = _Connection(side, answered=before is not None and before.answered)
        if len(self._all) > self._limit:
            _cut(self._all.pop(next(iter(self._all))))

    def answers(self) -> None:
        """The calling greenlet has a request and answers it."""
        if connection := self._all.get(getcurrent()):
            connection.idle, connection.answered = False, True

    def may_wait(self) -> bool:
        """Whether the calling greenlet may wait for a request: while the server ends, for a first one at most."""
        if not self.closing:
            return True
        connection = self._all.get(getcurrent())
        return connection is not None and not connection.answered and not self._closed

    def leave(self) -> None:
        """The calling greenlet's connection is closed, or has become a console's."""
        self._all.pop(getcurrent(), None)

    def drain(self) -> None:
        """Have every connection end with its next answer. Those that wait for another request are cut off."""
        self.closing = True
        self._cut_idle(lambda connection: connection.answered)

    def close_idle(self) -> None:
        """Cut off all that wait for a request, now and from now on."""
        self.closing = self._closed = True
        self._cut_idle(lambda connection: True)

    def _cut_idle(self, which: Callable[[_Connection], bool]) -> None:
        for connection in list(self._all.values()):
            if connection.idle and which(connection):
                _cut(connection)


def _cut(connection: _Connection) -> None:
    """End it under its greenlet, which sees an error or an end of file and cleans up."""
    with contextlib.suppress(OSError):
        # Not the method of a TLS connection, which would go on in plain text.
        socket.shutdown(connection.socket, SHUT_RDWR)
