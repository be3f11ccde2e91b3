"""axe-core finds no fault with the pages: WCAG 2.2 AA as far as a machine can tell, and its best practices."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.console import Console
from tests.browser.index import Index
from tests.hosts import Guest
from tests.service import Appliance

AXE = Path(__file__).resolve().parents[2] / ".cache" / "axe" / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture(scope="session")
def axe() -> str:
    """axe-core's source."""
    if not AXE.is_file():
        pytest.fail(f"{AXE} is missing; script/test installs it.", pytrace=False)
    return AXE.read_text(encoding="utf-8")


@pytest.fixture
def context(new_context: Callable[..., BrowserContext]) -> BrowserContext:
    """Without transitions: a colour on its way to another has a contrast of its own."""
    return new_context(reduced_motion="reduce")


def violations(page: Page, axe: str) -> list[str]:
    """What axe finds wrong with the page as it is now."""
    page.evaluate(axe)  # by the debugger: the page's own Content-Security-Policy stays in force
    result: dict[str, Any] = page.evaluate("tags => axe.run(document, {runOnly: tags})", RULES)
    assert len(result["passes"]) > 10, "it did look"
    return [f"{v['id']}: {v['help']}: {[n['target'] for n in v['nodes']]}" for v in result["violations"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_first_page(page: Page, appliance: Appliance, guest: Guest, axe: str, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    index = Index(page, appliance)
    index.open()
    assert violations(page, axe) == []
    index.sign_in("max", "wrong")
    expect(index.message).to_be_visible()
    assert violations(page, axe) == []
    index.sign_in("max")
    index.expect_list()
    index.refresh_until(index.row(guest.uuid))
    assert violations(page, axe) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_dialog_in_which_a_console_is_shared(
    page: Page, appliance: Appliance, guest: Guest, axe: str, scheme: str
) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    index = Index(page, appliance)
    index.enter("max")
    index.refresh_until(index.row(guest.uuid))
    index.row(guest.uuid).get_by_role("button", name="Share").click()
    expect(page.get_by_text("There is none.")).to_be_visible()
    assert violations(page, axe) == []
    page.get_by_role("button", name="Make a link").click()
    expect(page.get_by_role("button", name="Revoke the link")).to_be_visible()
    assert violations(page, axe) == []


def test_the_console_page(console: Console, axe: str) -> None:
    assert violations(console.page, axe) == []
    for name in ("Keys", "View"):
        console.menu(name)
        assert violations(console.page, axe) == []
    console.page.keyboard.press("Escape")
    for name in ("Paste", "Help"):
        console.button(name).click()
        assert violations(console.page, axe) == []
        console.page.keyboard.press("Escape")
    console.button("Disconnect").click()
    console.wait_for("ended")
    assert violations(console.page, axe) == []
