"""``GET /v2.1/os-console-auth-tokens/{token}``: what a token opens, for administrators and proxies.

(nova/api/openstack/compute/console_auth_tokens.py)
"""

from __future__ import annotations

from collections.abc import Callable

from flask import Response, g, jsonify

from porthole.api.errors import RequestError
from porthole.api.nova import microversion, query
from porthole.api.recording import address, who
from porthole.api.services import Services
from porthole.audit import Event
from porthole.auth.policy import Action
from porthole.compute.errors import ConsoleTypeUnavailable, InstanceNotFound, InstanceNotRunning
from porthole.compute.model import Instance
from porthole.consoleauth.errors import TokenError


def show(services: Services, token: str) -> Response:
    """Instance and address behind a token; the address is looked up now, the token does not hold it."""
    query.nothing_but(strict=microversion.at_least(99))
    if not microversion.at_least(31):
        raise RequestError(400)
    services.policy.enforce(g.principal, Action.LOOK_UP_TOKEN)
    try:
        claims = services.console_auth.check(token)
        # That of an instance that it may not be asked for is as one that nobody has.
        target = services.computes.connect_info(claims.instance_id, _may_ask(services))
        if target.path:
            # A UNIX socket of this machine: there is no address for who asks.
            raise ConsoleTypeUnavailable(claims.console_type)
    except (TokenError, InstanceNotFound, InstanceNotRunning, ConsoleTypeUnavailable):
        # Nova forgets the tokens of an instance that has no console any more.
        raise RequestError(404, "Token not found") from None
    services.audit.must(
        Event.ADMIN_ACT,
        who=who(g.principal),
        client=address(),
        instance=claims.instance_id,
        token_id=claims.token_id,
        reason="looked up what a token opens",
        details={"of": claims.user_id},
    )
    return jsonify(
        console={
            "instance_uuid": claims.instance_id,
            "host": target.host,
            "port": target.port,
            "internal_access_path": None,
        }
    )


def _may_ask(services: Services) -> Callable[[Instance], bool]:
    return lambda instance: services.policy.may(g.principal, Action.LOOK_UP_TOKEN, instance)
