"""Steps 2 to 5 for both APIs: may they, find the instance, authorise, make the URL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode

from porthole.api.recording import address, who
from porthole.api.services import Services
from porthole.audit import Event
from porthole.auth.policy import Action
from porthole.auth.principal import Principal
from porthole.compute.errors import ConsoleTypeUnavailable
from porthole.compute.model import Instance
from porthole.consoleauth.tokens import FULL, Claims

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
    services.policy.enforce(principal, Action.CREATE_CONSOLE, instance)
    if not services.settings.vnc_enabled:
        raise ConsoleTypeUnavailable(NOVNC, "VNC consoles are switched off here ([vnc] enabled).")
    instance = services.computes.connect_info(instance.id, _may_see(services, principal)).instance
    # What was found may be from memory; this is what libvirt says.
    services.policy.enforce(principal, Action.CREATE_CONSOLE, instance)
    issued = services.console_auth.authorize(
        instance_id=instance.id,
        console_type=NOVNC,
        user_id=principal.user_id,
        project_id=principal.project_id,
        mode=mode,
    )
    services.audit.must(
        Event.TOKEN_ISSUED,
        who=who(principal),
        client=address(),
        instance=instance.id,
        compute=instance.compute,
        token_id=issued.claims.token_id,
        details={"mode": mode, "expires": issued.claims.expires},
    )
    services.metrics.tokens_issued.inc()
    return OpenedConsole(instance, console_url(services.settings.novncproxy_base_url, issued.token), issued.claims)


def _may_see(services: Services, principal: Principal) -> Callable[[Instance], bool]:
    return lambda instance: services.policy.may(principal, Action.SHOW_INSTANCE, instance)


def console_url(base_url: str, token: str) -> str:
    """Nova's form of the URL (nova/objects/console_auth_token.py ``access_url``): ``...?path=%3Ftoken%3D...``."""
    return f"{base_url}?{urlencode({'path': f'?token={token}'})}"
