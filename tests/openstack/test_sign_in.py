"""Signing in with a Keystone user in Chromium: the form, the console behind it, and signing out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import chromium, context, new_context, page, watch
from tests.browser.console import Console
from tests.browser.test_accessibility import axe, violations
from tests.hosts import ComputeHost, Guest
from tests.hosts.network import Network
from tests.hosts.screen import is_up
from tests.openstack.cloud import MEMBER, Cloud, give_to, running
from tests.openstack.keystone import Keystone

__all__ = ["axe", "chromium", "context", "new_context", "page", "watch"]

Hosts = tuple[ComputeHost, ComputeHost]
Eventually = Callable[[Callable[[], object]], None]

LONG_WAIT = 12
"""Seconds of a lockout, within which a busy machine sends two requests."""

PHONE = {"width": 320, "height": 640}


@pytest.fixture(scope="module")
def cloud_for_all(
    network: Network, computes: Hosts, novnc: Path, keystone: Keystone, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cloud]:
    """A service that asks the Keystone each time."""
    keystone.add_domain("Customers")
    folder = tmp_path_factory.mktemp("keystone-pages")
    with running(folder, network, computes, keystone, 6410, token_cache_time=0) as cloud:
        yield cloud


@pytest.fixture
def cloud(cloud_for_all: Cloud, hosts: Hosts) -> Cloud:
    """The same, with both compute hosts up and without guests."""
    return cloud_for_all


@pytest.fixture
def guest(cloud: Cloud, hosts: Hosts, eventually: Eventually) -> Guest:
    """``web-1`` of project alpha, up."""
    guest = hosts[0].start_guest("web-1")
    give_to(hosts[0], guest, cloud.keystone.add_user(MEMBER, "alpha"), cloud.keystone.add_project("alpha"))
    eventually(lambda: is_up(guest))
    eventually(lambda: cloud.names(cloud.token(MEMBER, "alpha")) == ["web-1"])
    return guest


class Form:
    """The first page."""

    def __init__(self, page: Page, cloud: Cloud) -> None:
        self.page = page
        self._cloud = cloud
        self.project = page.get_by_label("Project")
        self.domain = page.get_by_label("Domain")
        self.message = page.locator("#sign-in-message")

    def open(self) -> None:
        """Go there, and wait until it shows the form or the list."""
        self.page.goto(f"{self._cloud.appliance.url}/")
        expect(self.page.locator("#loading")).to_be_hidden()

    def send(self, user: str, project: str, domain: str = "", password: str = "") -> None:
        """Fill it in and send it; with the right password unless another is given."""
        self.page.get_by_label("User name").fill(user)
        self.page.get_by_label("Password").fill(password or self._cloud.keystone.passwords[user])
        self.project.fill(project)
        self.domain.fill(domain)
        self.page.get_by_role("button", name="Sign in").click()

    def expect_list(self) -> None:
        """Wait until the list is shown."""
        expect(self.page.locator("body")).to_have_attribute("data-state", "instances")


@pytest.fixture
def form(page: Page, cloud: Cloud) -> Form:
    form = Form(page, cloud)
    form.open()
    return form


def test_a_member_signs_in_opens_a_console_and_signs_out(
    form: Form, cloud: Cloud, guest: Guest, context: BrowserContext, eventually: Eventually
) -> None:
    form.send(MEMBER, "alpha")
    form.expect_list()
    expect(form.page.locator("#account")).to_contain_text(f"{MEMBER} (member, reader), project alpha")
    (cookie,) = context.cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == ("porthole_session", True, "Strict")

    row = form.page.locator(f'tr[data-instance="{guest.uuid}"]')
    with context.expect_page() as opened:
        row.get_by_role("button", name=f"Open console of {guest.name}").click()
    console = Console(opened.value)
    console.wait_for("connected")

    form.page.get_by_role("button", name="Sign out").click()
    expect(form.message).to_have_text("You are signed out.")
    answer = cloud.call("GET", "/v1/session", None, cookies={cookie["name"]: cookie["value"]})
    assert answer.status_code == 401, "no copy of the cookie works"
    # The console was opened before, and is not the sign-in's.
    expect(opened.value.locator("body")).to_have_attribute("data-state", "connected")


def test_what_is_wrong_is_said_and_nothing_is_lost_but_the_password(form: Form) -> None:
    for project, domain, password in (("alpha", "", "wrong"), ("beta", "", ""), ("alpha", "Customers", "")):
        form.send(MEMBER, project, domain, password)
        expect(form.message).to_have_text("User name, password, project or domain is wrong.")
        expect(form.page.get_by_label("Password")).to_be_focused()
        expect(form.page.get_by_label("Password")).to_have_value("")
        expect(form.project).to_have_value(project)


def test_a_project_is_needed(form: Form) -> None:
    form.page.get_by_label("User name").fill(MEMBER)
    form.page.get_by_label("Password").fill("whatever")
    form.page.get_by_role("button", name="Sign in").click()
    expect(form.project).to_be_focused()
    assert form.project.evaluate("field => field.validity.valueMissing")


def test_a_user_of_another_domain_names_it(form: Form, cloud: Cloud) -> None:
    keystone = cloud.keystone
    domain = keystone.add_domain("Customers")
    keystone.add_project("gamma", domain)
    keystone.add_user("cleo", "gamma", "member", domain=domain)
    form.send("cleo", "gamma", "Customers")
    form.expect_list()
    expect(form.page.locator("#account")).to_contain_text("cleo (member, reader), project gamma")


def test_a_sign_in_ends_when_keystone_takes_the_role(form: Form, cloud: Cloud) -> None:
    cloud.keystone.add_user("fay", "alpha", "member")
    form.send("fay", "alpha")
    form.expect_list()
    cloud.keystone.remove_role("fay", "alpha", "member")
    form.page.get_by_role("button", name="Refresh").click()
    expect(form.message).to_have_text("Your sign-in has expired. Sign in again.")


def test_wrong_passwords_lock_out_as_with_http_basic(form: Form, cloud: Cloud) -> None:
    """[limits] failed_sign_ins is 10. Each further one doubles the wait, which is a second at first."""

    def sign_in(name: str, password: str) -> requests.Response:
        login = {"username": name, "password": password, "project": "beta"}
        return cloud.call("POST", "/v1/session", None, json=login)

    assert [sign_in("ben", f"wrong {number}").status_code for number in range(10)] == [401] * 10
    wait = 0
    for number in range(20):
        answer = sign_in("ben", f"wrong again {number}")
        wait = int(answer.headers.get("Retry-After", 0))
        if wait >= LONG_WAIT:
            break
        time.sleep(wait)  # it is over before a busy machine has sent the next request
    assert (answer.status_code, answer.json()["code"]) == (429, "locked-out")
    assert wait >= LONG_WAIT
    for name in ("ben", "BEN "):
        right = sign_in(name, cloud.keystone.passwords["ben"])
        assert right.status_code == 429, "not even the right one is checked"


def test_signing_out_has_keystone_revoke_the_token_that_stood_behind_it(
    form: Form, cloud: Cloud, eventually: Eventually
) -> None:
    before = revocations(cloud)
    form.send(MEMBER, "alpha")
    form.expect_list()
    form.page.get_by_role("button", name="Sign out").click()
    expect(form.message).to_have_text("You are signed out.")
    eventually(lambda: revocations(cloud) > before)


def revocations(cloud: Cloud) -> int:
    """How many tokens Keystone was told to revoke one by one."""
    answer = cloud.keystone.call("GET", "/OS-REVOKE/events")
    return sum("audit_id" in event for event in answer["events"])


def test_keystone_away_is_said_in_the_page(form: Form, cloud: Cloud) -> None:
    cloud.keystone.stop()
    try:
        form.send(MEMBER, "alpha", password="any")
        expect(form.message).to_contain_text("The identity service (Keystone) cannot be asked who you are.")
    finally:
        cloud.keystone.start()
    form.send(MEMBER, "alpha")
    form.expect_list()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_form_is_accessible(form: Form, axe: str, scheme: str) -> None:
    form.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
    assert violations(form.page, axe) == []
    expect(form.domain).to_have_accessible_description("Leave it empty for the default domain.")


def test_it_is_filled_in_with_the_keyboard_alone(form: Form, cloud: Cloud) -> None:
    expect(form.page.get_by_label("User name")).to_be_focused()
    keyboard = form.page.keyboard
    for text in (MEMBER, cloud.keystone.passwords[MEMBER], "alpha"):
        keyboard.type(text)
        keyboard.press("Tab")
    expect(form.domain).to_be_focused()
    keyboard.press("Enter")
    form.expect_list()


def test_it_fits_a_phone(new_context: Callable[..., BrowserContext], cloud: Cloud, tmp_path: Path) -> None:
    page = new_context(viewport=PHONE, has_touch=True).new_page()
    form = Form(page, cloud)
    form.open()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    for field in (form.project, form.domain, page.get_by_role("button", name="Sign in")):
        field.scroll_into_view_if_needed()
        box = field.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE["width"]
    page.screenshot(path=tmp_path / "phone.png", full_page=True)
