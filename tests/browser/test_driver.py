"""Fixtures of several folders may each want a browser, and a process can have Playwright only once."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser

from tests.browser import driver
from tests.hosts import Network


def test_a_second_browser_in_another_network_runs_beside_the_first_which_stays(
    chromium: Browser, network: Network, tmp_path: Path
) -> None:
    with driver.playwright() as one, driver.playwright() as two:
        assert one is two
    with driver.chromium(network.appliance, tmp_path) as another:
        page = another.new_page()
        page.set_content("<p>here</p>")
        assert page.inner_text("p") == "here"
    page = chromium.new_page()
    page.set_content("<p>still here</p>")
    assert page.inner_text("p") == "still here"
    page.close()
