"""The addresses below ``/v1``, with what all of them have in common."""

from __future__ import annotations

from apiflask import APIBlueprint
from flask import request

from porthole.api.authenticate import WITH_BODY, Authentication
from porthole.api.errors import RequestError
from porthole.api.services import Services
from porthole.api.v1 import consoles, instances, session, sessions, shares

_WITHOUT_SIGN_IN = frozenset({"v1.sign_in", "v1.sign_out", "v1.check_console"})


def create_blueprint(services: Services, authentication: Authentication) -> APIBlueprint:
    """Make the blueprint."""
    v1 = APIBlueprint("v1", __name__, url_prefix="/v1", tag="Porthole's API")

    @v1.before_request
    def prepare() -> None:
        if request.endpoint not in _WITHOUT_SIGN_IN:
            authentication.require()
        if request.method in WITH_BODY and request.mimetype != "application/json":
            raise RequestError(415)

    session.add_routes(v1, services, authentication)
    instances.add_routes(v1, services)
    consoles.add_routes(v1, services)
    sessions.add_routes(v1, services)
    shares.add_routes(v1, services)
    return v1
