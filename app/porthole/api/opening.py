"""Steps 2 to 5 for both APIs: may they, find the instance, authorise, make the URL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from porthole.api.recording import address, who
from porthole.api.services import Services
from porthole.audit import Event
from porthole.audit.entry import Detail
from porthole.auth.policy import Action
from porthole.auth.principal import Principal
from porthole.compute.errors import ConsoleTypeUnavailable
from porthole.compute.model import Instance
from porthole.config import TokenAuthority
from porthole.consoleauth.tokens import FULL, VIEW, Claims, IssuedToken

NOVNC = "novnc"
"""Nova's name of the only type of console there is here."""


@dataclass(frozen=True, slots=True)
class OpenedConsole:
    """A console that was authorised.

    :ivar url: where a browser opens it; holds the token
    """

    instance: Instance
    url: str
    claims: Claims

    def __repr__(self) -> str:
        return f"OpenedConsole(instance={self.instance!r}, url=..., claims={self.claims!r})"


def find_instance(services: Services, principal: Principal, id_or_name: str) -> Instance:
    """An instance that the principal may see.

    One it may not see is as one that does not exist, by the same look-up.

    :raises Forbidden: it may see none at all
    :raises ComputeError: there is none, there are several, or it cannot be said
    """
    services.policy.enforce(principal, Action.SHOW_INSTANCE)
    return services.computes.find(id_or_name, _may_see(services, principal))


def open_console(services: Services, principal: Principal, instance: Instance, mode: str = FULL) -> OpenedConsole:
    """Authorise a console of an instance that runs and has a VNC display at this moment.

    :param mode: ``full`` or ``view``
    :raises Forbidden: the principal may see the instance and not open it
    :raises ComputeError: there is no display to show, or it cannot be said, or the instance is another's by now
    :raises StoreUnavailable: the token could not be recorded
    :raises AuditUnavailable: likewise; nobody gets the token
    """
    instance = _running(services, principal, instance, (Action.CREATE_CONSOLE,))
    issued = services.console_auth.authorize(
        instance_id=instance.id,
        console_type=NOVNC,
        user_id=principal.user_id,
        project_id=principal.project_id,
        roles=services.authenticator.recorded_roles(principal),
        mode=mode,
    )
    return _hand_out(services, principal, instance, issued, Event.TOKEN_ISSUED)


def share_console(
    services: Services, principal: Principal, instance: Instance, seconds: int, uses: int
) -> OpenedConsole:
    """Make a link with which anybody can watch a console that the principal could open at this moment.

    :param seconds: for which it works, and its sessions last
    :param uses: how many sessions it opens
    :raises Exception: as :func:`open_console`
    """
    instance = _running(services, principal, instance, (Action.CREATE_CONSOLE, Action.SHARE_CONSOLE))
    issued = services.console_auth.authorize(
        instance_id=instance.id,
        console_type=NOVNC,
        user_id=principal.user_id,
        project_id=principal.project_id,
        roles=services.authenticator.recorded_roles(principal),
        mode=VIEW,
        ttl=seconds,
        share_uses=uses,
    )
    return _hand_out(services, principal, instance, issued, Event.CONSOLE_SHARED)


def _running(services: Services, principal: Principal, instance: Instance, actions: Sequence[Action]) -> Instance:
    """The instance as it is now, when it has a display and the principal may do all this with it."""
    for action in actions:
        services.policy.enforce(principal, action, instance)
    if not services.settings.vnc_enabled:
        raise ConsoleTypeUnavailable(NOVNC, "VNC consoles are switched off here ([vnc] enabled).")
    if TokenAuthority.PORTHOLE not in services.settings.token_authority:
        raise ConsoleTypeUnavailable(
            NOVNC, "Consoles are asked for at Nova here: openstack console url show --novnc SERVER."
        )
    instance = services.computes.connect_info(instance.id, _may_see(services, principal)).instance
    # What was found may be from memory; this is what libvirt says.
    for action in actions:
        services.policy.enforce(principal, action, instance)
    return instance


def _hand_out(
    services: Services, principal: Principal, instance: Instance, issued: IssuedToken, event: Event
) -> OpenedConsole:
    """Have the audit log know of a token, then make its URL."""
    claims = issued.claims
    details: dict[str, Detail] = {"mode": claims.mode, "expires": claims.expires}
    if claims.share_uses:
        details["uses"] = claims.share_uses
    services.audit.must(
        event,
        who=who(principal),
        client=address(),
        instance=instance.id,
        compute=instance.compute,
        token_id=claims.token_id,
        details=details,
    )
    services.metrics.tokens_issued.inc()
    return OpenedConsole(instance, console_url(services.settings.novncproxy_base_url, issued.token), claims)


def _may_see(services: Services, principal: Principal) -> Callable[[Instance], bool]:
    return lambda instance: services.policy.may(principal, Action.SHOW_INSTANCE, instance)


def console_url(base_url: str, token: str) -> str:
    """Nova's form of the URL (nova/objects/console_auth_token.py ``access_url``): ``...?path=%3Ftoken%3D...``."""
    return f"{base_url}?{urlencode({'path': f'?token={token}'})}"
