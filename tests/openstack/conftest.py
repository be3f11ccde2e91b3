"""Fixtures with OpenStack's packages. Those of compute hosts and of the service come from ``tests/conftest.py``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.hosts.network import Network
from tests.openstack import judge
from tests.openstack.environment import OpenStackClient
from tests.openstack.keystone import Keystone
from tests.openstack.nova import Nova
from tests.service import Appliance
from tests.service.consoles import Process

ClientOf = Callable[..., OpenStackClient]

LOOPBACK = "127.0.0.1"


@pytest.fixture
def client_of(tmp_path: Path) -> ClientOf:
    """Makes the OpenStack client of a service's user, with the clouds.yaml that the service prints for it."""

    def make(appliance: Appliance, user: str, *arguments: str, password: str | None = None) -> OpenStackClient:
        home = tmp_path / f"home-of-{user}-at-{appliance.port}"
        home.mkdir(exist_ok=True)
        config = str(appliance.folder / "porthole.conf")
        clouds_yaml = home / "clouds.yaml"
        clouds_yaml.write_text(appliance.run("clouds-yaml", user, *arguments, "--config-file", config))
        return OpenStackClient.of_cloud(clouds_yaml, "porthole", password or appliance.passwords[user])

    return make


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A service whose answers are given to Nova's schemas; its hypervisor is libvirt's test driver."""
    site, service = judge.start(tmp_path_factory.mktemp("judged"))
    try:
        yield service
    finally:
        site.stop()


@pytest.fixture(scope="session")
def keystone(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keystone]:
    """One Keystone for the whole run, on the public network, with a user ``porthole`` that may validate tokens.

    What a test makes in it stays: look for names of your own, and not at what else there is.
    """
    keystone = Keystone(tmp_path_factory.mktemp("keystone"), network.public.gateway)
    keystone.start()
    try:
        keystone.add_user("porthole", "service", "service")
        yield keystone
    finally:
        keystone.stop()


@pytest.fixture(scope="module")
def local_nova(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nova]:
    """A nova-api and its Keystone on the loopback interface, for tests without compute hosts."""
    folder = tmp_path_factory.mktemp("local-nova")
    keystone = Keystone(folder / "keystone", LOOPBACK)
    keystone.start()
    nova = None
    try:
        nova = Nova(folder / "nova", LOOPBACK, keystone, f"http://{LOOPBACK}:6080/vnc_auto.html")
        nova.start()
        yield nova
    finally:
        if nova is not None:
            nova.close()
        keystone.stop()
