"""Checking passwords against bcrypt hashes without stopping anything else.

A check at cost 12 is a quarter of a second of processor. It runs on native
threads of its own, few of them and with a bounded queue; a password that was
right is remembered for a minute as a keyed hash.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable

import bcrypt
from gevent.event import AsyncResult
from gevent.threadpool import ThreadPool

from porthole.auth.errors import TooBusy

MAX_PASSWORD_BYTES = 72
"""bcrypt takes no more; what follows would not be checked."""

THREADS = 2
MAX_WAITING = 32
RETRY_AFTER = 5
REMEMBER_SECONDS = 60.0
MAX_REMEMBERED = 10_000


def password_problem(password: bytes) -> str:
    """Why bcrypt cannot take this password, as the end of a sentence; empty when it can."""
    if not password:
        return "is empty"
    if len(password) > MAX_PASSWORD_BYTES:
        return f"is longer than {MAX_PASSWORD_BYTES} bytes, which is bcrypt's limit (a letter such as ä counts as two)"
    if b"\0" in password:
        return "has a null byte, at which bcrypt would stop reading"
    return ""


class PasswordChecker:
    """Compares passwords with bcrypt hashes on native threads.

    :param threads: how many checks run at once
    :param max_waiting: how many may be under way or wait; beyond that :class:`TooBusy`
    :param clock: seconds that only go forward
    :param check: ``check(password, hash) -> bool``; bcrypt's, which releases the interpreter lock
    """

    def __init__(
        self,
        threads: int = THREADS,
        max_waiting: int = MAX_WAITING,
        max_remembered: int = MAX_REMEMBERED,
        clock: Callable[[], float] = time.monotonic,
        check: Callable[[bytes, bytes], bool] = bcrypt.checkpw,
    ) -> None:
        self._pool = ThreadPool(threads)
        self._max_waiting = max_waiting
        self._max_remembered = max_remembered
        self._clock = clock
        self._check = check
        self._key = secrets.token_bytes(32)
        self._remembered: OrderedDict[bytes, float] = OrderedDict()
        self._running: dict[bytes, AsyncResult[bool]] = {}

    def matches(self, user: bytes, password: bytes, password_hash: bytes) -> bool:
        """Whether the password is the hash's.

        The user's hash is part of what is remembered, so a changed password is
        forgotten with it. The greenlet waits, the hub does not.

        :param password: without the problems that :func:`password_problem` names
        :raises TooBusy: the queue is full
        """
        digest = self._digest(user, password, password_hash)
        if self._is_remembered(digest):
            return True
        running = self._running.get(digest)
        if running is not None:
            return bool(running.get())
        if len(self._running) >= self._max_waiting:
            raise TooBusy(RETRY_AFTER)
        return self._run(digest, password, password_hash)

    def close(self) -> None:
        """End the threads; waits for a check that is running."""
        self._pool.kill()

    def _run(self, digest: bytes, password: bytes, password_hash: bytes) -> bool:
        result: AsyncResult[bool] = AsyncResult()
        self._running[digest] = result
        try:
            right = bool(self._pool.apply(self._check, (password, password_hash)))
        except BaseException:
            # The greenlet was killed or bcrypt failed: those who wait for the same check must not wait for ever.
            result.set_exception(TooBusy(RETRY_AFTER))
            raise
        finally:
            del self._running[digest]
        if right:
            self._remember(digest)
        result.set(right)
        return right

    def _digest(self, user: bytes, password: bytes, password_hash: bytes) -> bytes:
        # The lengths keep "ab" + "c" and "a" + "bc" apart.
        parts = b"".join(len(part).to_bytes(4, "big") + part for part in (user, password_hash, password))
        return hmac.digest(self._key, parts, "sha256")

    def _is_remembered(self, digest: bytes) -> bool:
        until = self._remembered.get(digest)
        if until is None:
            return False
        if until <= self._clock():
            del self._remembered[digest]
            return False
        return True

    def _remember(self, digest: bytes) -> None:
        self._remembered[digest] = self._clock() + REMEMBER_SECONDS
        self._remembered.move_to_end(digest)
        while len(self._remembered) > self._max_remembered:
            self._remembered.popitem(last=False)
