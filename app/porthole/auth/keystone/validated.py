"""Tokens that Keystone has said are good, remembered for a short time by a keyed hash."""

from __future__ import annotations

import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple, cast

from gevent.event import AsyncResult

from porthole.auth.errors import IdentityUnavailable
from porthole.auth.principal import Principal

MAX_REMEMBERED = 10_000
"""Tokens; beyond it the one that was asked about first is forgotten."""


class Valid(NamedTuple):
    """A token that is good.

    :ivar expires: Unix time
    """

    principal: Principal
    expires: float


class Validated:
    """Asks about a token, once for all who want to know at the same time, and not again for a while.

    :param ask: asks Keystone; what it raises is everybody's answer, and is not remembered
    :param seconds: for which an answer counts; 0 for no time
    :param clock: seconds that only go forward
    """

    def __init__(
        self,
        ask: Callable[[str], Valid],
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
        max_remembered: int = MAX_REMEMBERED,
    ) -> None:
        self._ask = ask
        self._seconds = seconds
        self._clock = clock
        self._max_remembered = max_remembered
        self._key = secrets.token_bytes(32)
        self._remembered: OrderedDict[bytes, tuple[float, Valid]] = OrderedDict()
        self._asking: dict[bytes, AsyncResult[Valid]] = {}

    def get(self, token: str) -> Valid:
        """What a token stands for.

        :raises Exception: what ``ask`` raises
        """
        digest = self._digest(token)
        until, valid = self._remembered.get(digest, (0.0, None))
        if valid is not None and self._clock() < until:
            return valid
        asking = self._asking.get(digest)
        if asking is not None:
            return cast(Valid, asking.get())
        return self._find(digest, token)

    def remember(self, token: str, valid: Valid) -> None:
        """Somebody has just got it from Keystone."""
        self._remember(self._digest(token), valid)

    def forget(self, token: str) -> None:
        """It is to be asked about anew."""
        self._remembered.pop(self._digest(token), None)

    def _find(self, digest: bytes, token: str) -> Valid:
        result: AsyncResult[Valid] = AsyncResult()
        self._asking[digest] = result
        try:
            valid = self._ask(token)
        except Exception as error:
            self._remembered.pop(digest, None)
            result.set_exception(error)
            raise
        except BaseException:
            # The greenlet was killed: those who wait for the same answer must not wait for ever.
            result.set_exception(IdentityUnavailable("whoever asked first did not wait for the answer"))
            raise
        finally:
            del self._asking[digest]
        self._remember(digest, valid)
        result.set(valid)
        return valid

    def _remember(self, digest: bytes, valid: Valid) -> None:
        if self._seconds <= 0:
            return
        self._remembered[digest] = (self._clock() + self._seconds, valid)
        self._remembered.move_to_end(digest)
        while len(self._remembered) > self._max_remembered:
            self._remembered.popitem(last=False)

    def _digest(self, token: str) -> bytes:
        return hmac.digest(self._key, token.encode(), "sha256")
