"""The console page, as somebody in front of it uses it."""

from __future__ import annotations

import base64
import io
import re
import time

from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.hosts import Guest

TIMEOUT_MS = 60_000
"""Longer than the longest pause between two of the page's own tries."""


class Console:
    """A tab with a console page.

    :ivar page: the tab
    :ivar title: of the card over the screen
    :ivar text: of the card
    :ivar actions: of the card: buttons and links
    :ivar screen: what has the focus while keys go to the guest
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.title = page.locator("#overlay-title")
        self.text = page.locator("#overlay-text")
        self.actions = page.locator("#overlay-actions")
        self.screen = page.locator("#screen canvas")

    def open(self, url: str) -> None:
        """Go to a console's URL."""
        self.page.goto(url)

    def wait_for(self, state: str) -> None:
        """Wait until the page says that it is ``connected``, ``waiting``, ``ended`` ..."""
        expect(self.page.locator("body")).to_have_attribute("data-state", state, timeout=TIMEOUT_MS)

    def button(self, name: str) -> Locator:
        """A button by its whole name."""
        return self.page.get_by_role("button", name=name, exact=True)

    def menu(self, name: str) -> Locator:
        """Open a menu of the toolbar; returns its panel."""
        self.button(name).click()
        panel = self.page.locator(f"#{name.lower()}-panel")
        expect(panel).to_be_visible()
        return panel

    def press(self, *keys: str) -> None:
        """Press and release keys in the screen."""
        expect(self.screen).to_be_focused()
        for key in keys:
            self.page.keyboard.press(key)

    def picture(self) -> Image.Image:
        """The guest's screen as the page draws it, in the guest's own pixels."""
        url = str(self.screen.evaluate("canvas => canvas.toDataURL('image/png')"))
        with Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) as image:
            return image.convert("RGB")

    def wait_for_picture(self) -> None:
        """Wait until something of the guest is drawn."""
        end = time.monotonic() + TIMEOUT_MS / 1000
        while self.picture().getbbox() is None:
            assert time.monotonic() < end, "the screen stays black"

    def check_that_keys_arrive(self, guest: Guest, key: str, pressed: str | None = None) -> None:
        """Press a key and wait until the guest repeats it on its serial port.

        :param key: the character
        :param pressed: what to press for it, ``Shift+KeyZ``; default: the key of that name
        """
        before = guest.serial_text().count(key)
        self.press(pressed or key)
        end = time.monotonic() + TIMEOUT_MS / 1000
        while guest.serial_text().count(key) == before:
            assert time.monotonic() < end, f"{key} did not arrive in {guest.name}"
            time.sleep(0.05)
        assert guest.serial_text().count(key) == before + 1


def words(text: str) -> re.Pattern[str]:
    """A pattern that finds the text, whatever its case."""
    return re.compile(re.escape(text), re.IGNORECASE)
