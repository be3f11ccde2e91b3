"""Fixtures of the scenario."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.molecule.cloud import CHECKOUT, Cloud
from tests.molecule.stages import vault

SCENARIO = CHECKOUT / "molecule" / "stages"
LOG = CHECKOUT / ".cache" / "molecule" / "stages.log"


@pytest.fixture(scope="session")
def inventory() -> Path:
    """The inventory that the hosts were set up with."""
    return SCENARIO / "inventory" / "hosts.yml"


@pytest.fixture(scope="session")
def operator(cloud: Cloud) -> vault.Secrets:
    """What only the operator knows."""
    return vault.read(SCENARIO)
