"""Asking for a console in one plain call, and checking a console's token."""

from __future__ import annotations

from apiflask import APIBlueprint
from flask import g

from porthole.api.opening import find_instance, open_console
from porthole.api.services import Services
from porthole.api.spec import problems
from porthole.api.v1.instances import STATE_NAMES
from porthole.api.v1.models import (
    CheckedConsole,
    Console,
    ConsoleCheck,
    ConsoleRequest,
    InstanceName,
    InstanceState,
)
from porthole.api.v1.times import rfc3339
from porthole.auth import policy
from porthole.auth.policy import Action


def add_routes(v1: APIBlueprint, services: Services) -> None:
    """Add ``/v1/consoles`` and ``/v1/consoles/check``."""

    @v1.post("/consoles")
    @v1.input(ConsoleRequest, arg_name="wanted")
    @v1.output(Console, status_code=201, description="The console's URL.")
    @v1.doc(operation_id="createConsole", responses=problems(400, 401, 403, 404, 409, 413, 415, 503))
    def create_console(wanted: ConsoleRequest) -> Console:
        """Ask for an instance's console"""
        policy.enforce(g.principal, Action.CREATE_CONSOLE)
        instance = find_instance(services, g.principal, wanted.instance)
        opened = open_console(services, g.principal, instance)
        return Console(
            url=opened.url,
            token_id=opened.claims.token_id,
            expires_at=rfc3339(opened.claims.expires),
            instance=InstanceName(id=opened.instance.id, name=opened.instance.name),
        )

    @v1.post("/consoles/check")
    @v1.input(ConsoleCheck, arg_name="check")
    @v1.output(CheckedConsole, description="The token would open its console now.")
    @v1.doc(
        operation_id="checkConsole",
        responses=problems(400, 403, 404, 409, 413, 415, 503),
        extensions={"x-porthole-operation": {"security": []}},
    )
    def check_console(check: ConsoleCheck) -> CheckedConsole:
        """Whether a console's token would be let in

        The token is the proof; no sign-in is needed. A browser hides why an upgrade was refused, so the
        console page asks here first and gets the same answer.
        """
        claims, instance = services.admission.describe(check.token)
        return CheckedConsole(
            instance=InstanceState(id=instance.id, name=instance.name, state=STATE_NAMES[instance.state]),
            expires_at=rfc3339(claims.expires),
            mode=claims.mode,
        )
