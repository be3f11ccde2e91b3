"""Asking for a console in one plain call, and checking a console's token."""

from __future__ import annotations

from apiflask import APIBlueprint
from flask import g, request

from porthole.api.opening import find_instance, open_console
from porthole.api.recording import console_refusals
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
    SessionEnd,
)
from porthole.api.v1.times import rfc3339
from porthole.auth.policy import Action
from porthole.proxy.upgrade import resume_hash
from porthole.state.rows import SessionRow


def add_routes(v1: APIBlueprint, services: Services) -> None:
    """Add ``/v1/consoles`` and ``/v1/consoles/check``."""

    @v1.post("/consoles")
    @v1.input(ConsoleRequest, arg_name="wanted")
    @v1.output(Console, status_code=201, description="The console's URL.")
    @v1.doc(operation_id="createConsole", responses=problems(400, 401, 403, 404, 409, 413, 415, 429, 503))
    def create_console(wanted: ConsoleRequest) -> Console:
        """Ask for an instance's console"""
        with console_refusals(services, wanted.instance):
            services.policy.enforce(g.principal, Action.CREATE_CONSOLE)
            instance = find_instance(services, g.principal, wanted.instance)
            opened = open_console(services, g.principal, instance, wanted.mode)
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
        responses=problems(400, 403, 404, 409, 413, 415, 429, 503),
        extensions={"x-porthole-operation": {"security": []}},
    )
    def check_console(check: ConsoleCheck) -> CheckedConsole:
        """Whether a console's token would be let in

        The token is the proof; no sign-in is needed. A browser hides why an upgrade was refused, so the
        console page asks here first and gets the same answer. With the secret of a browser that has a session,
        the answer is about going on with that one.
        """
        resume = resume_hash(check.resume) if check.resume else None
        opens = services.admission.describe(check.token, resume, request.remote_addr or "")
        claims, instance = opens.claims, opens.instance
        return CheckedConsole(
            instance=InstanceState(id=instance.id, name=instance.name, state=STATE_NAMES[instance.state]),
            expires_at=rfc3339(claims.expires),
            mode=claims.mode,
            shared=bool(claims.share_uses),
            session=_session(services, opens.session),
        )


def _session(services: Services, row: SessionRow | None) -> SessionEnd | None:
    if row is None:
        return None
    end = None if row.expires is None else rfc3339(row.expires)
    left = None if row.expires is None else max(0, row.expires - services.records.table.now())
    renewable = services.records.lifetime.is_renewable(row)
    return SessionEnd(id=row.session_id, expires_at=end, seconds_left=left, renewable=renewable)
