"""Asking for a console: the server action up to 2.5, ``remote-consoles`` from 2.6.

(nova/api/openstack/compute/remote_consoles.py)
"""

from __future__ import annotations

from typing import Any

from flask import Response, g, jsonify

from porthole.api.errors import RequestError
from porthole.api.nova import microversion, schemas
from porthole.api.nova.reading import read_body
from porthole.api.nova.servers import find_server
from porthole.api.nova.validation import validate
from porthole.api.opening import NOVNC, OpenedConsole, open_console
from porthole.api.recording import console_refusals
from porthole.api.services import Services
from porthole.auth.policy import Action
from porthole.compute.errors import ConsoleTypeUnavailable

VNC_ACTION = "os-getVNCConsole"
RDP_ACTION = "os-getRDPConsole"
"""Nova 29 has removed it: there is the action, and whatever it is given is wrong."""

VNC = "vnc"
_ONLY_VNC = "This service has VNC consoles: protocol vnc, type novnc."
_SHOWN = 80


def action(services: Services, server_id: str) -> Response:
    """``POST /servers/{id}/action``; of Nova's actions only those for consoles exist here."""
    name, body = _action_of(read_body())
    schema = schemas.ACTIONS.get(name)
    if schema is None and name != RDP_ACTION:
        raise RequestError(400, f"There is no such action: {name[:_SHOWN]}")
    if microversion.at_least(6):
        raise RequestError(404)
    if schema is None:
        raise RequestError(
            400, "Nova has no consoles of RDP any more. This service has VNC consoles: os-getVNCConsole."
        )
    asked = validate(schema, body)[name]
    opened = _open(services, server_id, available=name == VNC_ACTION, console_type=asked["type"])
    return jsonify(console={"type": asked["type"], "url": opened.url})


def create(services: Services, server_id: str) -> Response:
    """``POST /servers/{id}/remote-consoles``."""
    # Nova reads the body before it looks which version has this call.
    body = read_body()
    if not microversion.at_least(6):
        raise RequestError(404)
    asked = validate(schemas.create(g.microversion.minor), body)["remote_console"]
    protocol, console_type = asked["protocol"], asked["type"]
    opened = _open(services, server_id, available=protocol == VNC, console_type=console_type)
    return jsonify(remote_console={"protocol": protocol, "type": console_type, "url": opened.url})


def _open(services: Services, server_id: str, *, available: bool, console_type: str) -> OpenedConsole:
    with console_refusals(services, server_id):
        services.policy.enforce(g.principal, Action.CREATE_CONSOLE)
        instance = find_server(services, server_id)
        if not available or console_type != NOVNC:
            raise ConsoleTypeUnavailable(console_type, _ONLY_VNC)
        return open_console(services, g.principal, instance)


def _action_of(body: Any) -> tuple[str, dict[str, Any]]:
    """The only key of the body is the action's name."""
    if not isinstance(body, dict) or len(body) != 1:
        raise RequestError(400, "Malformed request body")
    return next(iter(body)), body
