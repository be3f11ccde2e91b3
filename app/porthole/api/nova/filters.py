"""Which servers a list is to have: the query's filters (nova/api/openstack/compute/servers.py ``_get_servers``).

Nova's filters of text are regular expressions, which its database looks for anywhere in the text. Here they are text
with ``^`` and ``$`` for its ends: a regular expression of somebody else's can take a processor for hours.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from types import MappingProxyType

from flask import g, request

from porthole.api.errors import RequestError
from porthole.api.nova import fields, microversion, query
from porthole.auth.policy import Action, Policy
from porthole.auth.principal import Principal
from porthole.compute.model import Instance

Wanted = Callable[[Instance], bool]

_EXACT = (
    "uuid", "project_id", "tenant_id", "user_id", "vm_state", "task_state", "host", "flavor", "image", "image_ref",
    "launch_index",
)  # fmt: skip
_PATTERNS = (
    "access_ip_v4", "access_ip_v6", "auto_disk_config", "availability_zone", "config_drive", "created_at",
    "description", "display_description", "display_name", "hostname", "ip", "ip6", "kernel_id", "key_name",
    "launched_at", "locked_by", "name", "node", "power_state", "progress", "ramdisk_id", "reservation_id",
    "root_device_name", "terminated_at",
)  # fmt: skip
_TAGS = ("tags", "tags-any", "not-tags", "not-tags-any")
_JOINED = ("block_device_mapping", "services", "metadata", "system_metadata", "info_cache", "security_groups",
           "pci_devices")  # fmt: skip
"""Words of the schema that are an error all the same (``JOINED_TABLE_QUERY_PARAMS_SERVERS``)."""

_OLD_SORT_KEYS = (
    "architecture", "cell_name", "cleaned", "default_ephemeral_device", "default_swap_device", "deleted", "deleted_at",
    "disable_terminate", "ephemeral_gb", "ephemeral_key_uuid", "id", "key_data", "launched_on", "locked", "memory_mb",
    "os_type", "reservation_id", "root_gb", "shutdown_terminate", "user_data", "vcpus", "vm_mode",
)  # fmt: skip
_SORT_KEYS = (
    "access_ip_v4", "access_ip_v6", "auto_disk_config", "availability_zone", "config_drive", "created_at",
    "display_description", "display_name", "host", "hostname", "image_ref", "instance_type_id", "kernel_id", "key_name",
    "launch_index", "launched_at", "locked_by", "node", "power_state", "progress", "project_id", "ramdisk_id",
    "root_device_name", "task_state", "terminated_at", "updated_at", "user_id", "uuid", "vm_state",
)  # fmt: skip

_FOR_ALL = ("reservation_id", "name", "status", "image", "flavor", "ip", "changes-since", "all_tenants")
_FOR_ALL_SINCE = {
    5: ("ip6",),
    26: _TAGS,
    66: ("changes-before",),
    73: ("locked",),
    83: ("availability_zone", "config_drive", "key_name", "created_at", "launched_at", "terminated_at", "power_state",
         "task_state", "vm_state", "progress", "user_id"),
    90: ("hostname",),
}  # fmt: skip
"""What counts of somebody who may not use all filters, by the microversion (``_get_server_search_options``)."""

TRUTH = MappingProxyType(
    dict.fromkeys(("", "1", "t", "true", "on", "y", "yes"), True)
    | dict.fromkeys(("0", "f", "false", "off", "n", "no"), False)
)
"""oslo.utils' words for a truth (strutils.bool_from_string), and the mere name."""


@lru_cache(maxsize=microversion.MAX.minor)
def checks(minor: int) -> dict[str, query.Check]:
    """The parameters of a list at a microversion, with what their values have to be (schemas/servers.py)."""
    known: dict[str, query.Check] = dict.fromkeys((*_EXACT, *_JOINED), query.text)
    known |= dict.fromkeys((*_PATTERNS, "flavor"), query.pattern)
    known |= dict.fromkeys(("marker", "sort_dir", "all_tenants", "soft_deleted", "deleted", "status"), query.text)
    known |= {"limit": query.whole_number, "changes-since": query.date_time}
    if minor >= 26:  # noqa: PLR2004 - microversions are best read as they are
        known |= dict.fromkeys(_TAGS, query.pattern)
    if minor >= 66:  # noqa: PLR2004
        known["changes-before"] = query.date_time
    if minor >= 73:  # noqa: PLR2004
        known["locked"] = query.text
    known["sort_key"] = query.one_of(frozenset(_sort_keys(minor)))
    return known


