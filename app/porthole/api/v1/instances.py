"""The list of instances."""

from __future__ import annotations

from apiflask import APIBlueprint
from flask import g

from porthole.api.services import Services
from porthole.api.spec import problems
from porthole.api.v1.models import InstanceList, InstanceSummary, StateName
from porthole.auth.policy import Action
from porthole.auth.principal import Principal
from porthole.compute.model import PowerState

STATE_NAMES: dict[PowerState, StateName] = {
    PowerState.NOSTATE: "nostate",
    PowerState.RUNNING: "running",
    PowerState.PAUSED: "paused",
    PowerState.SHUTDOWN: "shutdown",
    PowerState.CRASHED: "crashed",
    PowerState.SUSPENDED: "suspended",
}


def add_routes(v1: APIBlueprint, services: Services) -> None:
    """Add ``/v1/instances``."""

    @v1.get("/instances")
    @v1.output(InstanceList, description="The instances; those of a compute that does not answer as last seen.")
    @v1.doc(operation_id="listInstances", responses=problems(401, 403, 429, 503))
    def list_instances() -> InstanceList:
        """List instances"""
        principal: Principal = g.principal
        services.policy.enforce(principal, Action.LIST_INSTANCES)
        listing = services.computes.listing()
        visible = services.policy.listed(principal, listing.instances, Action.SHOW_INSTANCE, Action.LIST_ALL_INSTANCES)
        return InstanceList(
            instances=[
                InstanceSummary(id=i.id, name=i.name, state=STATE_NAMES[i.state], compute=i.compute) for i in visible
            ],
            unreachable_computes=list(listing.unreachable) if principal.is_admin else len(listing.unreachable),
        )
