"""Consoles for viewing only, and links with which people without an account watch one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.browser.console import Console
from tests.browser.index import Index
from tests.hosts import Guest
from tests.service import Appliance

StartAppliance = Callable[..., Appliance]
NewContext = Callable[..., BrowserContext]

TOUCH_TARGET = 24
"""WCAG 2.2, 2.5.8, in CSS pixels."""


@pytest.fixture
def index(page: Page, appliance: Appliance, guest: Guest) -> Index:
    """The list, signed in as a member, with the guest in it."""
    index = Index(page, appliance)
    index.enter("max")
    index.refresh_until(index.row(guest.uuid))
    return index


@pytest.fixture
def dialog(index: Index, guest: Guest) -> Locator:
    """The dialog in which that guest's console is shared."""
    index.row(guest.uuid).get_by_role("button", name="Share").click()
    dialog = index.page.get_by_role("dialog", name=f"Share a view-only link to {guest.name}")
    expect(dialog).to_be_visible()
    return dialog


@pytest.fixture
def viewer(new_context: NewContext) -> Iterator[Console]:
    """Somebody else's browser, where nobody has signed in."""
    context = new_context()
    yield Console(context.new_page())
    context.close()


def make(dialog: Locator) -> str:
    """Make a link and return it."""
    dialog.get_by_role("button", name="Make a link").click()
    field = dialog.get_by_label("The link, which is shown only now")
    expect(field).to_have_value(re.compile("token"))
    return field.input_value()


def check_that_it_only_watches(console: Console, guest: Guest) -> None:
    """The page says so, offers no input, and none arrives."""
    expect(console.page.locator("#pill")).to_have_text("View only")
    expect(console.page.locator("#announce")).to_have_text(f"Connected to {guest.name}, for viewing only.")
    for name in ("Ctrl-Alt-Del", "Keys", "Paste"):
        expect(console.button(name)).to_be_disabled()
    only = console.menu("View").get_by_label("View only")
    expect(only).to_be_checked()
    expect(only).to_be_disabled()
    console.page.keyboard.press("Escape")
    console.wait_for_picture()
    console.screen.click(position={"x": 100, "y": 100})
    console.page.keyboard.type("unheard")


def test_view_only_is_offered_beside_the_console_and_opens_one(index: Index, guest: Guest) -> None:
    with index.page.expect_popup() as opened:
        index.row(guest.uuid).get_by_role("button", name="View only").click()
    console = Console(opened.value)
    console.wait_for("connected")
    check_that_it_only_watches(console, guest)
    with index.page.expect_popup() as opened:
        index.row(guest.uuid).get_by_role("button", name="Open console").click()
    full = Console(opened.value)
    full.wait_for("connected")
    expect(full.page.locator("#pill")).to_have_text("Connected")
    full.check_that_keys_arrive(guest, "k")
    assert guest.serial_text() == "k"


def test_by_keyboard_a_link_is_made_copied_opened_by_a_stranger_and_revoked(
    index: Index, guest: Guest, viewer: Console
) -> None:
    keyboard = index.page.keyboard
    index.row(guest.uuid).get_by_role("button", name="Open console").focus()
    for key in ("Tab", "Tab", "Enter"):
        keyboard.press(key)
    dialog = index.page.get_by_role("dialog", name="Share a view-only link to web-1")
    expect(dialog.get_by_label("The link works for")).to_be_focused()
    expect(dialog).to_contain_text("Anyone who has the link can watch this screen, without an account.")
    expect(dialog.get_by_text("There is none.")).to_be_visible()
    for key in ("Tab", "Tab", "Enter"):
        keyboard.press(key)
    copy = dialog.get_by_role("button", name="Copy")
    expect(copy).to_be_focused()
    keyboard.press("Enter")
    expect(dialog.get_by_role("status")).to_have_text("The link is copied.")
    expect(copy).to_be_focused()
    url = dialog.get_by_label("The link, which is shown only now").input_value()

    viewer.open(url)
    viewer.wait_for("connected")
    check_that_it_only_watches(viewer, guest)
    viewer.page.reload()
    viewer.wait_for("connected")
    assert viewer.page.context.cookies() == []

    revoke = dialog.get_by_role("button", name="Revoke the link")
    keyboard.press("Tab")
    expect(revoke).to_be_focused()
    keyboard.press("Enter")
    viewer.wait_for("ended")
    expect(viewer.title).to_have_text("The session was ended")
    expect(viewer.text).to_have_text("The link to this console was revoked.")
    expect(viewer.actions.get_by_role("button")).to_have_count(0)
    expect(dialog.get_by_role("status")).to_have_text("The link is revoked. Nobody watches by it any more.")
    expect(dialog.get_by_role("heading", name="Links that work now")).to_be_focused()
    expect(dialog.get_by_text("There is none.")).to_be_visible()
    assert guest.serial_text() == ""

    keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(index.row(guest.uuid).get_by_role("button", name="Share")).to_be_focused()
    assert index.page.locator("#share-url").input_value() == "", "nobody finds it in the page later"
    index.page.get_by_label("Search").focus()
    keyboard.press("Control+v")
    expect(index.page.get_by_label("Search")).to_have_value(url[:255])


