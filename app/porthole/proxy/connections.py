"""The connections that carry HTTP and no console, so that waiting clients cannot take all places.

A client that has connected and says nothing costs a place until its time is over. Beyond a
number of them one is cut off, so the next one, which may be a health check, is served at
once: one of the address that has the most, so who has one or two is not pushed out by
somebody with thousands. Of that address it is the one that has waited for longest for a
request; only when none waits, the one that has been answered for longest.
"""

from __future__ import annotations

import contextlib
import ipaddress
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gevent import getcurrent
from gevent.socket import SHUT_RDWR, socket

_IPV6_NETWORK = 64
"""Bits of an IPv6 address that count: whoever has one address has all of its /64 (RFC 4291 2.5.1)."""


@dataclass(slots=True, eq=False)
class _Connection:
    socket: socket
    address: str
    number: int  # the higher, the later it began to wait
    idle: bool = True
    answered: bool = False


class Connections:
    """Those of one server, each belonging to the greenlet that handles it.

    :param limit: how many there may be; one more cuts off another
    :ivar closing: whether the server ends: no connection waits for another request
    """

    def __init__(self, limit: int) -> None:
        self.closing = False
        self._closed = False
        self._limit = limit
        self._numbers = itertools.count()
        self._all: dict[object, _Connection] = {}
        self._of: dict[str, dict[object, _Connection]] = {}  # by address; the one that waits for longest is the first

    def __len__(self) -> int:
        return len(self._all)

    @contextlib.contextmanager
    def carrying(self, side: socket, address: str) -> Iterator[None]:
        """For as long as the calling greenlet has a connection.

        :param address: of its other end
        """
        self._join(side, source(address), answered=False)
        try:
            yield
        finally:
            self.leave()

    def waits(self, side: socket) -> None:
        """The calling greenlet begins to wait for a request on its connection; one that was cut off is not taken up.

        :param side: the connection, which TLS may have made another object
        """
        if before := self._remove(getcurrent()):
            self._join(side, before.address, answered=before.answered)

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
        self._remove(getcurrent())

    def drain(self) -> None:
        """Have every connection end with its next answer. Those that wait for another request are cut off."""
        self.closing = True
        self._cut_idle(lambda connection: connection.answered)

    def close_idle(self) -> None:
        """Cut off all that wait for a request, now and from now on."""
        self.closing = self._closed = True
        self._cut_idle(lambda connection: True)

    def _join(self, side: socket, address: str, *, answered: bool) -> None:
        if len(self._all) >= self._limit:
            owner = self._one_too_many(address)
            if victim := self._remove(owner):
                _cut(victim)
        greenlet = getcurrent()
        connection = _Connection(side, address, next(self._numbers), answered=answered)
        self._all[greenlet] = self._of.setdefault(address, {})[greenlet] = connection

    def _one_too_many(self, newcomer: str) -> object:
        """Whose connection has to go for one more of this address."""
        most = max(len(those) + (address == newcomer) for address, those in self._of.items())
        firsts = [
            next((item for item in those.items() if item[1].idle), next(iter(those.items())))
            for address, those in self._of.items()
            if len(those) + (address == newcomer) == most
        ]
        return min(firsts, key=lambda item: (not item[1].idle, item[1].number))[0]

    def _remove(self, greenlet: object) -> _Connection | None:
        connection = self._all.pop(greenlet, None)
        if connection is not None:
            those = self._of[connection.address]
            del those[greenlet]
            if not those:
                del self._of[connection.address]
        return connection

    def _cut_idle(self, which: Callable[[_Connection], bool]) -> None:
        for connection in list(self._all.values()):
            if connection.idle and which(connection):
                _cut(connection)


def source(address: str) -> str:
    """What counts as one address: an IPv4 address, the /64 of an IPv6 address, or any other name as it is."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(parsed), _IPV6_NETWORK), strict=False))


def _cut(connection: _Connection) -> None:
    """End it under its greenlet, which sees an error or an end of file and cleans up."""
    with contextlib.suppress(OSError):
        # Not the method of a TLS connection, which would go on in plain text.
        socket.shutdown(connection.socket, SHUT_RDWR)