def _sort_keys(minor: int) -> tuple[str, ...]:
    if minor >= 75:  # noqa: PLR2004
        return (*_SORT_KEYS, "locked")
    return (*_SORT_KEYS, *_OLD_SORT_KEYS)


def check() -> None:
    """Check the query of the current request.

    :raises RequestError: 400 as Nova answers at the request's microversion
    """
    minor: int = g.microversion.minor
    known = checks(minor)
    # Names with _ are in Nova's schema at every version, to be refused later.
    hidden = {name: query.text for name in request.args if name.startswith("_")}
    query.check(known | hidden, strict=minor >= 75, also="^_")  # noqa: PLR2004


def wanted(principal: Principal, policy: Policy) -> Wanted:
    """What the query lets through.

    :raises RequestError: 400 or 403 as Nova answers
    """
    given = _given(may_use_all=policy.may(principal, Action.USE_ALL_FILTERS))
    for name in given:
        if name in _JOINED or name.startswith("_"):
            raise RequestError(400, f"Invalid filter field: {name[:80]}.")
    tests: list[Wanted] = [_status(principal)] if "status" in given else []
    tests += [_compared(principal, policy, name, text) for name, text in given.items() if name in (*_EXACT, *_PATTERNS)]
    tests.append(_changed(given))
    if _locked(given.get("locked")) or any(given.get(name) for name in ("tags", "tags-any")) or _deleted(given):
        tests.append(lambda _instance: False)
    return lambda instance: all(test(instance) for test in tests)


def _given(*, may_use_all: bool) -> dict[str, str]:
    """The filters that count, with their last values, as Nova takes them."""
    minor: int = g.microversion.minor
    allowed = {*_FOR_ALL, *(name for since, names in _FOR_ALL_SINCE.items() if minor >= since for name in names)}
    known = checks(minor)
    return {
        name: request.args.getlist(name)[-1]
        for name in request.args
        if (name in known or name.startswith("_")) and (may_use_all or name in allowed)
    }


def _status(principal: Principal) -> Wanted:
    statuses = {status.upper() for status in request.args.getlist("status")}
    if not statuses & fields.STATUSES:
        if microversion.at_least(38):
            raise RequestError(400, "Invalid status value")
        return lambda _instance: False
    if statuses & fields.STATUSES == {"DELETED"} and not principal.is_admin:
        raise RequestError(403, "Only administrators may list deleted instances")
    return lambda instance: fields.STATES[instance.state][1] in statuses & fields.STATUSES


def _compared(principal: Principal, policy: Policy, name: str, text: str) -> Wanted:
    def passes(instance: Instance) -> bool:
        # Whoever may not see hosts does not learn of them by a filter either: it is passed over.
        if name in ("host", "node") and not policy.may(principal, Action.SHOW_HOST, instance):
            return True
        found = fields.value(instance, name)
        if found is None:
            return False
        return found == text if name in _EXACT else _matches(text, found)

    return passes


def _matches(sought: str, text: str) -> bool:
    """Part of the text, with ``^`` and ``$`` for its ends; case does not matter, as in Nova's MySQL."""
    start, end = sought.startswith("^"), sought.endswith("$")
    sought, text = sought[start : len(sought) - end].lower(), text.lower()
    if start and end:
        return text == sought
    if start or end:
        return text.startswith(sought) if start else text.endswith(sought)
    return sought in text


def _changed(given: dict[str, str]) -> Wanted:
    since, before = (query.parsed_time(given.get(name, "")) for name in ("changes-since", "changes-before"))
    if since and before and before < since:
        raise RequestError(400, "The value of changes-since must be less than or equal to changes-before.")
    if not since and not before:
        return lambda _instance: True

    def passes(instance: Instance) -> bool:
        changed = query.parsed_time(fields.time_of(instance))
        return changed is None or ((not since or changed >= since) and (not before or changed <= before))

    return passes


def _locked(text: str | None) -> bool:
    """Whether locked ones are asked for: there are none."""
    if text is None:
        return False
    if text.strip().lower() not in TRUTH:
        raise RequestError(
            400, f"Invalid input for query parameters locked. Value: {text[:40]}. It has to be true or false."
        )
    return TRUTH[text.strip().lower()]


def _deleted(given: dict[str, str]) -> bool:
    """Whether deleted ones are asked for: there are none. What is no truth is false here, as in Nova."""
    return any(name in given and TRUTH.get(given[name].strip().lower(), False) for name in ("deleted", "soft_deleted"))
