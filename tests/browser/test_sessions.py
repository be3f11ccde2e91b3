"""A console's page and its session: gone on with, taken over, ended from elsewhere, renewed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.console import Console, words
from tests.browser.index import Index
from tests.hosts import Guest
from tests.service import Appliance
from tests.service.appliance import token_of

StartAppliance = Callable[..., Appliance]


def sessions(appliance: Appliance) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = appliance.call("GET", "/v1/sessions", "ann").json()["sessions"]
    return listed


def test_a_reload_goes_on_with_the_same_session(page: Page, appliance: Appliance, guest: Guest) -> None:
    console = Console(page)
    console.open(appliance.console_url(guest.uuid))
    console.wait_for("connected")
    (before,) = [one for one in sessions(appliance) if one["connected"]]
    page.reload()
    console.wait_for("connected")
    assert [one["id"] for one in sessions(appliance) if one["connected"]] == [before["id"]]
    console.check_that_keys_arrive(guest, "r")


def test_its_address_opened_once_more_in_the_same_tab_goes_on_and_in_another_browser_does_not(
    page: Page, appliance: Appliance, guest: Guest
) -> None:
    url = appliance.console_url(guest.uuid)
    console = Console(page)
    console.open(url)
    console.wait_for("connected")
    console.open(url)
    console.wait_for("connected")
    browser = page.context.browser
    assert browser is not None
    other = Console(browser.new_context().new_page())
    other.open(url)
    other.wait_for("refused")
    expect(other.title).to_have_text("This address has been used")
    expect(other.text).to_have_text("This console URL has been used already. Ask for a new one.")
    expect(other.button("Open a new console")).to_be_visible()
    other.page.context.close()


def test_the_secret_is_in_no_address_and_not_the_token(page: Page, appliance: Appliance, guest: Guest) -> None:
    url = appliance.console_url(guest.uuid)
    console = Console(page)
    console.open(url)
    console.wait_for("connected")
    entry = page.evaluate("JSON.parse(sessionStorage.getItem('porthole.console.' + history.state.porthole))")
    assert len(entry["secret"]) == 43
    assert entry["secret"] not in page.evaluate(
        "[location.href, document.cookie, JSON.stringify(history.state)].join()"
    )
    assert entry["secret"] not in token_of(url)
    assert entry["secret"] not in appliance.log()


def test_an_end_by_an_administrator_is_shown_and_final(page: Page, appliance: Appliance, guest: Guest) -> None:
    console = Console(page)
    console.open(appliance.console_url(guest.uuid))
    console.wait_for("connected")
    (session,) = [one for one in sessions(appliance) if one["connected"]]
    assert appliance.call("DELETE", f"/v1/sessions/{session['id']}", "ann").status_code == 204
    console.wait_for("ended")
    expect(console.title).to_have_text("The session was ended")
    expect(console.text).to_have_text("An administrator ended this session.")
    page.reload()
    console.wait_for("refused")
    expect(console.title).to_have_text("This address has been used")


def test_it_warns_before_the_end_and_whoever_is_signed_in_stays_connected(
    page: Page, start_appliance: StartAppliance, guest: Guest
) -> None:
    appliance = start_appliance(options={"consoleauth": {"token_ttl": 20, "enforce_session_timeout": "true"}})
    Index(page, appliance).enter("max")
    console = Console(page)
    console.open(appliance.console_url(guest.uuid))
    console.wait_for("connected")
    expect(page.locator("#ending-text")).to_have_text(words("This session ends in"))
    (before,) = sessions(appliance)
    page.wait_for_timeout(1000)  # times are told in whole seconds
    console.button("Stay connected").click()
    expect(console.button("Stay connected")).to_be_enabled()
    (after,) = sessions(appliance)
    assert after["expires_at"] > before["expires_at"]


def test_somebody_who_is_not_signed_in_is_told_to(
    page: Page, start_appliance: StartAppliance, guest: Guest, watch: Any
) -> None:
    watch.tolerate("401")
    appliance = start_appliance(options={"consoleauth": {"token_ttl": 30, "enforce_session_timeout": "true"}})
    console = Console(page)
    console.open(appliance.console_url(guest.uuid))
    console.wait_for("connected")
    console.button("Stay connected").click()
    expect(page.locator("#ending-why")).to_have_text(words("sign in"))
