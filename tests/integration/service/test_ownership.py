"""Whose instance it is, on the running service, with the metadata of real guests that change while they run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import libvirt
import pytest
import websocket

from porthole.compute.owner import PORTHOLE_NAMESPACE
from tests.hosts import ComputeHost
from tests.service import Appliance

Hosts = tuple[ComputeHost, ComputeHost]

LIMIT = 20.0
"""Seconds for libvirt's event; far more than any machine needs."""

AT_ONCE = 1.0
"""Seconds within which a session ends."""

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


@dataclass(frozen=True)
class Known:
    """An instance that a user has known: what it was asked for by, and a token of it."""

    id: str
    name: str
    token: str


@pytest.fixture
def two(appliance: Appliance, hosts: Hosts, owned: Callable[[str | None], None]) -> tuple[Known, Known]:
    """An instance that runs and is another's by now, and one that is gone."""
    web = hosts[0].conn.lookupByName("web-1").UUIDString()
    guest = hosts[0].start_guest("web-9")
    until(lambda: names(appliance, MEMBER) == ["web-1", "web-9"])
    hidden = Known(web, "web-1", appliance.token("web-1", MEMBER))
    gone = Known(guest.uuid, "web-9", appliance.token("web-9", MEMBER))
    owned("another")
    guest.destroy()
    until(lambda: names(appliance, MEMBER) == [] and names(appliance, ADMIN) == ["web-1"])
    return hidden, gone


def answers(appliance: Appliance, one: Known) -> dict[str, tuple[int, str]]:
    """Status and body of all that can be asked about an instance, by way, with IT for what it was asked for by."""
    said: dict[str, tuple[int, str]] = {}

    def ask(way: str, method: str, path: str, version: str = "2.1", **options: Any) -> None:
        headers = {"OpenStack-API-Version": f"compute {version}"}
        answer = appliance.call(method, path, MEMBER, headers=headers, **options)
        said[way] = answer.status_code, answer.text

    for by, asked_for in (("id", one.id), ("name", one.name)):
        server = f"/v2.1/servers/{asked_for}"
        ask(f"consoles by {by}", "POST", "/v1/consoles", json={"instance": asked_for})
        ask(f"show by {by}", "GET", server)
        ask(f"action by {by}", "POST", f"{server}/action", json={"os-getVNCConsole": {"type": "novnc"}})
        console = {"remote_console": {"protocol": "vnc", "type": "novnc"}}
        ask(f"remote-consoles by {by}", "POST", f"{server}/remote-consoles", "2.6", json=console)
    ask("check", "POST", "/v1/consoles/check", json={"token": one.token})
    said["upgrade"] = refusal(appliance, one.token)
    return {way: (status, text.replace(one.id, "IT").replace(one.name, "IT")) for way, (status, text) in said.items()}


def refusal(appliance: Appliance, token: str) -> tuple[int, str]:
    """Status and body of an upgrade that is refused."""
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        appliance.upgrade(token)
    return refused.value.status_code, (refused.value.resp_body or b"").decode()


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
    assert refusal(appliance, token)[0] == 404

    owned(None)
    appliance.upgrade(token).close()


def test_a_session_ends_within_a_second_when_its_instance_becomes_anothers(
    appliance: Appliance, owned: Callable[[str | None], None]
) -> None:
    until(lambda: "web-1" in names(appliance, MEMBER))
    members, admins = appliance.open_console("web-1", MEMBER), appliance.open_console("web-1", ADMIN)

    owned("another")
    began = time.monotonic()
    closed = members.wait_for_close()

    assert time.monotonic() - began < AT_ONCE
    assert (closed.code, closed.reason) == (4006, "You may no longer open this console.")
    # An administrator may open it all the same, and goes on.
    admins.request_update()
    assert admins.raw_update() > 0
    admins.close()


class TestNoOracle:
    """Nothing tells an instance of others from one that does not exist, wherever one asks."""

    def test_same_status_and_body(self, appliance: Appliance, two: tuple[Known, Known]) -> None:
        hidden, gone = (answers(appliance, one) for one in two)
        assert hidden == gone
        assert {status for status, _ in hidden.values()} == {404}

    def test_same_look_ups(self, appliance: Appliance, hosts: Hosts, two: tuple[Known, Known]) -> None:
        """While a compute is away it counts for both that it cannot be asked: neither is known from memory."""
        hosts[1].stop()
        until(lambda: appliance.call("GET", "/v1/instances", MEMBER).json()["unreachable_computes"] == 1)
        hidden, gone = (answers(appliance, one) for one in two)
        assert hidden == gone
        # Nova's calls take no names, and nobody is asked for one.
        assert {way: status for way, (status, _) in hidden.items() if status != 503} == {
            f"{way} by name": 404 for way in ("show", "action", "remote-consoles")
        }
