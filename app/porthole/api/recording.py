"""What the audit log gets to know of the API: who, from where, and what was refused."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from enum import StrEnum

from flask import g, request

from porthole.api.errors import code_of
from porthole.api.limits import LockedOut, Recent
from porthole.api.services import Services
from porthole.audit import Event, Recorder, Who
from porthole.audit.entry import Detail
from porthole.auth.authenticator import Authenticator
from porthole.auth.errors import Forbidden, NotAuthenticated
from porthole.auth.principal import Principal
from porthole.compute.errors import InstanceNotFound

BASIC_AGAIN = 600.0
"""Seconds after which a program that sends a password or token with each request is recorded as signing in anew."""


def address() -> str:
    """The address that asks."""
    return request.remote_addr or ""


def who(principal: Principal) -> Who:
    """The person that asks."""
    return Who(principal.user_id, principal.project_id)


@contextlib.contextmanager
def console_refusals(services: Services, instance: str) -> Iterator[None]:
    """Record that a console is refused to the person that asks, and instances that are not there for this person.

    :param instance: what was asked for, an id or a name
    :raises AuditUnavailable: instead of the refusal, which cannot be recorded
    """
    try:
        yield
    except (Forbidden, InstanceNotFound) as error:
        services.audit.refused(
            Event.CONSOLE_REFUSED, who=who(g.principal), client=address(), instance=instance, reason=code_of(error)
        )
        raise


class Way(StrEnum):
    """How somebody proves who it is; the words of the audit log."""

    PAGE = "page"
    BASIC = "http_basic"
    """With each request, and so is the next one."""
    TOKEN = "keystone"  # noqa: S105 - a word


class SignInRecord:
    """Records sign-ins, and those that are refused.

    :param audit: where
    :param authenticator: knows which user names there are
    :param clock: seconds, monotonic
    """

    def __init__(
        self, audit: Recorder, authenticator: Authenticator, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._audit = audit
        self._authenticator = authenticator
        self._clock = clock
        self._recorded: Recent[tuple[str, str, str, str], float] = Recent()

    def signs_in(self, principal: Principal, way: Way = Way.PAGE) -> None:
        """A password or a token was right. One that comes with each request is recorded now and then, for each address.

        :raises AuditUnavailable: nobody is signed in
        """
        key = (address(), principal.user_id, principal.project_id, self._authenticator.stamp(principal.user_id))
        if way is not Way.PAGE and self._clock() < self._recorded.get(key, 0.0):
            return
        details: dict[str, Detail] = {"way": way.value}
        if principal.user_name:
            details["name"] = principal.user_name
        self._audit.must(Event.SIGN_IN, who=who(principal), client=address(), details=details)
        if way is not Way.PAGE:
            self._recorded.put(key, self._clock() + BASIC_AGAIN)

    def is_refused(self, username: str, error: NotAuthenticated | LockedOut, way: Way = Way.PAGE) -> None:
        """A password or a token was wrong, or was not looked at.

        A name that no user has is not written: it may be a password in the wrong field.

        :raises AuditUnavailable: instead of the refusal
        """
        known = self._authenticator.knows(username)
        details: dict[str, Detail] = {"way": way.value}
        if known is not None:
            details["user_exists"] = known
        self._audit.refused(
            Event.SIGN_IN_REFUSED,
            who=Who(username) if known else Who(),
            client=address(),
            reason=code_of(error),
            details=details,
        )
