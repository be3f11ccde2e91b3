"""Decisions by oslo.policy, and the rules that are in force.

A decision is asked with who asks and with whose the thing is: an instance's owner, or the user of a session.
oslo.policy would read the file itself, at the next decision and on the hub; here that is done on a native thread, and
what is wrong with the file leaves the rules as they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, TypeVar

import gevent
import structlog
from gevent.threadpool import ThreadPool
from oslo_config import cfg
from oslo_policy.policy import Enforcer

from porthole.auth.errors import Forbidden
from porthole.auth.policy_checks import Rules, checked
from porthole.auth.policy_file import PolicyFile, PolicyFileError
from porthole.auth.policy_rules import RULES, Action
from porthole.auth.principal import Principal, Role
from porthole.turns import give_way

LOOK_AGAIN = 0.3
"""Seconds between looks whether the file has changed."""

STOP_TIMEOUT = 1.0
"""Seconds that a look may take which is under way when the service stops."""

MAX_DECISIONS = 20_000
"""Decisions that are remembered; one takes oslo.policy about 0.3 ms."""

DECISIONS_AT_ONCE = 50
"""Decisions after which others on the hub have their turn."""

_IMPLIED = {Role.ADMIN: (Role.MEMBER, Role.READER), Role.MEMBER: (Role.READER,)}
"""Who has the one role has the others too, as Keystone sets it up (its bootstrap)."""

log = structlog.get_logger("porthole.auth")


class Owned(Protocol):
    """What a decision is about: an instance, a session, or a token."""

    @property
    def project_id(self) -> str:
        """The project that owns it; empty: nobody does."""

    @property
    def user_id(self) -> str:
        """The user who owns it; may be empty."""


Thing = TypeVar("Thing", bound=Owned)


class Policy:
    """Decides by rules. Belongs to the thread whose gevent hub it is used on.

    :param file: rules that count instead of the defaults; it need not exist
    :raises PolicyFileError: it is there and cannot be used
    """

    def __init__(self, file: Path | None = None) -> None:
        self._enforcer = Enforcer(cfg.ConfigOpts(), use_conf=False)
        self._enforcer.register_defaults(RULES)
        self._decide = lru_cache(MAX_DECISIONS)(self._ask)
        self._file = None if file is None else PolicyFile(file)
        self._take(checked({}) if self._file is None else self._file.rules)
        self._complaint = ""
        self._greenlet: gevent.Greenlet[..., None] | None = None

    # --- deciding

    def may(self, principal: Principal, action: Action, instance: Owned | None = None) -> bool:
        """Whether the principal may do this.

        :param instance: the instance, session or token it is about; None asks whether it may do so with one
            that is its own, as Nova does for calls that are about none
        """
        return self._may(principal, action, *_owner(principal if instance is None else instance))

    def enforce(self, principal: Principal, action: Action, instance: Owned | None = None) -> None:
        """Raise unless the principal may do this; parameters as for :meth:`may`.

        :raises Forbidden: it may not
        """
        if not self.may(principal, action, instance):
            raise Forbidden(action, self._hint(principal, action, instance))

    def visible(
        self, principal: Principal, things: Iterable[Thing], action: Action = Action.SHOW_INSTANCE
    ) -> list[Thing]:
        """Those of instances or sessions that the principal may see, in their order.

        :param action: what it takes: SHOW_INSTANCE, or SHOW_SESSION
        """
        things = list(things)
        shown: dict[tuple[str, str], bool] = {}
        for owner in {_owner(thing) for thing in things}:
            if len(shown) % DECISIONS_AT_ONCE == DECISIONS_AT_ONCE - 1:
                give_way()
            shown[owner] = self._may(principal, action, *owner)
        return [thing for thing in things if shown[_owner(thing)]]

    def listed(self, principal: Principal, things: Iterable[Thing], action: Action, everywhere: Action) -> list[Thing]:
        """What a list shows the principal, in its order: of his own project, and of others if he may list them all.

        :param action: as for :meth:`visible`
        :param everywhere: what it takes to list those of all projects
        """
        if not self.may(principal, everywhere):
            things = [thing for thing in things if thing.project_id == principal.project_id]
        return self.visible(principal, things, action)

    # --- the file

    def start(self) -> None:
        """Begin to read the file again when it changes. Returns at once. To be called after a fork, never before."""
        if self._file is not None and self._greenlet is None:
            self._greenlet = gevent.spawn(self._watch, self._file)

    def stop(self) -> None:
        """End that."""
        if self._greenlet is not None:
            self._greenlet.kill(timeout=STOP_TIMEOUT)
            self._greenlet = None

    def _watch(self, file: PolicyFile) -> None:
        pool = ThreadPool(1)
        try:
            while True:
                gevent.sleep(LOOK_AGAIN)
                self._look(file, pool)
        finally:
            pool.kill()

    def _look(self, file: PolicyFile, pool: ThreadPool) -> None:
        try:
            rules = pool.apply(file.look)
        except PolicyFileError as error:
            if str(error) != self._complaint:
                self._complaint = str(error)
                log.error("policy file ignored", reason=str(error), kept="the last rules that were in order")
            return
        if rules is not None:
            self._complaint = ""
            self._take(rules)

    def _take(self, rules: Rules) -> None:
        if rules != getattr(self, "_rules", None):
            self._rules = rules
            self._enforcer.set_rules(dict(rules.checks), overwrite=True, use_conf=False)
            self._decide.cache_clear()

    # --- inside

    def _may(self, principal: Principal, action: Action, project_id: str, user_id: str) -> bool:
        # Few rules ask for the user; for the others one answer is for all users of the project.
        return self._decide(principal, action, project_id, user_id if action in self._rules.asks_user else "")

    def _ask(self, principal: Principal, action: Action, project_id: str, user_id: str) -> bool:
        credentials = _credentials(principal)
        own = _target(*_owner(principal))
        # As in Nova (nova/policy.py check_is_admin): a rule says who is one.
        credentials["is_admin"] = bool(self._enforcer.authorize("context_is_admin", own, credentials))
        return bool(self._enforcer.authorize(str(action), _target(project_id, user_id), credentials))

    def _hint(self, principal: Principal, action: Action, instance: Owned | None) -> str:
        """Which role would be enough, by the rules as they are."""
        target = principal if instance is None else instance
        roles = [role for role in Role if self.may(replace(principal, roles=frozenset({role})), action, target)]
        if not roles:
            return "No role would be enough by this service's rules ([oslo_policy] policy_file)."
        return f"It needs the role {' or '.join(roles)}; an administrator can give it."


def _owner(thing: Owned) -> tuple[str, str]:
    return thing.project_id, thing.user_id


def _credentials(principal: Principal) -> dict[str, Any]:
    implied = {other for role in principal.roles for other in _IMPLIED.get(role, ())}
    roles = sorted(str(role) for role in principal.roles | implied)
    return {**_target(principal.project_id, principal.user_id), "roles": roles, "is_admin": False}


def _target(project_id: str, user_id: str) -> dict[str, str]:
    """Without what is empty: nothing is equal to what is not known."""
    known = {"project_id": project_id, "user_id": user_id}
    return {name: value for name, value in known.items() if value}
