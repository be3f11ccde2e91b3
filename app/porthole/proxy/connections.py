"""The connections that carry HTTP and no console, so that waiting clients cannot take all places.

A client that has connected and says nothing costs a place until its time is over.
Beyond a number of them the one that has been quiet for longest is cut off, so the
next one, which may be a health check, is served at once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from gevent import getcurrent
from gevent.socket import SHUT_RDWR, socket


@dataclass(slots=True, eq=False)
class _Connection:
    socket: socket
    idle: bool = True


class Connections:
    """Those of one server, each belonging to the greenlet that handles it.

    :param limit: how many there may be; one more cuts off the oldest
    :ivar closing: whether the server stops: no connection waits for another request
    """

    def __init__(self, limit: int) -> None:
        self.closing = False
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
        self._all.pop(greenlet, None)
        self._all[greenlet] = _Connection(side)
        if len(self._all) > self._limit:
            _cut(self._all.pop(next(iter(self._all))))

    def answers(self) -> None:
        """The calling greenlet has a request and answers it."""
        if connection := self._all.get(getcurrent()):
            connection.idle = False

    def leave(self) -> None:
        """The calling greenlet's connection is closed, or has become a console's."""
        self._all.pop(getcurrent(), None)

    def close_idle(self) -> None:
        """Cut off all that wait for a request, now and from now on."""
        self.closing = True
        for connection in list(self._all.values()):
            if connection.idle:
                _cut(connection)


def _cut(connection: _Connection) -> None:
    """End it under its greenlet, which sees an error or an end of file and cleans up."""
    with contextlib.suppress(OSError):
        # Not the method of a TLS connection, which would go on in plain text.
        socket.shutdown(connection.socket, SHUT_RDWR)
