"""pytest fixtures: the running service."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hosts import ComputeHost
from tests.hosts.network import Network
from tests.service.appliance import NOVNC, STOCK_NOVNC, Appliance

Hosts = tuple[ComputeHost, ComputeHost]


@pytest.fixture(scope="session")
def novnc() -> Path:
    """The folder of noVNC 1.7's npm package, which script/test installs."""
    if not (NOVNC / "core" / "rfb.js").is_file():
        pytest.fail(f"{NOVNC} is missing; script/test installs it.", pytrace=False)
    return NOVNC


@pytest.fixture(scope="session")
def appliance_for_all(
    network: Network, computes: Hosts, novnc: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Appliance]:
    """One service for the whole run, in front of both compute hosts."""
    appliance = Appliance(
        tmp_path_factory.mktemp("appliance"),
        network.appliance,
        network.appliance_ip,
        computes,
        options={"DEFAULT": {"web": STOCK_NOVNC}} if STOCK_NOVNC.is_dir() else {},
    )
    appliance.start()
    yield appliance
    appliance.stop()


@pytest.fixture
def appliance(appliance_for_all: Appliance, hosts: Hosts) -> Appliance:
    """The service, with both compute hosts up and without guests."""
    deadline = time.monotonic() + 30
    while not all(_states(appliance_for_all)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return appliance_for_all


def _states(appliance: Appliance) -> list[bool]:
    answer = appliance.call("GET", "/v1/instances", "ann").json()
    return [not answer["unreachable_computes"], not answer["instances"]]


@pytest.fixture
def start_appliance(network: Network, hosts: Hosts, novnc: Path, tmp_path: Path) -> Iterator[Callable[..., Appliance]]:
    """Starts a service with settings of its own, on another port."""
    started: list[Appliance] = []

    def start(**options: Any) -> Appliance:
        port = 6200 + len(started)
        appliance = Appliance(
            tmp_path / f"appliance{port}", network.appliance, network.appliance_ip, hosts, port=port, **options
        )
        started.append(appliance)
        appliance.start()
        return appliance

    yield start
    for appliance in started:
        appliance.stop()


@pytest.fixture
def eventually() -> Callable[[Callable[[], object]], None]:
    """Waits until something is true. The limit is far above what any machine needs."""

    def wait(condition: Callable[[], object], seconds: float = 30) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"not so after {seconds} s"
            time.sleep(0.05)

    return wait
