"""Fixtures of the scenario."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.molecule import guests
from tests.molecule.cloud import CHECKOUT, Cloud
from tests.molecule.generations import Generations
from tests.molecule.site import Held, Site

GUEST = "desk"
CONFIGURATION = "/etc/porthole/porthole.conf"


@pytest.fixture(scope="session")
def inventory() -> Path:
    """The inventory that the hosts were set up with, which names the older release."""
    return CHECKOUT / "molecule" / "upgrade" / "inventory" / "hosts.yml"


@pytest.fixture(scope="session")
def generations(site: Site) -> Generations:
    """The service's generations."""
    return Generations(site.host)


@pytest.fixture(scope="session")
def older_configuration(site: Site) -> str:
    """The configuration before anything was upgraded."""
    return site.host.read(CONFIGURATION)


@pytest.fixture(scope="session", autouse=True)
def guest(cloud: Cloud) -> str:
    """A guest that was started after the compute was set up."""
    compute = cloud["compute2"]
    guests.remove(compute, GUEST)
    guests.start(compute, GUEST, compute.v4)
    return GUEST


@pytest.fixture
def held(site: Site, guest: str) -> Iterator[Held]:
    """A session that was open before whatever the test does."""
    session = Held(site.open(guest))
    yield session
    session.close()


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    """The inventory of an operator who wants the checkout's own release, with an option that the older one had not."""
    inventory = tmp_path / "inventory.yml"
    inventory.write_text(
        "appliance: {hosts: {console1: }, vars: {appliance_options: {proxy: {ping_interval: 19}}}}\n"
        "computes: {hosts: {compute2: }}\n"
    )
    return inventory
