"""A server as Nova shows it (nova/api/openstack/compute/views/servers.py).

What libvirt does not know has the value that Nova gives where it does not know
either: no image is ``""``, an unset text ``null``. ``created`` and ``updated`` are
when Nova configured the instance last, else :data:`fields.UNKNOWN_TIME`.
"""

from __future__ import annotations

import hashlib
from typing import Any

from flask import request

from porthole.api.nova import fields, flavors, microversion
from porthole.compute.model import Instance


def basic(instance: Instance) -> dict[str, Any]:
    """The server of a list without details."""
    return {"id": instance.id, "name": instance.name, "links": _links(instance)}


def detail(instance: Instance, unreachable: tuple[str, ...], *, shows_host: bool) -> dict[str, Any]:
    """The server with all its fields, at the request's microversion.

    :param unreachable: names of the computes that do not answer now
    :param shows_host: whether whoever asks may see which compute has it
    """
    vm_state, status = fields.STATES[instance.state]
    server: dict[str, Any] = {
        **basic(instance),
        "status": status,
        "tenant_id": instance.project_id,
        "user_id": instance.user_id,
        "metadata": {},
        "hostId": _host_id(instance),
        "image": _image(instance),
        "flavor": flavors.reference(instance.details.flavor),
        "created": fields.time_of(instance),
        "updated": fields.time_of(instance),
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
    return server | _of_later_versions(instance)


def _of_later_versions(instance: Instance) -> dict[str, Any]:
    """What newer microversions have added for everybody."""
    added: dict[int, dict[str, Any]] = {
        9: {"locked": False},
        19: {"description": None},
        26: {"tags": []},
        63: {"trusted_image_certificates": None},
        73: {"locked_reason": None},
        90: {"OS-EXT-SRV-ATTR:hostname": fields.hostname(instance)},
        96: {"pinned_availability_zone": None},
        100: {"scheduler_hints": {}},
    }
    return {
        name: value for since, part in added.items() if microversion.at_least(since) for name, value in part.items()
    }


def _for_administrators(instance: Instance, unreachable: tuple[str, ...]) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "OS-EXT-SRV-ATTR:host": instance.compute,
        "OS-EXT-SRV-ATTR:hypervisor_hostname": instance.compute,
        "OS-EXT-SRV-ATTR:instance_name": instance.domain_name,
    }
    if microversion.at_least(3):
        names = ("kernel_id", "ramdisk_id", "launch_index", "reservation_id", "root_device_name", "user_data")
        shown |= {f"OS-EXT-SRV-ATTR:{name}": None for name in names}
        shown["OS-EXT-SRV-ATTR:hostname"] = fields.hostname(instance)
    if microversion.at_least(16):
        shown["host_status"] = "UNKNOWN" if instance.compute in unreachable else "UP"
    return shown


def _image(instance: Instance) -> dict[str, Any] | str:
    image = instance.details.image
    if image is None:
        return ""
    view: dict[str, Any] = {
        "id": image.id,
        "links": [{"rel": "bookmark", "href": f"{request.host_url}images/{image.id}"}],
    }
    if microversion.at_least(98):
        view["properties"] = dict(image.properties)
    return view


def _links(instance: Instance) -> list[dict[str, str]]:
    return [
        {"rel": "self", "href": f"{request.host_url}v2.1/servers/{instance.id}"},
        {"rel": "bookmark", "href": f"{request.host_url}servers/{instance.id}"},
    ]


def _host_id(instance: Instance) -> str:
    """nova/utils.py ``generate_hostid``: tells hosts apart without naming them, to each project in another way."""
    return hashlib.sha224(f"{instance.project_id}{instance.compute}".encode()).hexdigest()
