"""The service in front of real hosts, with a real Keystone as identity."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import libvirt
import requests

from tests.hosts import ComputeHost, Guest
from tests.hosts.network import Network
from tests.openstack.keystone import REGION, Keystone
from tests.service import Appliance

NOVA = "http://openstack.org/xmlns/libvirt/nova/1.1"

MEMBER, OTHER, READER, ADMIN = "ada", "ben", "rea", "admin"
"""A member of alpha, one of beta, a reader of alpha, and Keystone's first administrator."""

PATIENT = 30.0
"""Seconds that Keystone has for an answer in tests that are not about its silence: the machine may be busy."""


def options(keystone: Keystone, **more: object) -> dict[str, dict[str, object]]:
    """The configuration of a service that asks this Keystone.

    :param more: further options of [keystone_authtoken]
    """
    own = {
        "auth_url": keystone.url,
        "username": "porthole",
        "password": keystone.passwords["porthole"],
        "project_name": "service",
        "http_connect_timeout": PATIENT,
        **more,
    }
    return {"api": {"auth_strategy": "keystone"}, "keystone_authtoken": own}


def add_people(keystone: Keystone) -> None:
    """The users of these tests."""
    keystone.add_user(MEMBER, "alpha", "member")
    keystone.add_user(OTHER, "beta", "member")
    keystone.add_user(READER, "alpha", "reader")


def give_to(host: ComputeHost, guest: Guest, user: str, project: str) -> None:
    """Write the owner into a running guest's metadata, as Nova does (LibvirtConfigGuestMetaNovaOwner)."""
    owner = f"<owner><user uuid='{user}'>u</user><project uuid='{project}'>p</project></owner>"
    with closing(libvirt.open(host.uri)) as connection:
        connection.lookupByUUIDString(guest.uuid).setMetadata(
            libvirt.VIR_DOMAIN_METADATA_ELEMENT, f"<instance>{owner}</instance>", "nova", NOVA,
            libvirt.VIR_DOMAIN_AFFECT_LIVE,
        )  # fmt: skip


@contextmanager
def running(
    folder: Path, network: Network, computes: Iterable[ComputeHost], keystone: Keystone, port: int, **more: object
) -> Iterator[Cloud]:
    """A service in front of hosts that asks a Keystone, for as long as it is needed.

    :param port: where it listens, like that of no other service of this run
    :param more: further options of [keystone_authtoken]
    """
    add_people(keystone)
    appliance = Appliance(
        folder, network.appliance, network.appliance_ip, computes, port=port, options=options(keystone, **more)
    )
    try:
        appliance.start()
        yield Cloud(appliance, keystone)
    finally:
        appliance.stop()


@dataclass
class Cloud:
    """A service and its Keystone."""

    appliance: Appliance
    keystone: Keystone

    def call(self, method: str, path: str, token: str | None, **more: Any) -> requests.Response:
        """A call with a token."""
        headers: Mapping[str, str] = more.pop("headers", {})
        with_token = {"X-Auth-Token": token} if token else {}
        return self.appliance.call(method, path, None, headers={**headers, **with_token}, **more)

    def token(self, user: str, project: str) -> str:
        """A new token of Keystone."""
        return self.keystone.token(user, project)

    def names(self, token: str) -> list[str]:
        """The instances that are shown for a token."""
        answer = self.call("GET", "/v1/instances", token)
        assert answer.status_code == 200, answer.text
        return [instance["name"] for instance in answer.json()["instances"]]

    def console(self, instance: str, token: str, **body: object) -> requests.Response:
        """The answer to a request for a console."""
        return self.call("POST", "/v1/consoles", token, json={"instance": instance, **body})

    def register(self) -> None:
        """The service in the catalogue, as role keystone_endpoint does it."""
        made = self.keystone.call("POST", "/services", {"service": {"type": "porthole", "name": "porthole"}})
        endpoint = {
            "service_id": made["service"]["id"],
            "interface": "public",
            "region_id": REGION,
            "url": f"{self.appliance.url}/v2.1",
        }
        self.keystone.call("POST", "/endpoints", {"endpoint": endpoint})
