"""Where the token is: in the address that was given, in the upgrade, and nowhere else."""

from __future__ import annotations

import re
import urllib.parse

from playwright.sync_api import Page, expect

from tests.browser.console import Console
from tests.browser.watch import Watch
from tests.hosts import Guest, Network
from tests.service import Appliance
from tests.service.appliance import token_of


def test_the_token_leaves_the_address_bar_and_a_reload_still_connects(
    page: Page, appliance: Appliance, guest: Guest
) -> None:
    url = appliance.console_url(guest.uuid)
    console = Console(page)
    console.open(url)
    console.wait_for("connected")
    expect(page).to_have_url(f"{appliance.url}/vnc_auto.html?instance={guest.uuid}")
    assert token_of(url) not in page.evaluate("[location.href, document.referrer, document.cookie].join()")
    page.reload()
    console.wait_for("connected")
    console.check_that_keys_arrive(guest, "r")


def test_the_tokens_only_way_is_the_first_page_and_the_upgrade(
    page: Page, appliance: Appliance, guest: Guest, watch: Watch
) -> None:
    url = appliance.console_url(guest.uuid)
    token = token_of(url)
    console = Console(page)
    console.open(url)
    console.wait_for("connected")
    page.reload()
    console.wait_for("connected")
    page.get_by_role("link", name="All instances").click()
    expect(page).to_have_title("Sign in — Porthole")
    spellings = {token, urllib.parse.quote(token), urllib.parse.quote(urllib.parse.quote(token))}
    with_token = [r.url for r in watch.requests if any(spelling in r.url for spelling in spellings)]
    assert with_token == [url]
    assert len(watch.sockets) == 2
    assert {urllib.parse.parse_qs(urllib.parse.urlsplit(s).query)["token"][0] for s in watch.sockets} == {token}
    assert len(watch.requests) > 10
    for request in watch.requests:
        assert not request.all_headers().get("referer"), request.url


def test_another_tab_with_the_cleaned_address_is_told_to_open_a_new_console(
    console: Console, appliance: Appliance, guest: Guest
) -> None:
    copied = Console(console.page.context.new_page())
    copied.open(console.page.url)
    copied.wait_for("expired")
    expect(copied.actions.get_by_role("button", name="Open a new console")).to_be_visible()


def test_an_address_that_leads_to_another_host_is_refused(
    page: Page, appliance: Appliance, guest: Guest, network: Network, watch: Watch
) -> None:
    token = appliance.token(guest.uuid)
    elsewhere = urllib.parse.quote(f"//{network.public.gateway}:8080/?token={token}", safe="")
    console = Console(page)
    console.open(f"{appliance.url}/vnc_auto.html?path={elsewhere}")
    console.wait_for("refused")
    expect(console.text).to_have_text(re.compile("another host"))
    assert watch.sockets == []
    assert watch.origins() == {f"{appliance.ip}:{appliance.port}"}


def test_the_stock_pages_addresses_of_novas_base_url_work_too(page: Page, appliance: Appliance, guest: Guest) -> None:
    console = Console(page)
    console.open(f"{appliance.url}/vnc_auto.html?token={urllib.parse.quote(appliance.token(guest.uuid))}")
    console.wait_for("connected")
    console.check_that_keys_arrive(guest, "p")
