"""TLS to the browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext

from tests.browser.console import Console
from tests.browser.index import Index
from tests.browser.watch import INSECURE, Watch
from tests.certificates import make_certificate
from tests.hosts import Guest, Network
from tests.service import Appliance


@pytest.fixture
def context(new_context: Callable[..., BrowserContext]) -> BrowserContext:
    """A browser that takes a certificate which nobody has signed."""
    return new_context(ignore_https_errors=True)


def test_the_console_works_over_https_and_wss(
    context: BrowserContext,
    start_appliance: Callable[..., Appliance],
    network: Network,
    guest: Guest,
    watch: Watch,
    tmp_path: Path,
) -> None:
    appliance = start_appliance(
        certificate=make_certificate(tmp_path, network.appliance_ip), options={"DEFAULT": {"ssl_only": "true"}}
    )
    index = Index(context.new_page(), appliance)
    index.enter("max")
    (cookie,) = context.cookies()
    assert cookie["secure"]
    index.refresh_until(index.row(guest.uuid))
    with index.page.expect_popup() as opened:
        index.row(guest.uuid).get_by_role("button", name="Open console").click()
    console = Console(opened.value)
    console.wait_for("connected")
    console.check_that_keys_arrive(guest, "t")
    assert [url.split("?")[0] for url in watch.sockets] == [f"wss://{appliance.ip}:{appliance.port}/vnc_auto.html"]
    assert INSECURE not in watch.messages
    assert all(request.url.startswith("https://") for request in watch.requests)
