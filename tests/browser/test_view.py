"""How the guest's screen is shown."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import expect

from tests.browser.console import Console
from tests.hosts import Guest
from tests.hosts.screen import SIZE

Eventually = Callable[[Callable[[], object]], None]


def shown_size(console: Console) -> tuple[int, int]:
    """The screen's size in the window's pixels."""
    box = console.screen.bounding_box()
    assert box is not None
    return round(box["width"]), round(box["height"])


def test_it_fits_the_window_or_is_one_to_one(console: Console, eventually: Eventually) -> None:
    eventually(lambda: console.picture().size == SIZE)
    window = console.page.viewport_size
    assert window is not None
    fit = shown_size(console)
    assert SIZE[0] < fit[0] <= window["width"]
    assert SIZE[1] < fit[1] <= window["height"]
    assert abs(fit[0] / fit[1] - SIZE[0] / SIZE[1]) < 0.01, "not distorted"
    console.menu("View").get_by_label("One to one").check()
    eventually(lambda: shown_size(console) == SIZE)
    console.page.get_by_label("Fit to the window").check()
    eventually(lambda: shown_size(console) == fit)
    console.page.set_viewport_size({"width": 800, "height": 500})
    eventually(lambda: shown_size(console) < fit)
    assert console.picture().size == SIZE


def test_full_screen_begins_and_ends(console: Console, guest: Guest, eventually: Eventually) -> None:
    for active in (True, False):
        console.button("Full screen").click()
        expect(console.button("Full screen")).to_have_attribute("aria-pressed", str(active).lower())
        eventually(lambda active=active: console.page.evaluate("Boolean(document.fullscreenElement)") is active)  # type: ignore[misc]
        console.check_that_keys_arrive(guest, "f")


def test_the_toolbar_can_be_hidden_and_shown(console: Console) -> None:
    toggle = console.page.locator("#collapse")
    toggle.click()
    expect(console.button("Ctrl-Alt-Del")).to_be_hidden()
    expect(toggle).to_have_attribute("aria-expanded", "false")
    toggle.click()
    expect(console.button("Ctrl-Alt-Del")).to_be_visible()


def test_a_screenshot_can_be_saved(console: Console, tmp_path: Path, eventually: Eventually) -> None:
    eventually(lambda: console.picture().size == SIZE)
    with console.page.expect_download() as saved:
        console.menu("View").get_by_role("button", name="Save a screenshot").click()
    assert saved.value.suggested_filename.startswith("web-1-")
    saved.value.save_as(tmp_path / "saved.png")
    with Image.open(BytesIO((tmp_path / "saved.png").read_bytes())) as image:
        assert image.size == SIZE
        assert image.convert("RGB").getbbox() is not None
