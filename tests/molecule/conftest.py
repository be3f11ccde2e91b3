"""Fixtures of all scenarios."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.molecule.cloud import CHECKOUT, Cloud
from tests.molecule.site import Site

FIGURES: dict[str, str] = {}


@pytest.fixture(scope="session")
def cloud() -> Cloud:
    """The scenario's hosts."""
    if "PORTHOLE_HOSTS_NET" not in os.environ:
        pytest.skip("run by Molecule, which makes the hosts")
    return Cloud()


@pytest.fixture(scope="session")
def inventory() -> Path:
    """The inventory that the hosts were set up with."""
    return CHECKOUT / "molecule" / os.environ.get("MOLECULE_SCENARIO_NAME", "default") / "inventory" / "hosts.yml"


@pytest.fixture(scope="session")
def site(cloud: Cloud) -> Site:
    """The service, as the administrator uses it."""
    return Site(cloud["console1"])


@pytest.fixture(scope="session")
def figures() -> dict[str, str]:
    """Figures to be shown at the end: what → how much."""
    return FIGURES


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None] | None:
    """Print the figures."""
    for what, value in FIGURES.items():
        terminalreporter.write_line(f"figure: {what}: {value}")
    return None
