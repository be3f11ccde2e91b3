"""On a phone: 360 by 740, touch."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.console import Console
from tests.browser.index import Index
from tests.hosts import ComputeHost, Guest
from tests.service import Appliance

Hosts = tuple[ComputeHost, ComputeHost]

TOUCH_TARGET = 24
"""WCAG 2.2, 2.5.8: the least width and height of what is to be touched, in CSS pixels."""


@pytest.fixture
def context(new_context: Callable[..., BrowserContext]) -> BrowserContext:
    """A phone."""
    return new_context(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True, device_scale_factor=3)


def check_width(page: Page) -> None:
    """Nothing sticks out to the side."""
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("document.body.scrollWidth <= innerWidth")


def test_the_first_page_needs_no_scrolling_sideways(page: Page, appliance: Appliance, hosts: Hosts) -> None:
    guest = hosts[0].start_guest("a-name-that-is-rather-long-for-such-a-small-window")
    index = Index(page, appliance)
    index.open()
    check_width(page)
    index.sign_in("ann")
    index.refresh_until(index.row(guest.uuid))
    check_width(page)
    for button in index.row(guest.uuid).get_by_role("button").all():
        expect(button).to_be_in_viewport()


def test_the_console_shows_the_whole_screen_and_every_tool(console: Console) -> None:
    check_width(console.page)
    box = console.screen.bounding_box()
    assert box is not None
    assert 300 < box["width"] <= 360
    for button in console.page.locator("#controls button.tool:visible").all():
        expect(button).to_be_in_viewport()
        place = button.bounding_box()
        assert place is not None
        assert min(place["width"], place["height"]) >= TOUCH_TARGET
        assert 0 <= place["x"] <= 360 - place["width"]


def test_the_toolbar_fits_the_narrowest_window(console: Console) -> None:
    """WCAG 2.2, 1.4.10: 320 pixels, which is 1280 at 400 %."""
    console.page.set_viewport_size({"width": 320, "height": 640})
    check_width(console.page)


@pytest.mark.parametrize("name", ["Keys", "View"])
def test_menus_stay_inside_the_window(console: Console, name: str) -> None:
    box = console.menu(name).bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 360
    assert box["y"] + box["height"] <= 740
    check_width(console.page)


def test_the_on_screen_keyboard_types_into_the_guest(
    console: Console, guest: Guest, eventually: Callable[[Callable[[], object]], None]
) -> None:
    keyboard = console.button("Keyboard")
    keyboard.tap()
    expect(keyboard).to_have_attribute("aria-pressed", "true")
    # As such keyboards do: text without keys.
    console.page.keyboard.insert_text("Hi!")
    eventually(lambda: guest.serial_text() == "Hi!")
    keyboard.tap()
    expect(keyboard).to_have_attribute("aria-pressed", "false")
