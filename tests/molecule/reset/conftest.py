"""Fixtures of the scenario."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.molecule.cloud import CHECKOUT


@pytest.fixture(scope="session")
def inventory() -> Path:
    """The inventory that the hosts were set up with."""
    return CHECKOUT / "molecule" / "reset" / "inventory" / "hosts.yml"
