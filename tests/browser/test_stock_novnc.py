"""noVNC's own pages, as Debian packages them (1.3), in front of the service."""

from __future__ import annotations

import time
import urllib.parse

import pytest
from playwright.sync_api import Page, expect

from tests.browser.watch import Watch
from tests.hosts import Guest
from tests.service import Appliance


@pytest.mark.parametrize(
    ("address", "screen"),
    [
        ("/vnc_lite.html?path=", "#screen canvas"),
        ("/vnc.html?autoconnect=true&path=", "#noVNC_container canvas"),
    ],
)
def test_it_connects_and_a_typed_key_arrives(
    page: Page, appliance: Appliance, guest: Guest, watch: Watch, address: str, screen: str
) -> None:
    watch.tolerate("Couldn't fetch package.json")  # vnc.html wants its version from there; Debian leaves the file out
    path = urllib.parse.quote(f"?token={urllib.parse.quote(appliance.token(guest.uuid))}", safe="")
    page.goto(appliance.url + address + path)
    canvas = page.locator(screen)
    expect(canvas).to_be_visible()
    if "lite" in address:
        expect(page.locator("#status")).to_have_text("Connected to QEMU (web-1)")
    else:
        expect(page).to_have_title("QEMU (web-1) - noVNC")
    canvas.focus()
    page.keyboard.press("n")
    end = time.monotonic() + 30
    while guest.serial_text() != "n":
        assert time.monotonic() < end
        time.sleep(0.05)
