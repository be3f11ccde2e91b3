"""The first page: sign in, see the instances, open a console, sign out."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.console import Console
from tests.browser.index import Index
from tests.hosts import ComputeHost
from tests.service import Appliance

Hosts = tuple[ComputeHost, ComputeHost]
Eventually = Callable[[Callable[[], object]], None]


@pytest.fixture
def index(page: Page, appliance: Appliance) -> Index:
    """The first page in a tab, not yet opened."""
    return Index(page, appliance)


def test_a_wrong_password_is_said_in_words(index: Index) -> None:
    index.open()
    expect(index.message).to_be_hidden()
    index.sign_in("max", "not the password")
    expect(index.message).to_have_text("User name or password is wrong.")
    expect(index.page.get_by_label("Password")).to_have_value("")
    expect(index.page.get_by_label("Password")).to_be_focused()
    index.sign_in("max")
    index.expect_list()


def test_an_unknown_user_is_told_the_same(index: Index) -> None:
    index.open()
    index.sign_in("nobody", "anything")
    expect(index.message).to_have_text("User name or password is wrong.")


def test_the_list_shows_name_state_and_compute(index: Index, hosts: Hosts, appliance: Appliance) -> None:
    running = hosts[0].start_guest("instance-1", metadata_name="web server")
    off = hosts[1].start_guest("db-1", persistent=True)
    paused = hosts[1].start_guest("cache-1")
    off.destroy()
    paused.pause()
    index.enter("max")
    for guest, name, state in (
        (running, "web server", "Running"),
        (off, "db-1", "Shut down"),
        (paused, "cache-1", "Paused"),
    ):
        row = index.row(guest.uuid)
        index.refresh_until(row.get_by_text(state, exact=True))
        expect(row.locator(".instance-name")).to_have_text(name)
        expect(row.locator(".cell-compute")).to_have_text(guest.host.name)
    for name in ("Open console", "View only", "Share"):
        expect(index.row(running.uuid).get_by_role("button", name=name)).to_be_visible()
    expect(index.row(off.uuid).get_by_role("button")).to_have_count(0)
    expect(index.row(off.uuid)).to_contain_text("Not running")
    paused.resume()


def test_the_filter_finds_by_name_and_state(index: Index, hosts: Hosts) -> None:
    web, off = hosts[0].start_guest("web-1"), hosts[1].start_guest("db-1", persistent=True)
    off.destroy()
    index.enter("max")
    index.refresh_until(index.row(off.uuid).get_by_text("Shut down"))
    index.refresh_until(index.row(web.uuid))
    index.page.get_by_label("Search").fill("WEB")
    expect(index.rows).to_have_count(1)
    expect(index.page.locator("#count")).to_have_text("1 of 2")
    index.page.get_by_label("Search").fill("nothing like it")
    expect(index.page.get_by_role("heading", name="Nothing matches")).to_be_visible()
    index.page.get_by_label("Search").fill("")
    index.page.get_by_label("State").select_option("Not running")
    expect(index.rows).to_have_count(1)
    expect(index.row(off.uuid)).to_be_visible()


def test_a_console_opens_in_a_new_tab_that_cannot_reach_back(index: Index, hosts: Hosts) -> None:
    guest = hosts[0].start_guest("web-1")
    index.enter("max")
    index.refresh_until(index.row(guest.uuid))
    with index.page.expect_popup() as opened:
        index.row(guest.uuid).get_by_role("button", name="Open console of web-1").click()
    console = Console(opened.value)
    console.wait_for("connected")
    expect(console.page).to_have_title("web-1 — connected")
    assert console.page.evaluate("window.opener") is None
    expect(index.page).to_have_title("Instances — Porthole")


def test_an_ended_console_can_be_renewed_while_signed_in(index: Index, hosts: Hosts) -> None:
    guest = hosts[0].start_guest("web-1")
    index.enter("max")
    index.refresh_until(index.row(guest.uuid))
    console = Console(index.page.context.new_page())
    console.open(f"{index.page.url}vnc_auto.html?instance={guest.uuid}")
    console.wait_for("expired")
    console.button("Open a new console").click()
    console.wait_for("connected")
    expect(console.page).to_have_title("web-1 — connected")


def test_a_reader_is_told_that_they_may_look_only(index: Index, hosts: Hosts) -> None:
    guest = hosts[0].start_guest("web-1")
    index.enter("rea")
    index.refresh_until(index.row(guest.uuid))
    expect(index.row(guest.uuid)).to_contain_text("Not with your role")
    expect(index.row(guest.uuid).get_by_role("button")).to_have_count(0)
    expect(index.page.locator("#notes")).to_contain_text("not open their consoles")


@pytest.mark.parametrize("user", ["ann", "max"])
def test_an_unreachable_compute_is_said_and_named_to_administrators_only(
    index: Index, appliance: Appliance, hosts: Hosts, user: str
) -> None:
    index.enter(user)
    hosts[0].link_down()
    # Whoever asks for something new makes the service ask the computes, and notice.
    assert appliance.call("POST", "/v1/consoles", json={"instance": "no-such-thing"}).status_code == 503
    note = index.page.get_by_text("One compute host cannot be reached")
    index.refresh_until(note)
    if user == "ann":
        expect(note).to_contain_text(hosts[0].name)
    else:
        expect(note).not_to_contain_text(hosts[0].name)


def test_signing_in_lasts_over_a_reload_and_ends_with_signing_out(index: Index, appliance: Appliance) -> None:
    index.enter("max")
    index.page.reload()
    index.expect_list()
    expect(index.page.locator("#account")).to_contain_text("max (member)")
    (cookie,) = index.page.context.cookies()
    index.page.get_by_role("button", name="Sign out").click()
    expect(index.message).to_have_text("You are signed out.")
    assert index.page.context.cookies() == []
    # Not even a copy of the cookie signs in again.
    index.page.context.add_cookies([{"name": cookie["name"], "value": cookie["value"], "url": appliance.url}])
    index.open()
    expect(index.page).to_have_title("Sign in — Porthole")


def test_the_sign_in_cookie_is_kept_from_scripts_and_from_other_sites(index: Index, appliance: Appliance) -> None:
    index.enter("max")
    (cookie,) = index.page.context.cookies()
    assert cookie["name"] == "porthole_session"
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    assert cookie["domain"] == appliance.ip
    assert index.page.evaluate("document.cookie") == ""
    stored = index.page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
    assert re.fullmatch(r"\[\{\},\{\}\]", stored)
