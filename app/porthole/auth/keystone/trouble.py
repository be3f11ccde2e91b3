"""What is wrong with Keystone, as far as is known: three things, of which one may be well while another is not."""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import Enum

import structlog

LAPSES = 300.0
"""Seconds for which a failed sign-in counts: nobody may sign in for hours, and nothing else shows that it works."""

MAX_REASON = 300
"""Characters of a reason in the log; parts of it may be Keystone's words."""

log = structlog.get_logger("porthole.auth")


class About(Enum):
    """What trouble is about. ``value`` is for the log."""

    REACH = "reaching it"
    """There is no connection, or nothing comes. Any answer of Keystone's ends it."""

    TOKENS = "tokens"
    """It answers, and does not tell this service what a token is: its user is refused, for example."""

    SIGN_INS = "sign-ins"
    """It answers, and a password brings neither a token nor a refusal. Only another password shows that it is over, so
    it counts for :data:`LAPSES`."""


_SENTENCES = {
    About.REACH: "The identity service (Keystone) cannot be asked: nobody can sign in. Open consoles go on.",
    About.TOKENS: "The identity service (Keystone) answers, but checks no tokens for this service, whose own user it "
    "may refuse: nobody is let in. Open consoles go on.",
    About.SIGN_INS: "The identity service (Keystone) answers, but fails when users sign in with a password. Tokens "
    "work, and open consoles go on.",
}


class Trouble:
    """Remembers what is wrong, and logs when it begins and when it is over.

    :param url: Keystone's, for the log
    :param clock: seconds that only go forward
    """

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._clock = clock
        self._seen: dict[About, float] = {}  # when it was seen last

    def begins(self, about: About, why: str) -> None:
        """Something is wrong, perhaps still."""
        if not self.has(about):
            log.error("Keystone cannot be asked", url=self._url, about=about.value, why=why[:MAX_REASON])
        self._seen[about] = self._clock()

    def is_over(self, *abouts: About) -> None:
        """These have just been seen to work."""
        for about in abouts:
            if self._seen.pop(about, None) is not None:
                log.info("Keystone answers again", url=self._url, about=about.value)

    def has(self, about: About) -> bool:
        """Whether this is wrong, as far as is known."""
        seen = self._seen.get(about)
        return seen is not None and not (about is About.SIGN_INS and self._clock() - seen >= LAPSES)

    def sentence(self) -> str:
        """The worst of it, for people; empty when nothing is."""
        return next((_SENTENCES[about] for about in About if self.has(about)), "")
