"""The addresses below ``/v2.1``, with what all of them have in common."""

from __future__ import annotations

import uuid

from apiflask import APIBlueprint
from flask import Response, g, request

from porthole.api.authenticate import Authentication
from porthole.api.errors import NOVA_PREFIX, is_nova
from porthole.api.nova import console_auth_tokens, consoles, documents, flavors, microversion, servers, versions
from porthole.api.services import Services

_VERSION_DOCUMENT = "nova.show_version"
"""The only address here that needs no sign-in."""


def create_blueprint(services: Services, authentication: Authentication) -> APIBlueprint:
    """Make the blueprint."""
    nova = APIBlueprint("nova", __name__, url_prefix=NOVA_PREFIX, tag="Nova's compute API")

    # For the whole app, because an unknown address below /v2.1 belongs to no blueprint and asks for
    # a sign-in all the same, as Nova does.
    @nova.before_app_request
    def list_versions() -> Response | None:
        """The address of the page is that of Nova's list of versions, too."""
        return versions.index() if versions.asks_for_index() else None

    @nova.before_app_request
    def prepare() -> None:
        if not is_nova(request.path):
            return
        if request.endpoint != _VERSION_DOCUMENT:
            authentication.require()
        g.microversion = microversion.requested()

    @nova.after_app_request
    def add_headers(response: Response) -> Response:
        if request.path == "/":
            response.vary.add("Accept")
        if is_nova(request.path):
            microversion.add_headers(response)
            request_id = f"req-{uuid.uuid4()}"
            response.headers["X-OpenStack-Request-ID"] = request_id
            response.headers["X-Compute-Request-ID"] = request_id
        return response

    @nova.get("/")
    @nova.doc(**documents.VERSION)
    def show_version() -> Response:
        """The version document"""
        return versions.show()

    @nova.get("/servers")
    @nova.doc(**documents.LIST)
    def list_servers() -> Response:
        """List instances"""
        return servers.index(services, detailed=False)

    @nova.get("/servers/detail")
    @nova.doc(**documents.LIST_DETAIL)
    def list_servers_detail() -> Response:
        """List instances with details"""
        return servers.index(services, detailed=True)

    @nova.get("/servers/<server_id>")
    @nova.doc(**documents.SHOW)
    def show_server(server_id: str) -> Response:
        """Show an instance"""
        return servers.show(services, server_id)

    @nova.post("/servers/<server_id>/action")
    @nova.doc(**documents.ACTION)
    def server_action(server_id: str) -> Response:
        """Ask for a console (2.1 to 2.5)"""
        return consoles.action(services, server_id)

    @nova.post("/servers/<server_id>/remote-consoles")
    @nova.doc(**documents.CREATE_CONSOLE)
    def create_remote_console(server_id: str) -> Response:
        """Ask for a console (2.6 and later)"""
        return consoles.create(services, server_id)

    @nova.get("/flavors")
    @nova.doc(**documents.LIST_FLAVORS)
    def list_flavors() -> Response:
        """List the instances' flavors"""
        return flavors.index(services, detailed=False)

    @nova.get("/flavors/detail")
    @nova.doc(**documents.LIST_FLAVORS_DETAIL)
    def list_flavors_detail() -> Response:
        """List the instances' flavors with details"""
        return flavors.index(services, detailed=True)

    @nova.get("/flavors/<flavor_id>")
    @nova.doc(**documents.SHOW_FLAVOR)
    def show_flavor(flavor_id: str) -> Response:
        """Show a flavor"""
        return flavors.show(services, flavor_id)

    @nova.get("/os-console-auth-tokens/<token>")
    @nova.doc(**documents.SHOW_TOKEN)
    def show_console_auth_token(token: str) -> Response:
        """Look up a console token (2.31 and later, administrators)"""
        return console_auth_tokens.show(services, token)

    return nova
