"""Fixtures with OpenStack's packages. Those of compute hosts and of the service come from ``tests/conftest.py``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.openstack import judge
from tests.openstack.environment import OpenStackClient
from tests.service import Appliance
from tests.service.consoles import Process

ClientOf = Callable[..., OpenStackClient]


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
