"""pytest fixtures: real compute hosts. Register with ``pytest_plugins = ["tests.hosts.fixtures"]``."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator

import libvirt
import pytest

from .compute import CACHE, ComputeHost
from .network import Network, needs, sweep


@pytest.fixture(scope="session")
def progress(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Says what takes long, past pytest's capturing."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")

    def say(text: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"\n{text}", file=sys.stderr, flush=True)

    return say


@pytest.fixture(scope="session")
def network() -> Iterator[Network]:
    """The private and the public network, with the namespaces ``browser`` and ``appliance``."""
    lacking = needs()
    if lacking:
        pytest.fail("These tests run real compute hosts. " + " ".join(lacking), pytrace=False)
    sweep()
    network = Network()
    try:
        yield network
    finally:
        network.close()


@pytest.fixture(scope="session")
def computes(network: Network, progress: Callable[[str], None]) -> Iterator[tuple[ComputeHost, ComputeHost]]:
    """Two compute hosts for the whole run. A test that changes them should ask for ``hosts``."""
    libvirt.registerErrorHandler(lambda context, error: None, None)  # libvirt prints each error otherwise
    if not (CACHE / "capabilities").exists():
        progress("libvirt looks at QEMU for the first time on this machine: this takes about 10 s")
    started = time.monotonic()
    hosts: list[ComputeHost] = []
    try:
        for number in (1, 2):
            hosts.append(ComputeHost(network, number, progress))
        progress(f"two compute hosts are up after {time.monotonic() - started:.1f} s")
        yield hosts[0], hosts[1]
    finally:
        for host in hosts:
            host.close()


@pytest.fixture
def hosts(computes: tuple[ComputeHost, ComputeHost]) -> Iterator[tuple[ComputeHost, ComputeHost]]:
    """The two compute hosts without guests; whatever the test does to them is undone afterwards."""
    yield computes
    for host in computes:
        host.recover()
        host.remove_guests()
