"""A server as Nova shows it (nova/api/openstack/compute/views/servers.py).

What libvirt does not know has the value that Nova gives where it does not know
either: no image is ``""``, a flavour that is gone ``{}``, an unset text ``null``.
``created`` and ``updated`` are ``null``, for no date would be true.
"""

from __future__ import annotations

import hashlib
from typing import Any

from flask import request

from porthole.api.nova import microversion
from porthole.compute.model import Instance, PowerState

STATES: dict[PowerState, tuple[str | None, str]] = {
    PowerState.NOSTATE: (None, "UNKNOWN"),
    PowerState.RUNNING: ("active", "ACTIVE"),
    PowerState.PAUSED: ("paused", "PAUSED"),
    PowerState.SHUTDOWN: ("stopped", "SHUTOFF"),
    # Nova stops a crashed instance (nova/compute/manager.py, _sync_instance_power_state).
    PowerState.CRASHED: ("stopped", "SHUTOFF"),
    PowerState.SUSPENDED: ("suspended", "SUSPENDED"),
}
"""vm_state and status by power state."""

# fmt: off
STATUSES = frozenset((
    "ACTIVE", "BUILD", "DELETED", "ERROR", "HARD_REBOOT", "MIGRATING", "PASSWORD", "PAUSED", "REBOOT", "REBUILD",
    "RESCUE", "RESIZE", "REVERT_RESIZE", "SHELVED", "SHELVED_OFFLOADED", "SHUTOFF", "SOFT_DELETED", "SUSPENDED",
    "UNKNOWN", "VERIFY_RESIZE",
))
# fmt: on
"""Statuses that Nova knows; the others are an error from 2.38 on."""


def basic(instance: Instance) -> dict[str, Any]:
    """The server of a list without details."""
    return {"id": instance.id, "name": instance.name, "links": _links(instance)}


def detail(instance: Instance, unreachable: tuple[str, ...], *, shows_host: bool) -> dict[str, Any]:
    """The server with all its fields.

    :param unreachable: names of the computes that do not answer now
    :param shows_host: whether whoever asks may see which compute has it
    """
    vm_state, status = STATES[instance.state]
    server: dict[str, Any] = {
        **basic(instance),
        "status": status,
        "tenant_id": instance.project_id,
        "user_id": instance.user_id,
        "metadata": {},
        "hostId": _host_id(instance),
        "image": "",
        "flavor": {},
        "created": None,
        "updated": None,
        "addresses": {},
        "accessIPv4": "",
        "accessIPv6": "",
        "OS-DCF:diskConfig": "MANUAL",
        "OS-EXT-AZ:availability_zone": "",
        "config_drive": "",
        "key_name": None,
        "OS-SRV-USG:launched_at": None,
        "OS-SRV-USG:terminated_at": None,
        "OS-EXT-STS:task_state": None,
        "OS-EXT-STS:vm_state": vm_state,
        "OS-EXT-STS:power_state": int(instance.state),
        "os-extended-volumes:volumes_attached": [],
    }
    if status == "ACTIVE":
        server["progress"] = 0
    if shows_host:
        server |= _for_administrators(instance, unreachable)
    if microversion.at_least(9):
        server["locked"] = False
    if microversion.at_least(19):
        server["description"] = None
    if microversion.at_least(26):
        server["tags"] = []
    return server


def _for_administrators(instance: Instance, unreachable: tuple[str, ...]) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "OS-EXT-SRV-ATTR:host": instance.compute,
        "OS-EXT-SRV-ATTR:hypervisor_hostname": instance.compute,
        "OS-EXT-SRV-ATTR:instance_name": instance.domain_name,
    }
    if microversion.at_least(3):
        names = ("kernel_id", "ramdisk_id", "launch_index", "reservation_id", "root_device_name", "user_data")
        fields |= {f"OS-EXT-SRV-ATTR:{name}": None for name in names}
    if microversion.at_least(16):
        fields["host_status"] = "UNKNOWN" if instance.compute in unreachable else "UP"
    return fields


def _links(instance: Instance) -> list[dict[str, str]]:
    return [
        {"rel": "self", "href": f"{request.host_url}v2.1/servers/{instance.id}"},
        {"rel": "bookmark", "href": f"{request.host_url}servers/{instance.id}"},
    ]


def _host_id(instance: Instance) -> str:
    """nova/utils.py ``generate_hostid``: tells hosts apart without naming them, to each project in another way."""
    return hashlib.sha224(f"{instance.project_id}{instance.compute}".encode()).hexdigest()
