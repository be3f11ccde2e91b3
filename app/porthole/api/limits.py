"""How often may one ask: requests of the API from an address and of a user, and wrong passwords for a user's name.

It is counted in memory, which the workers of a service share. What is remembered has a bound: beyond it the oldest is
forgotten. Sign-ins under way are counted by each worker, as are the turns that they take.
"""

from __future__ import annotations

import math
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Generic, Protocol, TypeVar

from porthole.auth.errors import TooBusy
from porthole.proxy.connections import source

K = TypeVar("K")
V = TypeVar("V")

MAX_REMEMBERED = 10_000
"""Addresses, users, and pairs of address and user name, that are remembered."""

SIGN_INS_PER_ADDRESS = 8
"""Sign-ins of one address under way in one process, so that nobody alone takes all turns; a /64 of IPv6 is one."""

SIGN_IN_AGAIN_AFTER = 5
"""Seconds after which one more makes sense."""

Pair = tuple[float, float]
"""What is remembered of somebody: a count, and a time by the limit's clock."""

_MINUTE = 60.0


class TooManyRequests(Exception):
    """An address or a user asks more often than ``api_requests_per_address`` or ``_per_user`` in ``[limits]`` say.

    :param retry_after: whole seconds after which the next request is taken
    :param who: whose requests they are
    """

    def __init__(self, retry_after: int, who: str = "this address") -> None:
        super().__init__(f"Too many requests came from {who}. Try again in {retry_after} s.")
        self.retry_after = retry_after


class TooManyShares(Exception):
    """A user has ``[limits] shares_per_user`` share links that work.

    :param limit: how many that are
    """

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"You have {limit} share links that work, which is as many as one user may have here. Revoke one that is "
            "not needed any more (DELETE /v1/tokens/ID), or wait until one expires."
        )


class LockedOut(Exception):
    """``[limits] failed_sign_ins`` wrong passwords were given for this user name from this address; it has to wait.

    :param retry_after: whole seconds
    """

    def __init__(self, retry_after: int) -> None:
        super().__init__(
            f"Too many wrong passwords were given for this user from this address. Try again in {retry_after} s; "
            "until then no password is checked."
        )
        self.retry_after = retry_after


class Memory(Protocol):
    """Where a limit remembers; :class:`Recent` is that of one process."""

    def alone(self) -> AbstractContextManager[object]:
        """While nobody else changes anything; nothing may be waited for meanwhile."""

    def get(self, key: Hashable, default: Pair) -> Pair:
        """What was put there last, or the default."""

    def put(self, key: Hashable, value: Pair) -> None:
        """Remember."""

    def drop(self, key: Hashable) -> None:
        """Forget."""


class Recent(Generic[K, V]):
    """The entries that were written last, :data:`MAX_REMEMBERED` at most."""

    def __init__(self) -> None:
        self._entries: OrderedDict[K, V] = OrderedDict()

    def alone(self) -> AbstractContextManager[object]:
        """Nobody else has it."""
        return nullcontext()

    def get(self, key: K, default: V) -> V:
        """What was put there last, or the default."""
        return self._entries.get(key, default)

    def put(self, key: K, value: V) -> None:
        """Remember; the oldest entry is forgotten when there are too many."""
        self._entries[key] = value
        self._entries.move_to_end(key)
        if len(self._entries) > MAX_REMEMBERED:
            self._entries.popitem(last=False)

    def drop(self, key: K) -> None:
        """Forget."""
        self._entries.pop(key, None)


def own_memory(_name: str) -> Memory:
    """That of a limit which no other process shares."""
    return Recent[Hashable, Pair]()


class RequestLimit:
    """A bucket for each address, or for each user: it holds a minute's requests, and fills evenly.

    :param per_minute: requests; 0 for any number
    :param clock: seconds, monotonic
    :param who: whose requests they are, for the refusal
    :param memory: where it remembers; None for one of its own
    """

    def __init__(
        self,
        per_minute: int,
        clock: Callable[[], float] = time.monotonic,
        *,
        who: str = "this address",
        memory: Memory | None = None,
    ) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._who = who
        # Of somebody: when the used requests will all be forgotten.
        self._empty_at = memory or own_memory(who)

    def take(self, key: str) -> None:
        """Count a request of this address or user.

        :raises TooManyRequests: it is one too many, and was not counted
        """
        if not self._per_minute:
            return
        each = _MINUTE / self._per_minute
        with self._empty_at.alone():
            now = self._clock()
            until = max(now, self._empty_at.get(key, (0, 0.0))[1]) + each
            if until - now > _MINUTE + 1e-6:
                raise TooManyRequests(math.ceil(until - now - _MINUTE), self._who)
            self._empty_at.put(key, (0, until))


class Lockout:
    """Wrong passwords by user name and address: the first few cost nothing, then each doubles the wait.

    Somebody at another address is not kept out by it, nor is a browser that has signed in already.

    :param allowed: wrong passwords that cost nothing; 0 for any number
    :param longest: seconds to wait at most; after so long without another one they are forgotten
    :param clock: seconds, monotonic
    :param memory: where it remembers; None for one of its own
    """

    def __init__(
        self,
        allowed: int,
        longest: int,
        clock: Callable[[], float] = time.monotonic,
        memory: Memory | None = None,
    ) -> None:
        self._allowed = allowed
        self._longest = longest
        self._clock = clock
        # Of somebody: how many, and when the wait is over.
        self._failed = memory or own_memory("sign-ins")

    def check(self, address: str, username: str) -> None:
        """Before a password is checked.

        :raises LockedOut: it is not, for a while
        """
        count, until = self._failed.get((address, username), (0, 0.0))
        left = until - self._clock()
        if count >= self._allowed > 0 and left > 0:
            raise LockedOut(math.ceil(left))

    def failed(self, address: str, username: str) -> None:
        """It was wrong."""
        if not self._allowed:
            return
        with self._failed.alone():
            now = self._clock()
            count, until = self._failed.get((address, username), (0, 0.0))
            count = 1 if count and now > until + self._longest else count + 1
            over = int(count) - self._allowed
            wait = min(self._longest, 2 ** min(over, 30)) if over >= 0 else 0
            self._failed.put((address, username), (count, now + wait))

    def succeeded(self, address: str, username: str) -> None:
        """It was right: all is forgotten."""
        with self._failed.alone():
            self._failed.drop((address, username))


class SignInsUnderWay:
    """Sign-ins of each address whose password is being checked, or waits for that.

    :param at_most: of one address
    """

    def __init__(self, at_most: int = SIGN_INS_PER_ADDRESS) -> None:
        self._at_most = at_most
        self._of: Counter[str] = Counter()

    @contextmanager
    def one(self, address: str) -> Iterator[None]:
        """One more, for as long as this lasts.

        :raises TooBusy: it is one too many
        """
        whose = source(address)
        if self._of[whose] >= self._at_most:
            raise TooBusy(SIGN_IN_AGAIN_AFTER, " from this address")
        self._of[whose] += 1
        try:
            yield
        finally:
            self._of[whose] -= 1
            if not self._of[whose]:
                del self._of[whose]
