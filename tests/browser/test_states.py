"""The console page says in words what is happening, and goes on by itself where it can."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Callable

from playwright.sync_api import Page, Route, expect

from tests.browser.console import Console, words
from tests.hosts import ComputeHost, Guest
from tests.hosts.screen import is_up
from tests.service import Appliance

Hosts = tuple[ComputeHost, ComputeHost]
Eventually = Callable[[Callable[[], object]], None]
StartAppliance = Callable[..., Appliance]


def address(appliance: Appliance, token: str) -> str:
    """A console's address with any token."""
    path = urllib.parse.quote(f"?token={urllib.parse.quote(token)}", safe="")
    return f"{appliance.url}/vnc_auto.html?path={path}"


def test_it_is_connecting_until_the_guests_screen_is_there(page: Page, appliance: Appliance, guest: Guest) -> None:
    console = Console(page)
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/v1/consoles/check", hold)
    console.open(appliance.console_url(guest.uuid))
    console.wait_for("connecting")
    expect(console.title).to_have_text("Connecting")
    expect(page).to_have_title("Console — connecting")
    expect(console.button("Ctrl-Alt-Del")).to_be_disabled()
    held[0].continue_()
    console.wait_for("connected")
    expect(page).to_have_title("web-1 — connected")
    expect(page.locator("#name")).to_have_text("web-1")
    expect(page.locator("#announce")).to_have_text("Connected to web-1.")
    expect(page.locator("#overlay")).to_be_hidden()
    expect(console.button("Ctrl-Alt-Del")).to_be_enabled()


def test_a_guest_that_is_off_is_waited_for_and_appears_once_it_is_started(
    page: Page, appliance: Appliance, hosts: Hosts, eventually: Eventually
) -> None:
    guest = hosts[0].start_guest("web-1", persistent=True)
    url = appliance.console_url("web-1")
    guest.destroy()
    console = Console(page)
    console.open(url)
    console.wait_for("waiting")
    expect(console.title).to_have_text(words("is not running"))
    expect(console.text).to_have_text(words("as soon as the guest has been started"))
    expect(console.button("Try now")).to_be_visible()
    guest.start()
    console.wait_for("connected")
    eventually(lambda: is_up(guest))
    console.check_that_keys_arrive(guest, "w")


def test_waiting_can_be_stopped_and_taken_up_again(page: Page, appliance: Appliance, hosts: Hosts) -> None:
    guest = hosts[0].start_guest("web-1", persistent=True)
    url = appliance.console_url("web-1")
    guest.destroy()
    console = Console(page)
    console.open(url)
    console.wait_for("waiting")
    console.button("Stop").click()
    console.wait_for("ended")
    expect(console.title).to_have_text("Stopped")
    guest.start()
    console.button("Wait for the guest").click()
    console.wait_for("connected")


def test_an_expired_address_says_so(
    page: Page, start_appliance: StartAppliance, guest: Guest, eventually: Eventually
) -> None:
    appliance = start_appliance(options={"consoleauth": {"token_ttl": 1}})
    url, token = appliance.console_url(guest.uuid), appliance.token(guest.uuid)

    def expired() -> bool:
        answer = appliance.call("POST", "/v1/consoles/check", None, json={"token": token})
        return bool(answer.json().get("code") == "token-expired")

    eventually(expired)
    console = Console(page)
    console.open(url)
    console.wait_for("expired")
    expect(console.title).to_have_text("This console has expired")
    expect(console.text).to_have_text(words("expired"))


def test_an_address_that_was_changed_is_refused_and_why(page: Page, appliance: Appliance, guest: Guest) -> None:
    console = Console(page)
    console.open(address(appliance, appliance.token(guest.uuid)[:-3]))
    console.wait_for("refused")
    expect(console.title).to_have_text("This address is not valid")
    expect(console.text).not_to_be_empty()
    expect(console.actions.get_by_role("link", name="All instances")).to_be_visible()


