"""What is recorded: an event, who, from where, about what, and how it ended."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

MAX_TEXT = 200
"""Characters of a text; a longer one is cut, with a mark that says how many are missing."""

MAX_NAME = 40
"""Characters of a detail's name."""

MAX_DETAILS = 10
"""Details of a record; further ones are left out, and ``more`` says how many."""

MAX_NUMBER = 2**53
"""JSON readers know whole numbers up to here (RFC 8259, 6); larger ones are written as text."""

_ID = re.compile(r"[0-9A-Za-z-]{0,64}")

Detail: TypeAlias = str | int | bool | None


class Event(StrEnum):
    """What happened. The last ones are the log's own."""

    SIGN_IN = "sign-in"
    SIGN_IN_REFUSED = "sign-in-refused"
    SIGN_OUT = "sign-out"
    CONSOLE_REFUSED = "console-refused"
    TOKEN_ISSUED = "token-issued"  # noqa: S105 - the name of an event
    CONSOLE_SHARED = "console-shared"
    """A link was made with which anybody can watch; ``expires`` says until when, ``uses`` how many."""
    TOKEN_REVOKED = "token-revoked"  # noqa: S105 - the name of an event
    SESSION_STARTED = "session-started"
    SESSION_ENDED = "session-ended"
    SESSION_KILLED = "session-killed"
    SESSION_RENEWED = "session-renewed"
    CONNECT_REFUSED = "connect-refused"
    ADMIN_ACT = "admin-act"
    STRANGER_ON_SCREEN = "stranger-on-screen"
    """A VNC client that came past the appliance."""
    SERVICE_STARTED = "service-started"
    SERVICE_STOPPED = "service-stopped"

    LOG_ROTATED = "log-rotated"
    """A new file begins. ``removed_to`` is the last line of the files that were removed for it, 0 when none was."""
    TORN_LINE = "torn-line"
    """The line before was half written, for example at a power failure; ``bytes`` and ``sha256`` say what it is."""
    LOG_BROKEN = "log-broken"
    """The file does not end as it was written; the chain goes on from the last line that is known."""
    RECORDING_RESUMED = "recording-resumed"
    """Records could not be written, ``failed`` of them since ``since``, and now they can."""
    REFUSALS_PASSED_OVER = "refusals-passed-over"
    """There were too many refusals to record each; the details say how many of which event."""


class Result(StrEnum):
    """How it ended."""

    SUCCESS = "success"
    REFUSED = "refused"
    FAILED = "failed"


_RESULTS = {
    Event.SIGN_IN_REFUSED: Result.REFUSED,
    Event.CONSOLE_REFUSED: Result.REFUSED,
    Event.CONNECT_REFUSED: Result.REFUSED,
    Event.REFUSALS_PASSED_OVER: Result.REFUSED,
    Event.TORN_LINE: Result.FAILED,
    Event.LOG_BROKEN: Result.FAILED,
}


@dataclass(frozen=True, slots=True)
class Who:
    """The person or program that acts; both empty when it is the service itself, or nobody knows."""

    user: str = ""
    project: str = ""


NOBODY = Who()


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A record before it has its place in the chain.

    :ivar time: Unix time in seconds at which it happened
    :ivar client: the address it came from
    :ivar instance: the instance's id
    :ivar token_id: the name of the token in the store, never the token
    :ivar reason: the problem code, close code or sentence
    :ivar result: without it, that which the event's name says
    :ivar details: further ones, flat
    """

    event: Event
    time: float
    who: Who = NOBODY
    client: str = ""
    instance: str = ""
    compute: str = ""
    token_id: str = ""
    session_id: str = ""
    reason: str = ""
    result: Result | None = None
    details: Mapping[str, Detail] = field(default_factory=dict)

    def fields(self) -> dict[str, object]:
        """The fields in the order in which they are written, each of a bounded length."""
        return {
            "event": self.event.value,
            "result": (self.result or _RESULTS.get(self.event, Result.SUCCESS)).value,
            "who": {"user": cut(self.who.user), "project": cut(self.who.project)},
            "client": cut(self.client),
            "instance": cut(self.instance),
            "compute": cut(self.compute),
            # A signed token has dots: whoever passes one by mistake does not get it written.
            "token_id": self.token_id if _ID.fullmatch(self.token_id) else "(no id)",
            "session_id": cut(self.session_id),
            "reason": cut(self.reason),
            "details": _bounded(self.details),
        }


def cut(text: str, most: int = MAX_TEXT) -> str:
    """The text, or its first ``most`` characters and how many more there were."""
    return text if len(text) <= most else f"{text[:most]}...(+{len(text) - most})"


def _bounded(details: Mapping[str, Detail]) -> dict[str, Detail]:
    kept = {cut(str(name), MAX_NAME): _value(value) for name, value in list(details.items())[:MAX_DETAILS]}
    if len(details) > MAX_DETAILS:
        kept["more"] = len(details) - MAX_DETAILS
    return kept


def _value(value: Detail) -> Detail:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) <= MAX_NUMBER else f"about 2^{value.bit_length() - 1}"
    return cut(str(value))
