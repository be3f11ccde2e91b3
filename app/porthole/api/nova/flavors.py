"""``GET /v2.1/flavors``, ``/flavors/detail``, ``/flavors/{id}``: what the instances are made of.

(nova/api/openstack/compute/flavors.py and views/flavors.py)

There is no list of flavors here. Those are shown which the instances have that the caller may see: clients ask for the
list to put a name to a server's flavor.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from flask import Response, g, jsonify, request

from porthole.api.errors import RequestError
from porthole.api.nova import filters, microversion, paging, query
from porthole.api.services import Services
from porthole.auth.policy import Action
from porthole.auth.principal import Principal
from porthole.compute.details import Flavor

_SORT_KEYS = {
    "created_at": None, "description": None, "disabled": None, "ephemeral_gb": "ephemeral", "flavorid": "id",
    "id": "id",
    "is_public": None, "memory_mb": "ram", "name": "name", "root_gb": "disk", "rxtx_factor": None, "swap": "swap",
    "updated_at": None, "vcpu_weight": None, "vcpus": "vcpus",
}  # fmt: skip
"""Nova's keys, with our names of what there is."""


def index(services: Services, *, detailed: bool) -> Response:
    """The flavors that the query asks for, a page of them."""
    _check()
    flavors = [flavor for flavor in _visible(services) if _wanted(flavor)]
    keys = request.args.getlist("sort_key")[:1] or ["flavorid"]
    directions = request.args.getlist("sort_dir")[:1] or ["asc"]
    ordered = paging.in_order(flavors, keys, directions, _value)
    limit = paging.limit()
    page = paging.after_marker(ordered, lambda flavor: flavor.id)[:limit]
    body: dict[str, Any] = {"flavors": [_detail(flavor) if detailed else _basic(flavor) for flavor in page]}
    if page and len(page) == limit:
        body["flavors_links"] = paging.next_page("flavors/detail" if detailed else "flavors", page[-1].id)
    return jsonify(body)


def show(services: Services, flavor_id: str) -> Response:
    """One flavor."""
    query.nothing_but(strict=microversion.at_least(102))
    flavor = next((flavor for flavor in _visible(services) if flavor.id == flavor_id), None)
    if flavor is None:
        raise RequestError(404, f"Flavor {flavor_id[:80]} could not be found.")
    return jsonify(flavor=_detail(flavor))


def reference(flavor: Flavor | None) -> dict[str, Any]:
    """A server's flavor: until 2.46 by its id, from 2.47 on what it has (views/servers.py ``_get_flavor``)."""
    if microversion.at_least(47):
        shown = flavor or Flavor(id="", name="", vcpus=0, ram=0)
        return {
            "vcpus": shown.vcpus,
            "ram": shown.ram,
            "disk": shown.disk,
            "ephemeral": shown.ephemeral,
            "swap": shown.swap,
            "original_name": shown.name,
            "extra_specs": dict(shown.extra_specs),
        }
    if flavor is None:
        return {}
    return {"id": flavor.id, "links": [{"rel": "bookmark", "href": _href(flavor, "")}]}


def _check() -> None:
    checks = {
        "limit": query.whole_number,
        **dict.fromkeys(("marker", "is_public", "minRam", "minDisk"), query.text),
        "sort_key": query.one_of(_SORT_KEYS.keys() - ({"rxtx_factor"} if microversion.at_least(102) else set())),
        "sort_dir": query.one_of(("asc", "desc")),
    }
    if microversion.at_least(102):
        checks["name"] = query.text
    query.check(checks, strict=microversion.at_least(75))


def _visible(services: Services) -> list[Flavor]:
    """Those of the instances that the caller may list, one of each id, by id."""
    principal: Principal = g.principal
    services.policy.enforce(principal, Action.LIST_INSTANCES)
    instances = services.policy.listed(
        principal, services.computes.listing().instances, Action.SHOW_INSTANCE, Action.LIST_ALL_INSTANCES
    )
    flavors = {instance.details.flavor.id: instance.details.flavor for instance in instances if instance.details.flavor}
    return [flavors[flavor_id] for flavor_id in sorted(flavors)]


def _wanted(flavor: Flavor) -> bool:
    """Whether the query's filters let it through. All flavors here are public."""
    if microversion.at_least(102) and request.args.get("name", flavor.name) != flavor.name:
        return False
    return _is_public() and flavor.ram >= _least("minRam") and flavor.disk >= _least("minDisk")


def _is_public() -> bool:
    principal: Principal = g.principal
    text = request.args.get("is_public")
    if text is None or text.lower() == "none" or not principal.is_admin:
        return True
    if text.strip().lower() not in filters.TRUTH:
        raise RequestError(400, f"Invalid is_public filter [{text[:40]}]")
    return filters.TRUTH[text.strip().lower()]


def _least(name: str) -> int:
    text = request.args.get(name, "0").strip()
    if not text.lstrip("-").isascii() or not text.lstrip("-").isdigit() or len(text) > 10:  # noqa: PLR2004 - a C int
        raise RequestError(400, f"Invalid {name} filter [{text[:40]}]")
    return int(text)


def _value(flavor: Flavor, key: str) -> str | int | None:
    name = _SORT_KEYS[key]
    return None if name is None else getattr(flavor, name)


def _basic(flavor: Flavor) -> dict[str, Any]:
    links = [{"rel": "self", "href": _href(flavor, "v2.1/")}, {"rel": "bookmark", "href": _href(flavor, "")}]
    view: dict[str, Any] = {"id": flavor.id, "name": flavor.name, "links": links}
    if microversion.at_least(55):
        view["description"] = None
    return view


def _detail(flavor: Flavor) -> dict[str, Any]:
    view = _basic(flavor) | {
        "ram": flavor.ram,
        "disk": flavor.disk,
        "swap": flavor.swap or (0 if microversion.at_least(75) else ""),
        "OS-FLV-EXT-DATA:ephemeral": flavor.ephemeral,
        "vcpus": flavor.vcpus,
        "os-flavor-access:is_public": True,
    }
    if not microversion.at_least(102):
        view |= {"OS-FLV-DISABLED:disabled": False, "rxtx_factor": 1.0}
    if microversion.at_least(61):
        view["extra_specs"] = dict(flavor.extra_specs)
    return view


def _href(flavor: Flavor, prefix: str) -> str:
    return f"{request.host_url}{prefix}flavors/{quote(flavor.id, safe='')}"