def test_an_address_without_a_token_is_refused_and_why(page: Page, appliance: Appliance) -> None:
    console = Console(page)
    console.open(f"{appliance.url}/vnc_auto.html")
    console.wait_for("refused")
    expect(console.title).to_have_text("No console in this address")


def test_an_instance_that_was_deleted_is_refused_and_why(page: Page, appliance: Appliance, guest: Guest) -> None:
    url = appliance.console_url(guest.uuid)
    guest.destroy()
    console = Console(page)
    console.open(url)
    console.wait_for("refused")
    expect(console.title).to_have_text("There is no such instance")


def test_a_guest_destroyed_in_mid_session_ends_it_with_the_reason(console: Console, guest: Guest) -> None:
    guest.destroy()
    console.wait_for("ended")
    expect(console.title).to_have_text("The guest has stopped")
    # libvirt may still know the guest for a moment.
    expect(console.text).to_have_text(re.compile(r"^The instance was shut down( or deleted)?\.$"))
    expect(console.page).to_have_title("web-1 — ended")
    expect(console.button("Ctrl-Alt-Del")).to_be_disabled()


def test_a_guest_that_turned_itself_off_can_be_waited_for(
    page: Page, appliance: Appliance, hosts: Hosts, eventually: Eventually
) -> None:
    guest = hosts[0].start_guest("web-1", persistent=True)
    eventually(lambda: is_up(guest))
    console = Console(page)
    console.open(appliance.console_url("web-1"))
    console.wait_for("connected")
    guest.shutdown()
    console.wait_for("ended")
    expect(console.text).to_have_text("The instance was shut down.")
    console.button("Wait for the guest").click()
    console.wait_for("waiting")
    guest.start()
    console.wait_for("connected")


def test_a_session_whose_time_is_over_says_so(page: Page, start_appliance: StartAppliance, guest: Guest) -> None:
    appliance = start_appliance(options={"consoleauth": {"token_ttl": 5, "enforce_session_timeout": "true"}})
    console = Console(page)
    console.open(appliance.console_url(guest.uuid))
    console.wait_for("connected")
    console.wait_for("ended")
    expect(console.title).to_have_text(words("time is over"))
    expect(console.text).to_have_text("The time of this session is over.")
    expect(console.button("Open a new console")).to_be_visible()


def test_it_comes_back_by_itself_when_the_service_was_restarted(
    page: Page, start_appliance: StartAppliance, guest: Guest
) -> None:
    appliance = start_appliance()
    console = Console(page)
    console.open(appliance.console_url(guest.uuid))
    console.wait_for("connected")
    appliance.stop()
    console.wait_for("reconnecting")
    expect(console.title).to_have_text(words("service"))
    expect(console.text).not_to_be_empty()
    appliance.start()
    console.wait_for("connected")
    console.check_that_keys_arrive(guest, "s")


def test_a_compute_that_is_cut_off_is_said_so_and_found_again(
    page: Page, appliance: Appliance, hosts: Hosts, guest: Guest
) -> None:
    url = appliance.console_url(guest.uuid)
    hosts[0].link_down()
    console = Console(page)
    console.open(url)
    console.wait_for("unreachable")
    expect(console.title).to_have_text("The compute host cannot be reached")
    expect(console.text).not_to_contain_text(hosts[0].name)
    hosts[0].link_up()
    console.wait_for("connected")
    console.check_that_keys_arrive(guest, "u")


def test_disconnect_ends_the_session_and_leaves_the_guest_alone(
    console: Console, guest: Guest, appliance: Appliance, eventually: Eventually
) -> None:
    console.button("Disconnect").click()
    console.wait_for("ended")
    expect(console.title).to_have_text("Disconnected")
    eventually(lambda: appliance.metric("porthole_sessions") == 0)
    console.button("Connect again").click()
    console.wait_for("connected")
    console.check_that_keys_arrive(guest, "d")


def test_a_closed_tab_ends_its_session(console: Console, appliance: Appliance, eventually: Eventually) -> None:
    eventually(lambda: appliance.metric("porthole_sessions") == 1)
    console.page.close()
    eventually(lambda: appliance.metric("porthole_sessions") == 0)
