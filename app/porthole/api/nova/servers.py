"""``GET /v2.1/servers``, ``/servers/detail``, ``/servers/{id}`` (nova/api/openstack/compute/servers.py)."""

from __future__ import annotations

import uuid
from typing import Any

from flask import Response, g, jsonify, request

from porthole.api.errors import RequestError
from porthole.api.nova import fields, filters, microversion, paging, query, views
from porthole.api.opening import find_instance
from porthole.api.services import Services
from porthole.auth.policy import Action
from porthole.auth.principal import Principal
from porthole.compute.errors import InstanceNotFound
from porthole.compute.model import Instance


def find_server(services: Services, server_id: str) -> Instance:
    """The instance with this id; unlike ``/v1`` Nova takes no names here.

    :raises ComputeError: there is none, or it cannot be said
    :raises Forbidden: the caller may see none
    """
    principal: Principal = g.principal
    try:
        server_id = str(uuid.UUID(server_id))
    except ValueError:
        services.policy.enforce(principal, Action.SHOW_INSTANCE)
        raise InstanceNotFound(server_id) from None
    return find_instance(services, principal, server_id)


def show(services: Services, server_id: str) -> Response:
    """One server."""
    query.nothing_but(strict=microversion.at_least(102))
    instance = find_server(services, server_id)
    shows_host = services.policy.may(g.principal, Action.SHOW_HOST, instance)
    unreachable = services.computes.listing().unreachable
    server = views.detail(instance, unreachable, shows_host=shows_host)
    if microversion.at_least(71):
        # Not in a list (nova/api/openstack/compute/views/servers.py, show_server_groups).
        server["server_groups"] = []
    return jsonify(server=server)


def index(services: Services, *, detailed: bool) -> Response:
    """The servers that the query asks for, a page of them."""
    principal: Principal = g.principal
    policy = services.policy
    policy.enforce(principal, Action.LIST_INSTANCE_DETAILS if detailed else Action.LIST_INSTANCES)
    filters.check()
    wanted = filters.wanted(principal, policy)
    everywhere = Action.LIST_ALL_INSTANCE_DETAILS if detailed else Action.LIST_ALL_INSTANCES
    all_tenants = _all_tenants()
    if all_tenants:
        policy.enforce(principal, everywhere)
    listing = services.computes.listing()
    visible = policy.listed(principal, listing.instances, Action.SHOW_INSTANCE, everywhere)
    if all_tenants is False:
        visible = [instance for instance in visible if instance.project_id == principal.project_id]
    # The marker itself need not match the filters.
    rest = paging.after_marker(_in_order(visible, principal), lambda instance: instance.id)
    limit = paging.limit()
    page = [instance for instance in rest if wanted(instance)][:limit]

    def view(instance: Instance) -> dict[str, Any]:
        if not detailed:
            return views.basic(instance)
        shows_host = policy.may(principal, Action.SHOW_HOST, instance)
        return views.detail(instance, listing.unreachable, shows_host=shows_host)

    body: dict[str, Any] = {"servers": [view(instance) for instance in page]}
    if page and len(page) == limit:
        body["servers_links"] = paging.next_page("servers/detail" if detailed else "servers", page[-1].id)
    return jsonify(body)


def _all_tenants() -> bool | None:
    """Whether the query asks for the instances of all projects, or of the caller's own alone; None: neither.

    Nova takes silence for the latter. Here it is all that the caller may list, for there need be no projects.

    :raises RequestError: it is neither true nor false (nova/api/openstack/common.py ``is_all_tenants``)
    """
    text = request.args.get("all_tenants")
    if text is None:
        return None
    if text.strip().lower() not in filters.TRUTH:
        raise RequestError(
            400, f"Invalid input for query parameters all_tenants. Value: {text[:40]}. It has to be true or false."
        )
    return filters.TRUTH[text.strip().lower()]


def _in_order(instances: list[Instance], principal: Principal) -> list[Instance]:
    """The instances by the query's sort keys; by name and id, as they are, without any.

    :raises RequestError: 400, or 403 for a key that is for administrators
    """
    keys, directions = request.args.getlist("sort_key"), request.args.getlist("sort_dir")
    hidden = {"host", "node"} & set(keys)
    if hidden and not principal.is_admin:
        raise RequestError(403, f"Only administrators can sort servers by {min(hidden)}")
    return paging.in_order(instances, keys, directions, fields.value)
