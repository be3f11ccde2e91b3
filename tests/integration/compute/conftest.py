"""Computes on the two real compute hosts, driven through gevent in pytest's own process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import gevent
import pytest

from porthole.compute import Computes
from porthole.config import AuthScheme, ComputeSettings
from tests.hosts import ComputeHost

Hosts = tuple[ComputeHost, ComputeHost]
Eventually = Callable[[Callable[[], object]], None]

CALL_TIMEOUT = 2.0


@pytest.fixture
def service(hosts: Hosts) -> Iterator[Computes]:
    """Computes that are connected to both hosts."""
    computes = Computes(
        [ComputeSettings(host.name, host.uri, host.ip, (AuthScheme.NONE,), host.name) for host in hosts],
        call_timeout=CALL_TIMEOUT,
        resync_interval=3600,
    )
    computes.start()
    try:
        assert computes.wait_until_asked(30)
        assert computes.status() == {"compute1": True, "compute2": True}
        yield computes
    finally:
        computes.stop()


@pytest.fixture
def eventually() -> Eventually:
    """Waits until something is true. The limit is far above what any machine needs."""

    def wait(condition: Callable[[], object]) -> None:
        end = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < end, "it did not become true within 60 s"
            gevent.sleep(0.02)

    return wait
