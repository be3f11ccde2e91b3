"""Step 7 of the flow: may this connect become a session, and to which address?

In this order: origin, token, permission, limits, instance. The instance's address is
looked up now, and once more after the connection stands, so that a port that went
to another guest in between is never shown. The token is used last of all, when nothing
can be refused any more but for want of an audit log, and then that is undone.

The session's start is put on record while the browser takes its 101 and our greeting
(:meth:`porthole.sessions.session.Session.confirm`); before them, where the last record failed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import gevent
import structlog
from gevent.ssl import SSLContext

from porthole.auth.errors import Forbidden
from porthole.auth.policy import Action, Policy
from porthole.auth.principal import Principal
from porthole.compute.errors import ComputeNotAllowed, InstanceNotFound
from porthole.compute.model import ConnectInfo, Instance, PowerState
from porthole.consoleauth.errors import TokenError, TokenInvalid, TokenOfAnotherConsole
from porthole.consoleauth.tokens import Claims, ConsoleAuth
from porthole.proxy import target
from porthole.proxy.errors import OriginRefused, TargetInsecure, TargetLocked, TargetUnreachable
from porthole.proxy.gate import UpgradeRequest
from porthole.proxy.origin import OriginPolicy
from porthole.sessions.nova import NovaTokens
from porthole.sessions.records import Recorded
from porthole.sessions.registry import Sessions
from porthole.sessions.rights import holder, needed
from porthole.sessions.session import Session
from porthole.sessions.start import Start
from porthole.sessions.telling import tell_refusal
from porthole.sessions.ticket import Ticket, Tickets
from porthole.state.rows import SessionRow

log = structlog.get_logger("porthole.sessions")

_WHAT = {
    TargetUnreachable: "VNC server unreachable",
    TargetInsecure: "VNC server not secure",
    TargetLocked: "VNC password not accepted",
}


class InstanceSource(Protocol):
    """What is asked about instances (:class:`porthole.compute.computes.Computes`)."""

    def connect_info(
        self, instance_id: str, may_see: Callable[[Instance], bool], *, with_password: bool = False
    ) -> ConnectInfo:
        """Where its VNC server is now; one that may not be seen is as one that does not exist."""

    def power_state(self, instance_id: str) -> PowerState | None:
        """Its state now, None when it is gone."""


@dataclass(frozen=True, slots=True)
class Described:
    """What a token would open.

    :ivar session: the session that the browser would go on with; None when it would open one
    """

    claims: Claims
    instance: Instance
    session: SessionRow | None


class Admission:
    """The gate (:class:`porthole.proxy.gate.Gate`).

    :param console_auth: checks our own tokens; None when they open nothing
    :param nova: knows what Nova's tokens open; None when they open nothing
    :param find_principal: the token's user as far as it is known now, None when it is gone; answers from memory
    :param policy: who may see and open which instance
    :param instances: where instances are
    :param sessions: who is connected
    :param origins: which pages may connect
    :param connect_timeout: seconds to wait for the VNC server, its security handshake included
    :param vnc_tls: our side of TLS to VNC servers, None when there is none
    :param looks_at_input: whether what browsers send is counted, for the end of idle sessions
    :param code_of: the problem code of a refusal, for the audit log
    :param dialled: told our own end of each connection to a VNC server; must not block
    """

    def __init__(  # noqa: PLR0913 - collaborators are given by name
        self,
        *,
        console_auth: ConsoleAuth | None,
        find_principal: Callable[[Claims], Principal | None],
        policy: Policy,
        instances: InstanceSource,
        sessions: Sessions,
        origins: OriginPolicy,
        connect_timeout: float,
        vnc_tls: SSLContext | None,
        looks_at_input: bool,
        code_of: Callable[[Exception], str] = str,
        dialled: Callable[[str], None] = lambda local: None,
        nova: NovaTokens | None = None,
    ) -> None:
        self._nova = nova
        self._find_principal = find_principal
        self._policy = policy
        self._instances = instances
        self._sessions = sessions
        self._origins = origins
        self._connect_timeout = connect_timeout
        self._vnc_tls = vnc_tls
        self._looks_at_input = looks_at_input
        self._records = sessions.records
        self._tickets = Tickets(console_auth, nova, sessions.records)
        self._audit = sessions.audit
        self._code_of = code_of
        self._dialled = dialled

    def admit(self, request: UpgradeRequest) -> Session:
        """Check everything and connect to the instance's VNC server.

        :raises OriginRefused, TokenError, Forbidden, SessionLimit, TooManySessions, ComputeError: the refusal
        :raises TargetUnreachable, TargetInsecure: likewise, and the log says why
        :raises AuditUnavailable: the session, or its refusal, cannot be recorded
        """
        try:
            ticket = self._presented(request)
        except Exception as error:
            self._tell_refusal(error, self._tickets.said(request.token), request.client, request.origin)
            raise
        try:
            return self._admit(ticket, request)
        except Exception as error:
            self._tell_refusal(error, ticket.claims, request.client, request.origin)
            raise

    def _presented(self, request: UpgradeRequest) -> Ticket:
        has_token = not request.token_from_cookie
        if not self._origins.allows(request.origin, request.scheme, request.host, has_token=has_token):
            raise OriginRefused
        return self._tickets.check(request.token, request.resume_hash, request.client)

    def _admit(self, ticket: Ticket, request: UpgradeRequest) -> Session:
        self._check_rights(ticket.claims)
        self._sessions.reserve()
        try:
            session = self._connect(ticket, request)
        except BaseException:
            self._sessions.release()
            raise
        self._sessions.add(session)
        return session

    def describe(self, token: str | None, resume_hash: str | None, client: str) -> Described:
        """What a token would open now, for a browser with this secret at this address.

        The session of a browser that asks goes on waiting for it.

        :raises TokenError, Forbidden, SessionLimit, ComputeError, AuditUnavailable: as :meth:`admit` would
        """
        said = self._tickets.said(token)
        try:
            ticket = self._tickets.check(token, resume_hash, client)
            said = ticket.claims
            return self._describe(ticket)
        except (TokenError, Forbidden, InstanceNotFound, ComputeNotAllowed) as error:
            # A page that gets this answer does not try to connect, so this is the refusal.
            self._tell_refusal(error, said, client, None)
            raise

    def _describe(self, ticket: Ticket) -> Described:
        self._check_rights(ticket.claims)
        if ticket.row is not None:
            self._records.table.wait_for(ticket.row.session_id)
        return Described(ticket.claims, self._look_up(ticket).instance, ticket.row)

    def _check_rights(self, claims: Claims) -> None:
        principal = self._principal(claims)
        for action in needed(claims):
            self._policy.enforce(principal, action)

    def _principal(self, claims: Claims) -> Principal:
        """The token's user as far as it is known now.

        :raises TokenInvalid: there is none any more
        """
        principal = holder(claims, self._find_principal)
        if principal is None:
            raise TokenInvalid
        return principal

    def _look_up(self, ticket: Ticket, *, with_password: bool = False) -> ConnectInfo:
        """Where the instance is now, if its user may open it: the user, the rules and the owner as they are now.

        :raises ComputeError: it is gone, or the user may not see it, which is the same; or it has no screen
        :raises Forbidden: the user may see it and not open it
        :raises TokenOfAnotherConsole: Nova's token is for another port than that of its screen
        """
        claims = ticket.claims

        def may_see(instance: Instance) -> bool:
            return self._policy.may(self._principal(claims), Action.SHOW_INSTANCE, instance)

        try:
            info = self._instances.connect_info(claims.instance_id, may_see, with_password=with_password)
        except InstanceNotFound:
            if self._nova is None or not ticket.is_novas:
                raise
            info = self._look_up_elsewhere(self._nova, ticket, may_see)
        console = ticket.console
        if console is not None and (info.path or info.port != console.port):
            # As nova-novncproxy has it looked up (nova/virt/libvirt/driver.py): a port that is not the screen's now.
            raise TokenOfAnotherConsole
        if console is not None:
            info = replace(info, access_path=console.internal_access_path)
        principal = self._principal(claims)  # as it is after the wait
        for action in needed(claims):
            self._policy.enforce(principal, action, info.instance)
        return info

    def _look_up_elsewhere(self, nova: NovaTokens, ticket: Ticket, may_see: Callable[[Instance], bool]) -> ConnectInfo:
        """Where the instance of a token of Nova's is, when no configured compute has it; Nova has just been asked.

        :raises InstanceNotFound: one has it, and it may not be seen; or none has it, and it should be on one of them
        """
        instance_id = ticket.claims.instance_id
        try:
            self._instances.connect_info(instance_id, lambda instance: True)
        except InstanceNotFound:
            pass
        else:
            raise InstanceNotFound(instance_id)
        info = nova.elsewhere(ticket.console or nova.ask(ticket.token, ticket.client))
        if info.instance.id != instance_id or not may_see(info.instance):
            raise InstanceNotFound(instance_id)
        return info

    def _try_look_up(self, ticket: Ticket) -> ConnectInfo | Exception:
        """For a greenlet of its own, whose exceptions the hub would print."""
        try:
            return self._look_up(ticket)
        except Exception as error:
            return error

    def _connect(self, ticket: Ticket, request: UpgradeRequest) -> Session:
        """Connect, and then use the token: a refusal leaves it as it was."""
        info, connection = self._reach(ticket)
        try:
            record, start = self._record(ticket, info, request, connection.local)
            return Session(
                record,
                ticket.claims,
                info,
                connection,
                request.client,
                start=start,
                undo=lambda: self._records.undo(record, ticket.claims) if ticket.row is None else None,
                power_state=self._instances.power_state,
                forget=self._sessions.forget,
                expiry=lambda: self._records.expiry(record.session_id),
                clock=self._records.table.exact_now,
                looks_at_input=self._looks_at_input,
            )
        except BaseException:
            connection.socket.close()
            raise

    def _record(
        self, ticket: Ticket, info: ConnectInfo, request: UpgradeRequest, vnc_client: str
    ) -> tuple[Recorded, Start]:
        """Use the token, or go on with its session."""
        claims, row = ticket.claims, ticket.row
        if row is not None:
            # Before: the connection that has the session now is not cut for one that does not come about.
            start = Start(self._audit, claims, row.session_id, info, request.client, resumed=True)
            start.must_be_told()
            return self._records.resume(row, request.client, vnc_client), start
        record = self._records.open(claims, request.client, request.resume_hash, vnc_client)
        start = Start(self._audit, claims, record.session_id, info, request.client, resumed=False)
        try:
            if self._audit.is_failing:
                start.must_be_told()
        except BaseException:
            self._records.undo(record, claims)
            raise
        return record, start

    def _tell_refusal(self, error: Exception, claims: Claims | None, client: str, origin: str | None) -> None:
        tell_refusal(self._audit, error, self._code_of(error), claims, client, origin)

    def _reach(self, ticket: Ticket) -> tuple[ConnectInfo, target.Target]:
        """Connect, then look again: only a QEMU that had the port before and after had it in between.

        That is looked for while the VNC server greets, unless a password is to be proved to it then. The password is
        asked for the first time alone: the session keeps the second answer, which is without it.
        """
        claims = ticket.claims
        info = self._look_up(ticket, with_password=True)
        # What Nova said is not taken twice: the second time it is asked anew, when it has to be asked at all.
        later = replace(ticket, console=None)
        looking: list[gevent.Greenlet[[Ticket], ConnectInfo | Exception]] = []

        def connected(local: str) -> None:
            self._dialled(local)
            if info.password is None:
                looking.append(gevent.spawn(self._try_look_up, later))

        if info.path:
            self._dialled(target.socket_end(claims.instance_id))
        try:
            connection = target.connect(
                info.address,
                self._connect_timeout,
                info.security,
                self._vnc_tls,
                info.password,
                connected,
                info.access_path,
            )
        except (TargetUnreachable, TargetInsecure) as error:
            log.warning(_WHAT[type(error)], instance=claims.instance_id, compute=info.instance.compute, why=error.why)
            raise
        try:
            again = looking[-1].get() if looking else self._look_up(later)
            if isinstance(again, Exception):
                raise again
            if (again.address, again.domain_id) != (info.address, info.domain_id):
                raise TargetUnreachable("the instance was started anew while the connection was made")
        except BaseException:
            connection.socket.close()
            raise
        return again, replace(connection, local=target.socket_end(claims.instance_id)) if info.path else connection
