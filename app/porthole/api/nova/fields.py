"""The fields of an instance by Nova's names, for views, filters and sorting (nova/objects/instance.py)."""

from __future__ import annotations

import re
from collections.abc import Callable

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
    "VERIFY_RESIZE",
))
# fmt: on
"""Statuses that Nova takes as a filter (nova/api/openstack/common.py ``_STATE_MAP``): all but UNKNOWN."""

UNKNOWN_TIME = "1970-01-01T00:00:00Z"
"""Of an instance of which nobody says since when it is there: a date that nobody takes for a true one."""

MAX_HOSTNAME = 63


def time_of(instance: Instance) -> str:
    """``created`` and ``updated``: when Nova configured it last."""
    return instance.details.configured or UNKNOWN_TIME


def hostname(instance: Instance) -> str:
    """The name that Nova gives the guest, made of the instance's name (nova/utils.py ``sanitize_hostname``).

    It is at least what Nova proposes: libvirt does not tell whether the user asked for another one.
    """
    latin = instance.name.encode("latin-1", "ignore").decode("latin-1")[:MAX_HOSTNAME]
    made = re.sub(r"[^\w.-]+", "", re.sub(r"[ _.]", "-", latin)).lower().strip(".-")
    return made or f"Server-{instance.id}"[:MAX_HOSTNAME]


def value(instance: Instance, field: str) -> str | None:
    """A field as text, by the name that a filter or a sort key has; None where Nova would have NULL."""
    read = _FIELDS.get(field)
    return None if read is None else read(instance)


def _flavor(instance: Instance) -> str | None:
    flavor = instance.details.flavor
    return flavor.id if flavor else None


def _image(instance: Instance) -> str | None:
    image = instance.details.image
    return image.id if image else None


_FIELDS: dict[str, Callable[[Instance], str | None]] = {
    "uuid": lambda instance: instance.id,
    "name": lambda instance: instance.name,
    "display_name": lambda instance: instance.name,
    "hostname": hostname,
    "host": lambda instance: instance.compute,
    "node": lambda instance: instance.compute,
    "project_id": lambda instance: instance.project_id,
    "tenant_id": lambda instance: instance.project_id,
    "user_id": lambda instance: instance.user_id,
    "vm_state": lambda instance: STATES[instance.state][0],
    "power_state": lambda instance: str(int(instance.state)),
    "flavor": _flavor,
    "image": _image,
    "image_ref": _image,
    "created_at": time_of,
    "updated_at": time_of,
    "progress": lambda _instance: "0",
}
