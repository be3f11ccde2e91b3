"""Fixtures with OpenStack's packages. Those of compute hosts and of the service come from ``tests/conftest.py``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hosts.network import Network
from tests.openstack.keystone import Keystone


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
