"""Whose instance it is, on the running service, with the metadata of real guests that change while they run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing

import libvirt
import pytest
import websocket

from porthole.compute.owner import PORTHOLE_NAMESPACE
from tests.hosts import ComputeHost
from tests.service import Appliance

Hosts = tuple[ComputeHost, ComputeHost]

LIMIT = 20.0
"""Seconds for libvirt's event; far more than any machine needs."""

MEMBER, ADMIN = "max", "ann"


@pytest.fixture
def owned(appliance: Appliance, hosts: Hosts) -> Iterator[Callable[[str | None], None]]:
    """Sets the owner of the running ``web-1``; None takes it away."""
    hosts[0].start_guest("web-1")
    with closing(libvirt.open(hosts[0].uri)) as connection:
        domain = connection.lookupByName("web-1")

        def set_owner(project: str | None) -> None:
            domain.setMetadata(
                libvirt.VIR_DOMAIN_METADATA_ELEMENT,
                project and f"<owner project='{project}'/>",
                project and "porthole",
                PORTHOLE_NAMESPACE,
                libvirt.VIR_DOMAIN_AFFECT_LIVE,
            )

        yield set_owner


def names(appliance: Appliance, user: str) -> list[str]:
    """The names of the instances that a user is shown."""
    return [instance["name"] for instance in appliance.call("GET", "/v1/instances", user).json()["instances"]]


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end, f"it did not become true within {LIMIT:g} s"


def test_another_owner_counts_at_once_in_lists_and_look_ups(
    appliance: Appliance, owned: Callable[[str | None], None]
) -> None:
    until(lambda: "web-1" in names(appliance, MEMBER))

    owned("another")
    until(lambda: "web-1" not in names(appliance, MEMBER))
    assert "web-1" in names(appliance, ADMIN)
    refused = [appliance.call("POST", "/v1/consoles", MEMBER, json={"instance": name}) for name in ("web-1", "web-x")]
    assert [answer.status_code for answer in refused] == [404, 404]
    # Word for word what one that nobody has gets.
    assert refused[0].text == refused[1].text.replace("web-x", "web-1")
    assert appliance.call("POST", "/v1/consoles", ADMIN, json={"instance": "web-1"}).status_code == 201

    owned(None)
    until(lambda: "web-1" in names(appliance, MEMBER))
    assert appliance.call("POST", "/v1/consoles", MEMBER, json={"instance": "web-1"}).status_code == 201


def test_a_console_that_was_allowed_opens_nothing_once_the_instance_is_anothers(
    appliance: Appliance, owned: Callable[[str | None], None]
) -> None:
    until(lambda: "web-1" in names(appliance, MEMBER))
    token = appliance.token("web-1", MEMBER)

    # No waiting for an event: a connect asks libvirt itself.
    owned("another")

    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        appliance.upgrade(token)
    assert refused.value.status_code == 403
