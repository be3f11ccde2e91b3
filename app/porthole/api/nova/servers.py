"""``GET /v2.1/servers``, ``/servers/detail``, ``/servers/{id}`` (nova/api/openstack/compute/servers.py)."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from flask import Response, g, jsonify, request

from porthole.api.errors import RequestError
from porthole.api.nova import microversion, views
from porthole.api.opening import find_instance
from porthole.api.services import Services
from porthole.auth.policy import Action, Policy
from porthole.auth.principal import Principal
from porthole.compute.errors import InstanceNotFound
from porthole.compute.model import Instance

MAX_LIMIT = 1000
"""Servers a page; Nova's [api] max_limit."""

_TRUTH = dict.fromkeys(("", "1", "t", "true", "on", "y", "yes"), True) | dict.fromkeys(
    ("0", "f", "false", "off", "n", "no"), False
)
"""What ``all_tenants`` may be: oslo.utils' words (strutils.bool_from_string), and the mere name."""


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
    instance = find_server(services, server_id)
    shows_host = services.policy.may(g.principal, Action.SHOW_HOST, instance)
    unreachable = services.computes.listing().unreachable
    return jsonify(server=views.detail(instance, unreachable, shows_host=shows_host))


def index(services: Services, *, detailed: bool) -> Response:
    """The servers that the query asks for, a page of them."""
    principal: Principal = g.principal
    policy = services.policy
    policy.enforce(principal, Action.LIST_INSTANCE_DETAILS if detailed else Action.LIST_INSTANCES)
    everywhere = Action.LIST_ALL_INSTANCE_DETAILS if detailed else Action.LIST_ALL_INSTANCES
    all_tenants = _all_tenants()
    if all_tenants:
        policy.enforce(principal, everywhere)
    limit, wanted = _limit(), _filter(principal, policy)
    listing = services.computes.listing()
    visible = policy.listed(principal, listing.instances, Action.SHOW_INSTANCE, everywhere)
    if all_tenants is False:
        visible = [instance for instance in visible if instance.project_id == principal.project_id]
    page = _after_marker([i for i in visible if wanted(i)], visible)[:limit]

    def view(instance: Instance) -> dict[str, Any]:
        if not detailed:
            return views.basic(instance)
        shows_host = policy.may(principal, Action.SHOW_HOST, instance)
        return views.detail(instance, listing.unreachable, shows_host=shows_host)

    body: dict[str, Any] = {"servers": [view(instance) for instance in page]}
    if page and len(page) == limit:
        body["servers_links"] = [{"rel": "next", "href": _next_page(page[-1])}]
    return jsonify(body)


def _all_tenants() -> bool | None:
    """Whether the query asks for the instances of all projects, or of the caller's own alone; None: neither.

    Nova takes silence for the latter. Here it is all that the caller may list, for there need be no projects.

    :raises RequestError: it is neither true nor false (nova/api/openstack/common.py ``is_all_tenants``)
    """
    text = request.args.get("all_tenants")
    if text is None:
        return None
    if text.strip().lower() not in _TRUTH:
        raise RequestError(
            400, f"Invalid input for query parameters all_tenants. Value: {text[:40]}. It has to be true or false."
        )
    return _TRUTH[text.strip().lower()]


def _limit() -> int:
    text = request.args.get("limit")
    if text is None or text == "":
        return MAX_LIMIT
    if not (text.isascii() and text.isdigit()) or len(text) > 9:  # noqa: PLR2004 - more than nine digits is no page
        raise RequestError(
            400, f"Invalid input for query parameters limit. Value: {text[:40]}. It has to be a number of 0 or more."
        )
    return min(int(text), MAX_LIMIT)


def _after_marker(wanted: list[Instance], visible: list[Instance]) -> list[Instance]:
    marker = request.args.get("marker")
    if marker is None:
        return wanted
    at = next((i for i in visible if i.id == marker.lower()), None)
    if at is None:
        raise RequestError(400, f"marker [{marker[:40]}] not found")
    # The order of Computes.listing; the marker itself need not match the filters.
    return [i for i in wanted if (i.name, i.id) > (at.name, at.id)]


def _filter(principal: Principal, policy: Policy) -> Callable[[Instance], bool]:
    """What the query's name, status and host let through; filters that are unknown here are passed over.

    :raises RequestError: a status that Nova does not know, from 2.38 on
    """
    statuses = {status.upper() for status in request.args.getlist("status")}
    if statuses and not statuses & views.STATUSES and microversion.at_least(38):
        raise RequestError(400, "Invalid status value")
    name, host = request.args.get("name", ""), request.args.get("host")

    def wanted(instance: Instance) -> bool:
        if statuses and views.STATES[instance.state][1] not in statuses:
            return False
        # As in Nova the filter of somebody who may not see hosts is passed over.
        if host is not None and host != instance.compute and policy.may(principal, Action.SHOW_HOST, instance):
            return False
        return _name_matches(name, instance.name)

    return wanted


def _name_matches(wanted: str, name: str) -> bool:
    """Part of the name, with ``^`` and ``$`` for its ends; Nova takes whole regular expressions."""
    start, end = wanted.startswith("^"), wanted.endswith("$")
    wanted, name = wanted[start : len(wanted) - end].lower(), name.lower()
    if start and end:
        return name == wanted
    if start or end:
        return name.startswith(wanted) if start else name.endswith(wanted)
    return wanted in name


def _next_page(last: Instance) -> str:
    query = [(name, value) for name, value in request.args.items(multi=True) if name != "marker"]
    return f"{request.host_url}{request.path.lstrip('/')}?{urlencode([*query, ('marker', last.id)])}"
