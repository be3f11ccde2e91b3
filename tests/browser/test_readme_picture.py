"""The README's picture of the console page."""

from __future__ import annotations

import os
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import expect

from tests.browser.console import Console
from tests.hosts import Guest
from tests.hosts.screen import SIZE, cells, screendump

KEPT = Path(__file__).resolve().parents[2] / "docs" / "images" / "console.png"
LARGEST = 200_000


def test_the_readmes_picture_can_be_taken(
    console: Console, guest: Guest, tmp_path: Path, eventually: Callable[[Callable[[], object]], None]
) -> None:
    """With ``PORTHOLE_SCREENSHOTS=1`` it is also put where the README looks for it."""
    for key in "hello from the browser":
        console.check_that_keys_arrive(guest, key)
    typed = (2, 1, 24, 2)
    eventually(
        lambda: (
            console.picture().size == SIZE
            and cells(console.picture(), *typed).tobytes() == cells(screendump(guest), *typed).tobytes()
        )
    )
    expect(console.page.locator("#toast")).to_be_hidden()
    taken = tmp_path / "console.png"
    console.page.screenshot(path=taken, animations="disabled")
    picture = taken.read_bytes()
    assert len(picture) < LARGEST
    with Image.open(BytesIO(picture)) as image:
        assert image.size == (1280, 800)
    if os.environ.get("PORTHOLE_SCREENSHOTS") == "1":
        KEPT.parent.mkdir(parents=True, exist_ok=True)
        KEPT.write_bytes(picture)
