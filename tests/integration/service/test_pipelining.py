"""Pictures a second for a browser that is far away, of a real guest that draws without end."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable

import pytest
import websocket

from tests.hosts import ComputeHost
from tests.service import Appliance, RfbClient
from tests.service.consoles import wait_until
from tests.service.distance import far_away

Hosts = tuple[ComputeHost, ComputeHost]
StartAppliance = Callable[..., Appliance]

WAY = 0.1
SECONDS = 4.0
KEEPS_UP = 1.5
"""Seconds in which it is found out what the connection carries."""

FILM_RUNS = 30
"""Updates after which a guest is past its BIOS, which draws a few."""

CORNER = struct.pack("!BBHHHH", 3, 1, 0, 0, 160, 100)
"""Of it alone are updates asked for: this client is no fast one."""


def pictures(appliance: Appliance, instance: str, user: str, way: float, mode: str = "full") -> float:
    """Updates a second over a way of so many seconds there and back."""
    answer = appliance.call("POST", "/v1/consoles", user, json={"instance": instance, "mode": mode})
    token = answer.json()["url"].rpartition("token%3D")[2]
    with far_away((appliance.ip, appliance.port), way) as port:
        client = RfbClient(
            websocket.create_connection(
                f"ws://127.0.0.1:{port}/?token={token}", timeout=20, suppress_origin=True, http_no_proxy=["*"]
            )
        ).handshake()
        client.send(CORNER)
        begin = time.monotonic() + KEEPS_UP
        count = 0
        while time.monotonic() < begin + SECONDS:
            client.raw_update()
            client.send(CORNER)
            count += time.monotonic() >= begin
        client.close()
    return count / SECONDS


def wait_until_drawing(appliance: Appliance, instance: str) -> None:
    """The service knows the instance, and its film runs: on a busy machine that takes a guest a while."""
    wait_until(lambda: appliance.call("GET", "/v1/instances").json()["instances"])
    client = appliance.open_console(instance)
    for _ in range(FILM_RUNS):
        client.send(CORNER)
        client.raw_update()
    client.close()


@pytest.fixture
def guest(hosts: Hosts) -> str:
    return hosts[0].start_guest("film-1", animated=True).uuid


@pytest.mark.parametrize("mode", ["full", "view"])
def test_a_browser_100_ms_away_sees_several_times_as_many(
    start_appliance: StartAppliance, guest: str, mode: str, progress: Callable[[str], None]
) -> None:
    ahead, behind = start_appliance(), start_appliance(options={"proxy": {"pipeline_updates": False}})
    for appliance in (ahead, behind):
        wait_until_drawing(appliance, guest)
    far = [pictures(appliance, guest, "max", WAY, mode) for appliance in (ahead, behind)]
    progress(f"figure: {far[0]:.1f} pictures a second over {WAY * 1000:.0f} ms, {far[1]:.1f} without pipeline_updates")
    assert far[1] < 1 / WAY
    assert far[0] >= 2 * far[1]


def test_one_that_is_near_sees_no_fewer(start_appliance: StartAppliance, guest: str) -> None:
    ahead, behind = start_appliance(), start_appliance(options={"proxy": {"pipeline_updates": False}})
    for appliance in (ahead, behind):
        wait_until_drawing(appliance, guest)
    near = [pictures(appliance, guest, "max", 0, "full") for appliance in (ahead, behind, ahead)]
    assert max(near[0], near[2]) >= 0.8 * near[1]
