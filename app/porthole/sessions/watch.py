"""Looks after the sessions of this process: ends those that somebody ended, that lost their permission or are idle."""

from __future__ import annotations

from collections.abc import Callable

import gevent
import structlog

from porthole.auth.policy import Action, Policy
from porthole.auth.principal import Principal
from porthole.compute.model import Instance, Listing
from porthole.consoleauth.tokens import Claims
from porthole.proxy.errors import CloseCode
from porthole.sessions.registry import Sessions
from porthole.sessions.reports import Reports
from porthole.sessions.rights import holder, needed
from porthole.state.database import StoreUnavailable
from porthole.turns import give_way

LOOK_EVERY = 0.3
"""Seconds between two looks at what other processes have ordered, and at permissions and idle sessions."""

AT_ONCE = 200
"""Sessions that are looked at before others get a turn."""

NO_ACCESS = "You may no longer open this console."

log = structlog.get_logger("porthole.sessions")


class Watch:
    """Two greenlets: one waits for the store, the other one never does.

    :param sessions: those of this process
    :param find_principal: a token's user as far as it is known now, None when it is gone; answers from memory
    :param listing: the instances that are known now, and whose they are; answers from memory
    :param policy: who may open which
    :param idle_timeout: seconds without input after which a session ends; 0 for never
    """

    def __init__(
        self,
        sessions: Sessions,
        find_principal: Callable[[Claims], Principal | None],
        listing: Callable[[], Listing],
        policy: Policy,
        idle_timeout: int,
    ) -> None:
        self._sessions = sessions
        self._records = sessions.records
        self._find_principal = find_principal
        self._listing = listing
        self._policy = policy
        self._idle_timeout = idle_timeout
        self._reports = Reports(sessions, ahead=LOOK_EVERY)
        self._complained: set[Callable[[], None]] = set()
        self._greenlets: list[gevent.Greenlet[..., None]] = []

    def start(self) -> None:
        """Begin to look."""
        self._greenlets = [gevent.spawn(self._forever, self.obey), gevent.spawn(self._forever, self.judge)]

    def stop(self) -> None:
        """Look no more; what is not on record yet is recorded."""
        gevent.killall(self._greenlets)
        self._try(self._reports.report_all)

    def obey(self) -> None:
        """Cut the connections that this or another process wants cut, and tell the store of some of the others."""
        self._try(self._cut)
        self._try(self._reports.report_due)

    def judge(self) -> None:
        """End what may not go on: a user who is gone or may no longer, another owner, a console that nobody uses."""
        live = self._sessions.live()
        known = {instance.id: instance for instance in self._listing().instances} if live else {}
        principals: dict[tuple[str, str, str], Principal | None] = {}
        for number, session in enumerate(live):
            claims = session.claims
            user = claims.user_id, claims.project_id, claims.roles
            if user not in principals:
                principals[user] = holder(claims, self._find_principal)
            principal = principals[user]
            # One that is not known now: its compute was taken out of the configuration, and its sessions go on.
            instance = known.get(session.claims.instance_id, session.info.instance)
            if principal is None or not self._may_open(principal, instance, session.claims):
                session.end(CloseCode.ACCESS_LOST, NO_ACCESS)
            elif self._idle_timeout and session.idle_seconds() >= self._idle_timeout:
                session.end(CloseCode.IDLE, f"Nobody used this console for {self._idle_timeout} seconds.")
            if number % AT_ONCE == AT_ONCE - 1:
                give_way()

    def _may_open(self, principal: Principal, instance: Instance, claims: Claims) -> bool:
        """As a connect would be let in."""
        actions = (Action.SHOW_INSTANCE, *needed(claims))
        return all(self._policy.may(principal, action, instance) for action in actions)

    def _forever(self, look: Callable[[], None]) -> None:
        while True:
            try:
                look()
            except Exception:
                log.exception("sessions were not looked after")
            gevent.sleep(LOOK_EVERY)

    def _cut(self) -> None:
        for connection, code, reason in self._records.table.cuts(self._records.worker):
            self._sessions.end(connection, code, reason)

    def _try(self, work: Callable[[], None]) -> None:
        try:
            work()
        except StoreUnavailable as error:
            if work not in self._complained:
                log.error("sessions not on record", why=error.why)
            self._complained.add(work)
        else:
            self._complained.discard(work)
