"""Step 7 of the flow: may this connect become a session, and to which address?

In this order: origin, token, permission, limits, instance. The instance's address is
looked up now, and once more after the connection stands, so that a port that went
to another guest in between is never shown.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import structlog
from gevent.ssl import SSLContext

from porthole.auth import policy
from porthole.auth.principal import Principal
from porthole.compute.model import ConnectInfo, Instance, PowerState
from porthole.consoleauth.errors import TokenInvalid
from porthole.consoleauth.tokens import Claims, ConsoleAuth
from porthole.proxy import target
from porthole.proxy.errors import OriginRefused, TargetInsecure, TargetUnreachable
from porthole.proxy.gate import UpgradeRequest
from porthole.proxy.origin import OriginPolicy
from porthole.sessions.registry import Sessions
from porthole.sessions.session import Session

log = structlog.get_logger("porthole.sessions")


class InstanceSource(Protocol):
    """What is asked about instances (:class:`porthole.compute.computes.Computes`)."""

    def connect_info(self, instance_id: str) -> ConnectInfo:
        """Where its VNC server is now."""

    def power_state(self, instance_id: str) -> PowerState | None:
        """Its state now, None when it is gone."""


class Admission:
    """The gate (:class:`porthole.proxy.gate.Gate`).

    :param console_auth: checks tokens
    :param find_principal: the token's user as it is now, None when it is gone
    :param instances: where instances are
    :param sessions: who is connected
    :param origins: which pages may connect
    :param connect_timeout: seconds to wait for the VNC server, its security handshake included
    :param vnc_tls: our side of TLS to VNC servers, None when there is none
    :param enforce_session_timeout: whether a session ends when its token expires
    """

    def __init__(
        self,
        *,
        console_auth: ConsoleAuth,
        find_principal: Callable[[str], Principal | None],
        instances: InstanceSource,
        sessions: Sessions,
        origins: OriginPolicy,
        connect_timeout: float,
        vnc_tls: SSLContext | None,
        enforce_session_timeout: bool,
    ) -> None:
        self._console_auth = console_auth
        self._find_principal = find_principal
        self._instances = instances
        self._sessions = sessions
        self._origins = origins
        self._connect_timeout = connect_timeout
        self._vnc_tls = vnc_tls
        self._enforce_session_timeout = enforce_session_timeout

    def admit(self, request: UpgradeRequest) -> Session:
        """Check everything and connect to the instance's VNC server.

        :raises OriginRefused, TokenError, Forbidden, TooManySessions, ComputeError: the refusal
        :raises TargetUnreachable, TargetInsecure: likewise, and the log says why
        """
        if not self._origins.allows(request.origin, request.scheme, request.host):
            raise OriginRefused
        claims = self._check(request.token)
        self._sessions.reserve()
        try:
            session = self._connect(claims, request.client)
        except BaseException:
            self._sessions.release()
            raise
        self._sessions.add(session)
        return session

    def describe(self, token: str | None) -> tuple[Claims, Instance]:
        """What a token would open now.

        :raises TokenError, Forbidden, ComputeError: as :meth:`admit` would
        """
        claims = self._check(token)
        return claims, self._instances.connect_info(claims.instance_id).instance

    def _check(self, token: str | None) -> Claims:
        claims = self._console_auth.check(token)
        principal = self._find_principal(claims.user_id)
        if principal is None:
            raise TokenInvalid
        policy.enforce(principal, policy.Action.CREATE_CONSOLE)
        return claims

    def _connect(self, claims: Claims, client: str) -> Session:
        info, connection = self._reach(claims.instance_id)
        return Session(
            claims,
            info,
            connection,
            client,
            power_state=self._instances.power_state,
            deadline=claims.expires if self._enforce_session_timeout else None,
            forget=self._sessions.forget,
        )

    def _reach(self, instance_id: str) -> tuple[ConnectInfo, target.Target]:
        """Connect, then look again: only a QEMU that had the port before and after had it in between."""
        info = self._instances.connect_info(instance_id)
        try:
            connection = target.connect(info.host, info.port, self._connect_timeout, info.security, self._vnc_tls)
        except (TargetUnreachable, TargetInsecure) as error:
            what = "VNC server unreachable" if isinstance(error, TargetUnreachable) else "VNC server not secure"
            log.warning(what, instance=instance_id, compute=info.instance.compute, why=error.why)
            raise
        try:
            again = self._instances.connect_info(instance_id)
            if (again.host, again.port, again.domain_id) != (info.host, info.port, info.domain_id):
                raise TargetUnreachable("the instance was started anew while the connection was made")
        except BaseException:
            connection.socket.close()
            raise
        return info, connection
