"""The console in a frame of another site's page: where that site is named, and not where it is not. And no Referer."""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Frame, Page, expect

from tests.browser.sites import Site, serve
from tests.browser.watch import Watch
from tests.hosts import Guest, Network
from tests.service import Appliance

EMBED = """([url, sandbox]) => new Promise(resolve => {
  const frame = document.createElement('iframe');
  if (sandbox) {
    frame.sandbox = sandbox;
  }
  frame.onload = () => resolve();
  frame.width = 1000;
  frame.height = 700;
  frame.src = url;
  document.body.append(frame);
})"""
STORED = "(() => { try { return typeof sessionStorage; } catch (error) { return error.name; } })()"
SHOWN = "document.getElementById('loading') ?? document.body?.dataset.state ?? null"
TIMEOUT_MS = 60_000

StartAppliance = Callable[..., Appliance]


@pytest.fixture
def named(network: Network, watch: Watch, tmp_path: Path) -> Iterator[Site]:
    """Another site, which the appliance's configuration names."""
    site = serve(tmp_path / "named", network.public.gateway)
    watch.foreign.add(urllib.parse.urlsplit(site.origin).netloc)
    yield site
    site.close()


@pytest.fixture
def other(network: Network, watch: Watch, tmp_path: Path) -> Iterator[Site]:
    """One that it does not name; its origin differs in the port alone."""
    site = serve(tmp_path / "other", network.public.gateway)
    watch.foreign.add(urllib.parse.urlsplit(site.origin).netloc)
    yield site
    site.close()


@pytest.fixture
def framed(start_appliance: StartAppliance, named: Site) -> Appliance:
    """An appliance whose consoles the named site may show."""
    return start_appliance(options={"console": {"frame_ancestors": f"'self', {named.origin}"}})


def embed(page: Page, url: str, sandbox: str = "") -> Frame:
    page.evaluate(EMBED, [url, sandbox])
    (frame,) = page.main_frame.child_frames
    return frame


def wait_until_connected(frame: Frame) -> None:
    expect(frame.locator("body")).to_have_attribute("data-state", "connected", timeout=TIMEOUT_MS)


def connected(appliance: Appliance) -> list[dict[str, Any]]:
    listed = appliance.call("GET", "/v1/sessions", "ann").json()["sessions"]
    return [one for one in listed if one["connected"]]


def test_a_named_site_shows_the_console(page: Page, framed: Appliance, guest: Guest, named: Site) -> None:
    page.goto(named.url)
    frame = embed(page, framed.console_url(guest.uuid))
    wait_until_connected(frame)
    # A private window stores nothing for a frame of another site.
    assert frame.evaluate(STORED) == "SecurityError"
    assert len(connected(framed)) == 1


def test_where_something_can_be_stored_a_reload_of_the_frame_goes_on_with_the_session(
    page: Page, start_appliance: StartAppliance, network: Network, guest: Guest, watch: Watch, tmp_path: Path
) -> None:
    site = serve(tmp_path / "neighbour", network.appliance_ip, network.appliance.command([]))
    watch.foreign.add(urllib.parse.urlsplit(site.origin).netloc)
    framed = start_appliance(options={"console": {"frame_ancestors": site.origin}})
    page.goto(site.url)
    frame = embed(page, framed.console_url(guest.uuid))
    wait_until_connected(frame)
    assert frame.evaluate(STORED) == "object"
    (before,) = connected(framed)
    # The page's own mark is gone when the new document is there.
    frame.evaluate("() => { document.body.dataset.old = 'yes'; setTimeout(() => location.reload(), 0); }")
    expect(frame.locator("body[data-old]")).to_have_count(0)
    wait_until_connected(frame)
    assert [one["id"] for one in connected(framed)] == [before["id"]]
    site.close()


def test_so_it_does_in_a_frame_without_an_origin_where_nothing_can_be_stored(
    page: Page, framed: Appliance, guest: Guest, named: Site
) -> None:
    page.goto(named.url)
    frame = embed(page, framed.console_url(guest.uuid), "allow-scripts")
    wait_until_connected(frame)
    assert frame.evaluate("self.origin") == "null"
    assert frame.evaluate(STORED) == "SecurityError"
    assert "token" not in frame.evaluate("location.search"), "the token is not kept in the address"
    assert len(connected(framed)) == 1


def test_a_site_that_is_not_named_cannot_show_it_nor_a_named_one_the_page_with_the_sign_in(
    page: Page, framed: Appliance, guest: Guest, named: Site, other: Site, watch: Watch
) -> None:
    watch.tolerate("frame-ancestors", "sandbox")
    for sandbox in ("", "allow-scripts", "allow-scripts allow-same-origin"):
        page.goto(other.url)
        assert embed(page, framed.console_url(guest.uuid), sandbox).evaluate(SHOWN) is None, sandbox
    page.goto(named.url)
    assert embed(page, f"{framed.url}/").evaluate(SHOWN) is None
    assert connected(framed) == []


def test_a_frame_of_no_origin_on_another_site_opens_nothing_with_a_cookie(
    page: Page, framed: Appliance, guest: Guest, other: Site
) -> None:
    page.context.add_cookies([{"name": "token", "value": framed.token(guest.uuid), "url": framed.url}])
    page.goto(other.url)
    socket = f"new WebSocket('ws://{framed.ip}:{framed.port}/websockify')"
    page.evaluate(
        """script => {
          addEventListener('message', ({ data }) => { document.title = data; });
          const frame = document.createElement('iframe');
          frame.sandbox = 'allow-scripts';
          frame.srcdoc = `<script>${script}<` + '/script>';
          document.body.append(frame);
        }""",
        f"const s = {socket}; s.onopen = () => parent.postMessage('open', '*');"
        "s.onclose = () => parent.postMessage('refused', '*');",
    )
    expect(page).to_have_title("refused")


@pytest.mark.parametrize("path", ["/", "console"])
def test_no_page_tells_another_site_where_somebody_came_from(
    page: Page, appliance: Appliance, guest: Guest, named: Site, watch: Watch, path: str
) -> None:
    watch.tolerate("Content Security Policy")
    page.goto(appliance.console_url(guest.uuid) if path == "console" else f"{appliance.url}/")
    with page.expect_navigation(url=named.url):
        page.evaluate("url => Object.assign(document.createElement('a'), {href: url}).click()", named.url)
    assert page.evaluate("document.referrer") == ""
    (request,) = [request for request in watch.requests if request.url == named.url]
    assert "referer" not in request.all_headers()
    # The header is what keeps it: the other site's page has none, and tells.
    with page.expect_request(f"{named.origin}/x.png") as told:
        page.evaluate("document.body.append(Object.assign(new Image(), {src: '/x.png'}))")
    assert told.value.all_headers()["referer"] == named.url
