"""Pictures a second in a browser that is far away, of a real guest that draws without end."""

from __future__ import annotations

import subprocess
import sys
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, WebSocket

from tests.browser.console import Console
from tests.browser.watch import Watch
from tests.hosts import ComputeHost, Network
from tests.service import Appliance

Hosts = tuple[ComputeHost, ComputeHost]
StartAppliance = Callable[..., Appliance]
CHECKOUT = Path(__file__).resolve().parents[2]
WAY = 0.1
SECONDS = 4.0
UPDATE_REQUEST = 3


@pytest.fixture
def far(network: Network) -> Iterator[Callable[[Appliance], str]]:
    """Makes an address in the browser's own network that leads to a service 100 ms away."""
    started: list[subprocess.Popen[str]] = []

    def lead(appliance: Appliance) -> str:
        command = [sys.executable, "-m", "tests.service.distance", appliance.ip, str(appliance.port), str(WAY)]
        process = network.browser.popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        return f"127.0.0.1:{int(process.stdout.readline())}"

    yield lead
    for process in started:
        process.communicate(timeout=10)


def pictures(context: BrowserContext, url: str) -> float:
    """Updates a second that noVNC has shown: it asks again after each."""
    requests = 0

    def count(payload: str | bytes) -> None:
        nonlocal requests
        requests += isinstance(payload, bytes) and payload[:1] == bytes([UPDATE_REQUEST])

    def attach(socket: WebSocket) -> None:
        socket.on("framesent", count)

    page = context.new_page()
    page.on("websocket", attach)
    console = Console(page)
    console.open(url)
    console.wait_for("connected")
    page.wait_for_timeout(2000)
    before = requests
    page.wait_for_timeout(SECONDS * 1000)
    shown = (requests - before) / SECONDS
    page.close()
    return shown


def test_through_novnc_100_ms_away_several_times_as_many(
    context: BrowserContext,
    start_appliance: StartAppliance,
    hosts: Hosts,
    far: Callable[[Appliance], str],
    watch: Watch,
    progress: Callable[[str], None],
) -> None:
    guest = hosts[0].start_guest("film-1", animated=True)
    shown = []
    for pipelines in (False, True):  # the guest's start, which takes a busy machine a while, makes the first slower
        appliance = start_appliance(options={"proxy": {"pipeline_updates": pipelines}})
        there = far(appliance)
        watch.foreign.add(there)
        url = urllib.parse.urlsplit(appliance.console_url(guest.uuid))._replace(netloc=there).geturl()
        shown.append(pictures(context, url))
    progress(f"figure: {shown[1]:.1f} pictures a second in Chromium over {WAY * 1000:.0f} ms, {shown[0]:.1f} without")
    assert shown[1] >= 3 * shown[0] > 0
