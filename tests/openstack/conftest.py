"""Fixtures with OpenStack's packages. Those of compute hosts and of the service come from ``tests/conftest.py``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.openstack.environment import OpenStackClient
from tests.service import Appliance

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
