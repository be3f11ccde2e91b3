"""Who is to speak next: an opening as a generator of steps, and what feeds it.

An opening is written down in the order in which it happens, as a generator that
yields a step at a time: :class:`Read` so many bytes, :class:`Send` these,
:class:`StartTls`. Only what a step asks for is ever read, so nothing is taken that
belongs to what comes next.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Read:
    """So many bytes of the peer are wanted.

    :ivar count: one at least; each step that gives it has a bound of its own
    :ivar what: what they are, for the sentence that says that they did not come
    """

    count: int
    what: str


@dataclass(frozen=True, slots=True)
class Send:
    """These bytes are the peer's."""

    data: bytes


@dataclass(frozen=True, slots=True)
class StartTls:
    """From the next byte on, the connection is TLS, and we are its client."""


Steps = Generator[Read | Send | StartTls, bytes, T]
"""An opening; its return value is what came of it."""


class Conversation(Generic[T]):
    """One opening under way.

    :ivar missing: bytes that the peer has to send before it goes on; 0 when it is over or waits for TLS
    :ivar awaited: what these bytes are
    :ivar wants_tls: whether TLS has to be started, and :meth:`tls_started` to be called
    :ivar over: whether it has come to its end; :attr:`outcome` says with what
    """

    __slots__ = ("_outcome", "_outgoing", "_received", "_steps", "_wanted", "over", "wants_tls")

    def __init__(self, steps: Steps[T]) -> None:
        """Begin: what is to be sent first is ready.

        :param steps: the opening, of which nothing has been run
        """
        self.over = False
        self.wants_tls = False
        self._steps = steps
        self._outgoing = bytearray()
        self._received = bytearray()
        self._wanted = Read(0, "")
        self._outcome: T | None = None
        self._advance(None)

    @property
    def missing(self) -> int:
        """See above."""
        return 0 if self.over or self.wants_tls else self._wanted.count - len(self._received)

    @property
    def awaited(self) -> str:
        """See above."""
        return self._wanted.what

    @property
    def outcome(self) -> T:
        """What came of it.

        :raises ValueError: it is not over
        """
        if not self.over:
            raise ValueError("the conversation goes on")
        return self._outcome  # type: ignore[return-value]  # T may be None

    def outgoing(self) -> bytes:
        """What is to be sent now; each byte is given once."""
        data = bytes(self._outgoing)
        self._outgoing.clear()
        return data

    def feed(self, data: bytes) -> bytes:
        """Take what the peer sent.

        :param data: any number of bytes
        :returns: the part of it that was not wanted, because the conversation is over or waits for TLS
        :raises RfbError: the conversation has failed
        """
        position = 0
        while position < len(data) and (missing := self.missing):
            self._received += data[position : position + missing]
            position += missing
            if not self.missing:
                answer = bytes(self._received)
                self._received.clear()
                self._advance(answer)
        return data[position:]

    def tls_started(self) -> None:
        """TLS stands; the conversation goes on inside it.

        :raises RfbError: the conversation has failed
        """
        self.wants_tls = False
        self._advance(b"")

    def _advance(self, answer: bytes | None) -> None:
        """Run to the next step that needs the peer."""
        try:
            # A generator is started with None.
            step = next(self._steps) if answer is None else self._steps.send(answer)
            while isinstance(step, Send):
                self._outgoing += step.data
                step = self._steps.send(b"")
        except StopIteration as end:
            self._outcome = end.value
            self.over = True
            return
        if isinstance(step, StartTls):
            self.wants_tls = True
        else:
            self._wanted = step
