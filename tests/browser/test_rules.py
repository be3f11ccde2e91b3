"""The pages' own rules: nothing inline, nothing from elsewhere, nothing to complain about."""

from __future__ import annotations

import urllib.parse

from playwright.sync_api import Page, expect

from tests.browser.console import Console
from tests.browser.index import Index
from tests.browser.watch import INSECURE, Watch
from tests.hosts import Guest, Network
from tests.service import Appliance

INJECT = """url => {
  const script = document.createElement('script');
  script.textContent = 'window.injected = true';
  document.body.append(script);
  return fetch(url, {mode: 'no-cors'}).then(() => 'fetched', () => 'refused');
}"""


def test_from_sign_in_to_sign_out_the_browser_has_one_thing_to_report(
    page: Page, appliance: Appliance, guest: Guest, watch: Watch
) -> None:
    index = Index(page, appliance)
    index.enter("max")
    index.refresh_until(index.row(guest.uuid))
    with page.expect_popup() as opened:
        index.row(guest.uuid).get_by_role("button", name="Open console").click()
    console = Console(opened.value)
    console.wait_for("connected")
    console.check_that_keys_arrive(guest, "k")
    for menu in ("Keys", "View"):
        console.menu(menu)
        console.page.keyboard.press("Escape")
    console.button("Help").click()
    console.page.locator("#help-dialog").get_by_role("button", name="Close").click()
    console.button("Disconnect").click()
    console.wait_for("ended")
    console.page.close()
    page.get_by_role("button", name="Sign out").click()
    expect(index.message).to_have_text("You are signed out.")
    # The page asks once whether somebody is signed in already.
    (report,) = [message for message in watch.messages if message != INSECURE]
    assert "401" in report
    assert watch.origins() == {urllib.parse.urlsplit(appliance.url).netloc}


def test_an_injected_script_does_not_run_and_reaches_nobody(
    console: Console, network: Network, watch: Watch, appliance: Appliance
) -> None:
    watch.tolerate("Content Security Policy")
    elsewhere = f"http://{network.public.gateway}:8080/"
    for url in (f"{appliance.url}/", console.page.url):
        console.page.goto(url)
        assert console.page.evaluate(INJECT, elsewhere) == "refused"
        assert console.page.evaluate("window.injected") is None
    assert watch.origins() == {urllib.parse.urlsplit(appliance.url).netloc}
    violations = [message for message in watch.messages if "Content Security Policy" in message]
    assert len(violations) >= 4, "and it would show in every other test"
