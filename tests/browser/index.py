"""The first page, as somebody in front of it uses it."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

from tests.service import Appliance


class Index:
    """A tab with the list of instances.

    :ivar page: the tab
    :ivar rows: of the list
    :ivar message: of the sign-in form
    """

    def __init__(self, page: Page, appliance: Appliance) -> None:
        self.page = page
        self.rows = page.locator("#rows tr")
        self.message = page.locator("#sign-in-message")
        self._appliance = appliance

    def open(self) -> None:
        """Go there and wait until it shows the form or the list."""
        self.page.goto(f"{self._appliance.url}/")
        expect(self.page.locator("#loading")).to_be_hidden()

    def sign_in(self, user: str, password: str | None = None) -> None:
        """Fill in the form and send it; with the right password unless another is given."""
        self.page.get_by_label("User name").fill(user)
        self.page.get_by_label("Password").fill(password or self._appliance.passwords[user])
        self.page.get_by_role("button", name="Sign in").click()

    def enter(self, user: str) -> None:
        """Open the page, sign in, and wait for the list."""
        self.open()
        self.sign_in(user)
        self.expect_list()

    def expect_list(self) -> None:
        """Wait until the list is shown."""
        expect(self.page.locator("body")).to_have_attribute("data-state", "instances")

    def row(self, instance_id: str) -> Locator:
        """An instance's row."""
        return self.page.locator(f'tr[data-instance="{instance_id}"]')

    def refresh_until(self, locator: Locator) -> None:
        """Press Refresh until something is shown: libvirt's events reach the service a moment later."""
        for _ in range(100):
            if locator.count():
                return
            with self.page.expect_response("**/v1/instances"):
                self.page.get_by_role("button", name="Refresh").click()
        expect(locator).to_be_visible()
