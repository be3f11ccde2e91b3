"""Keys from the browser arrive in the guest, and only those that should."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.client_messages import KeyEvent
from tests.browser.console import Console
from tests.browser.watch import Watch
from tests.hosts import Guest
from tests.hosts.screen import cells, is_up, screendump

Eventually = Callable[[Callable[[], object]], None]

CTRL, ALT, SHIFT, DELETE, F2, TAB = 0xFFE3, 0xFFE9, 0xFFE1, 0xFFFF, 0xFFBF, 0xFF09


def stroke(*keysyms: int) -> list[KeyEvent]:
    """Pressed in this order, released in the opposite one."""
    return [KeyEvent(key, True) for key in keysyms] + [KeyEvent(key, False) for key in reversed(keysyms)]


@pytest.fixture
def keys_sent(console: Console, watch: Watch) -> Callable[[], list[KeyEvent]]:
    """What has been sent since the test began."""

    def sent() -> list[KeyEvent]:
        console.page.evaluate("0")  # events of the browser come in while it is asked something
        return watch.keys()

    return sent


def test_a_key_typed_in_the_browser_arrives_on_the_guests_serial_port(console: Console, guest: Guest) -> None:
    for key in "a7;":
        console.check_that_keys_arrive(guest, key)
    console.check_that_keys_arrive(guest, "Z", "Shift+KeyZ")
    assert guest.serial_text() == "a7;Z"


def test_a_pasted_text_arrives_key_by_key_with_shift_where_it_is_needed(
    console: Console, guest: Guest, eventually: Eventually
) -> None:
    text = 'Hello, {World}! "~|<>?_+:" 100% & more\n#`\'[]\\'
    console.button("Paste").click()
    expect(console.page.locator("#paste-text")).to_be_focused()
    console.page.locator("#paste-text").fill(text)
    console.button("Type it").click()
    expect(console.page.locator("#toast")).to_have_text(f"{len(text)} characters sent.")
    eventually(lambda: len(guest.serial_text()) >= len(text))
    assert guest.serial_text() == text
    expect(console.page.locator("#paste-dialog")).to_be_hidden()
    expect(console.page.locator("#paste-text")).to_have_value("")
    console.check_that_keys_arrive(guest, "q")


def test_ctrl_alt_del_reboots_the_guest(
    console: Console, guest: Guest, keys_sent: Callable[[], list[KeyEvent]], eventually: Eventually
) -> None:
    typed = (3, 1, 8, 2)
    for key in "abcdef":
        console.check_that_keys_arrive(guest, key)
    eventually(lambda: cells(screendump(guest), *typed).getbbox() is not None)
    console.button("Ctrl-Alt-Del").click()
    eventually(lambda: keys_sent()[-6:] == stroke(CTRL, ALT, DELETE))
    eventually(lambda: is_up(guest) and cells(screendump(guest), *typed).getbbox() is None)
    console.wait_for("connected")
    console.check_that_keys_arrive(guest, "g")


def test_a_combination_from_the_menu_is_pressed_and_released_in_order(
    console: Console, keys_sent: Callable[[], list[KeyEvent]], eventually: Eventually
) -> None:
    menu = console.menu("Keys")
    menu.get_by_role("button", name="Ctrl-Alt-F2", exact=True).click()
    eventually(lambda: keys_sent() == stroke(CTRL, ALT, F2))


def test_a_held_modifier_stays_down_until_it_is_released(
    console: Console, guest: Guest, keys_sent: Callable[[], list[KeyEvent]], eventually: Eventually
) -> None:
    shift = console.menu("Keys").get_by_role("button", name="Hold Shift")
    shift.click()
    expect(shift).to_have_attribute("aria-pressed", "true")
    eventually(lambda: keys_sent() == [KeyEvent(SHIFT, True)])
    shift.click()
    expect(shift).to_have_attribute("aria-pressed", "false")
    eventually(lambda: keys_sent() == stroke(SHIFT))


def test_view_only_sends_no_keys_and_offers_none(
    console: Console, guest: Guest, keys_sent: Callable[[], list[KeyEvent]]
) -> None:
    console.menu("View").get_by_label("View only").check()
    for name in ("Ctrl-Alt-Del", "Keys", "Paste"):
        expect(console.button(name)).to_be_disabled()
    console.screen.click(position={"x": 300, "y": 300})
    console.page.keyboard.type("unheard")
    console.menu("View").get_by_label("View only").uncheck()
    console.page.keyboard.press("Escape")
    console.screen.click(position={"x": 300, "y": 300})
    console.check_that_keys_arrive(guest, "z")
    assert guest.serial_text() == "z"
    assert {event.keysym for event in keys_sent()} == {ord("z")}


def test_ctrl_alt_shift_leaves_the_screen_and_escape_goes_back(console: Console, guest: Guest) -> None:
    console.press("Tab")  # which stays in the guest
    expect(console.screen).to_be_focused()
    for step in (console.page.keyboard.down, console.page.keyboard.up):
        for key in ("Control", "Alt", "Shift"):
            step(key)
    expect(console.button("Ctrl-Alt-Del")).to_be_focused()
    console.page.keyboard.press("Tab")
    expect(console.button("Keys")).to_be_focused()
    console.page.keyboard.press("Escape")
    expect(console.screen).to_be_focused()
    console.check_that_keys_arrive(guest, "b")


def test_keys_typed_into_a_dialog_do_not_reach_the_guest(
    console: Console, guest: Guest, keys_sent: Callable[[], list[KeyEvent]]
) -> None:
    console.button("Paste").click()
    expect(console.page.locator("#paste-text")).to_be_focused()
    console.page.keyboard.type("kept")
    expect(console.page.locator("#paste-text")).to_have_value("kept")
    console.page.keyboard.press("Escape")
    expect(console.page.locator("#paste-dialog")).to_be_hidden()
    console.check_that_keys_arrive(guest, "x")
    assert guest.serial_text() == "x"
    assert {event.keysym for event in keys_sent()} == {ord("x")}
