"""What is counted of addresses and users, in memory that all workers share: so a limit is one for all of them."""

from __future__ import annotations

import hashlib
import mmap
import os
import struct
from collections.abc import Hashable
from contextlib import AbstractContextManager

import gevent

from porthole.api.limits import MAX_REMEMBERED, Pair
from porthole.server.board import Board

FIRST_LOCK = 2
"""Of the board's locks, those of the tables begin with this one."""

TABLES = ("addresses", "users", "sign-ins")

_ENTRY = struct.Struct("=16sdd")
_WAYS = 8
_FREE = bytes(16)


class SharedMemory:
    """The entries of one limit (:class:`porthole.api.limits.Memory`), :data:`MAX_REMEMBERED` at most.

    A key has one bucket, by a hash that nobody outside can compute; in a full one, what is over first is forgotten.

    :param board: has the lock
    :param lock: which of its locks
    """

    def __init__(self, board: Board, lock: int) -> None:
        self._board = board
        self._lock = lock
        self._secret = os.urandom(16)
        self._buckets = MAX_REMEMBERED // _WAYS
        self._memory = mmap.mmap(-1, self._buckets * _WAYS * _ENTRY.size)

    def alone(self) -> AbstractContextManager[object]:
        """While no other worker changes anything; when that takes too long, nevertheless."""
        return self._board.locked(self._lock, gevent.sleep)

    def get(self, key: Hashable, default: Pair) -> Pair:
        """What was put there last, or the default."""
        name = self._name(key)
        for _place, found, first, second in self._bucket(name):
            if found == name:
                return first, second
        return default

    def put(self, key: Hashable, value: Pair) -> None:
        """Remember."""
        name = self._name(key)
        bucket = self._bucket(name)
        # The same one, else a free one, else the one whose time is over first.
        place = min(bucket, key=lambda entry: (entry[1] != name, entry[1] != _FREE, entry[3]))[0]
        _ENTRY.pack_into(self._memory, place, name, *value)

    def drop(self, key: Hashable) -> None:
        """Forget."""
        name = self._name(key)
        for place, found, _first, _second in self._bucket(name):
            if found == name:
                _ENTRY.pack_into(self._memory, place, _FREE, 0.0, 0.0)

    def _name(self, key: Hashable) -> bytes:
        return hashlib.blake2b(repr(key).encode(errors="surrogatepass"), digest_size=16, key=self._secret).digest()

    def _bucket(self, name: bytes) -> list[tuple[int, bytes, float, float]]:
        """The entries that this one may be among: where each is, its name and its value."""
        first = int.from_bytes(name[:8]) % self._buckets * _WAYS
        places = range(first * _ENTRY.size, (first + _WAYS) * _ENTRY.size, _ENTRY.size)
        return [(place, *_ENTRY.unpack_from(self._memory, place)) for place in places]