def test_whoever_watches_is_told_who_ended_it(
    dialog: Locator, appliance: Appliance, guest: Guest, viewer: Console
) -> None:
    viewer.open(make(dialog))
    for user, words in (
        ("max", "The person who shared this console ended this session."),
        ("ann", "An administrator ended this session."),
    ):
        viewer.wait_for("connected")
        (session,) = [one for one in appliance.call("GET", "/v1/sessions", "ann").json()["sessions"] if one["shared"]]
        assert appliance.call("DELETE", f"/v1/sessions/{session['id']}", user).status_code == 204
        viewer.wait_for("ended")
        expect(viewer.text).to_have_text(words)
        expect(viewer.actions.get_by_role("button")).to_have_count(0)
        viewer.open(make(dialog))


def test_a_link_lists_how_often_it_was_opened_and_of_this_instance_alone(
    dialog: Locator, index: Index, viewer: Console
) -> None:
    dialog.get_by_label("People who can open it").fill("2")
    dialog.get_by_label("The link works for").select_option("15 minutes")
    viewer.open(make(dialog))
    viewer.wait_for("connected")
    index.page.keyboard.press("Escape")
    index.row(index.rows.first.get_attribute("data-instance") or "").get_by_role("button", name="Share").click()
    expect(dialog.get_by_role("listitem")).to_have_count(1)
    expect(dialog.get_by_role("listitem")).to_contain_text("opened 1 of 2 times")


def test_where_nobody_shares_nothing_is_offered(page: Page, start_appliance: StartAppliance, guest: Guest) -> None:
    index = Index(page, start_appliance(options={"consoleauth": {"share_ttl_max": 0}}))
    index.enter("max")
    index.refresh_until(index.row(guest.uuid))
    expect(index.row(guest.uuid).get_by_role("button", name="View only")).to_be_visible()
    expect(index.row(guest.uuid).get_by_role("button", name="Share")).to_be_hidden()


@pytest.mark.parametrize("width", [360, 320])
def test_on_a_phone_the_dialog_stays_inside_the_window(dialog: Locator, index: Index, width: int) -> None:
    page = index.page
    page.set_viewport_size({"width": width, "height": 640})
    make(dialog)
    expect(dialog.get_by_role("listitem")).to_have_count(1)
    box = dialog.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    assert box["y"] + box["height"] <= 640
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert dialog.evaluate("dialog => dialog.scrollWidth <= dialog.clientWidth")
    for button in dialog.get_by_role("button").all():
        button.scroll_into_view_if_needed()
        place = button.bounding_box()
        assert place is not None
        assert min(place["width"], place["height"]) >= TOUCH_TARGET
        assert 0 <= place["x"] <= width - place["width"]
    page.keyboard.press("Escape")
    for button in index.rows.first.get_by_role("button").all():
        place = button.bounding_box()
        assert place is not None
        assert 0 <= place["x"] <= width - place["width"]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
