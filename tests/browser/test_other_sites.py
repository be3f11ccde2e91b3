"""A page of somebody else, open in the same browser, gets nothing: no console, no token, no click.

One such site is at another address; the other at the appliance's own with another port, which a browser takes for the
same site, so that SameSite cookies are sent along.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.console import Console
from tests.browser.index import Index
from tests.browser.sites import Site, serve
from tests.browser.watch import Watch
from tests.hosts import Guest, Network
from tests.service import Appliance

OPEN_SOCKET = """url => new Promise(resolve => {
  const socket = new WebSocket(url);
  socket.onopen = () => resolve('open');
  socket.onclose = () => resolve('refused');
})"""

ASK = """async ([url, type, body]) => {
  try {
    await fetch(url, {method: 'POST', mode: type === 'application/json' ? 'cors' : 'no-cors', credentials: 'include',
                      headers: {'Content-Type': type}, body});
    return 'sent';
  } catch {
    return 'stopped by the browser';
  }
}"""

POST_A_FORM = """([url, name, value]) => {
  const form = document.createElement('form');
  Object.assign(form, {method: 'post', action: url, enctype: 'text/plain'});
  const field = document.createElement('input');
  Object.assign(field, {name, value});
  form.append(field);
  document.body.append(form);
  form.submit();
}"""

EMBED = """url => new Promise(resolve => {
  const frame = document.createElement('iframe');
  frame.onload = () => resolve();
  frame.src = url;
  document.body.append(frame);
})"""


@pytest.fixture(params=["another-address", "another-port"])
def site(
    request: pytest.FixtureRequest, network: Network, appliance: Appliance, watch: Watch, tmp_path: Path
) -> Iterator[Site]:
    """Somebody else's site."""
    folder = tmp_path / "site"
    if request.param == "another-address":
        site = serve(folder, network.public.gateway)
    else:
        site = serve(folder, network.appliance_ip, network.appliance.command([]))
    watch.foreign.add(urllib.parse.urlsplit(site.origin).netloc)
    yield site
    site.close()


@pytest.fixture
def signed_in(page: Page, appliance: Appliance) -> Page:
    """A tab of somebody who is signed in."""
    Index(page, appliance).enter("max")
    return page


def requests_to(watch: Watch, method: str, path: str) -> list[int]:
    """The HTTP statuses that requests to a path got, those that were let through by the browser."""
    found = [r for r in watch.requests if r.method == method and urllib.parse.urlsplit(r.url).path == path]
    answers = [request.response() for request in found if request.failure is None]
    return [answer.status for answer in answers if answer is not None]


def test_it_opens_no_console_not_even_with_a_valid_token(
    page: Page, appliance: Appliance, guest: Guest, site: Site
) -> None:
    token = urllib.parse.quote(appliance.token(guest.uuid))
    sockets = [f"ws://{appliance.ip}:{appliance.port}{path}?token={token}" for path in ("/", "/websockify")]
    page.goto(site.url)
    refused = appliance.metric('porthole_refusals_total{code="origin-refused"}')
    for url in sockets:
        assert page.evaluate(OPEN_SOCKET, url) == "refused"
    assert appliance.metric('porthole_refusals_total{code="origin-refused"}') == refused + len(sockets)
    page.goto(f"{appliance.url}/")
    assert page.evaluate(OPEN_SOCKET, sockets[0]) == "open", "the same from the service's own page"


def test_it_opens_no_console_with_the_token_in_a_cookie(
    page: Page, appliance: Appliance, guest: Guest, site: Site
) -> None:
    # Nova's consoles take the token from a cookie as well: there the origin is all there is against other sites.
    page.context.add_cookies([{"name": "token", "value": appliance.token(guest.uuid), "url": appliance.url}])
    url = f"ws://{appliance.ip}:{appliance.port}/websockify"
    page.goto(site.url)
    assert page.evaluate(OPEN_SOCKET, url) == "refused"
    page.goto(f"{appliance.url}/")
    assert page.evaluate(OPEN_SOCKET, url) == "open"


@pytest.mark.parametrize("content_type", ["application/json", "text/plain"])
def test_it_gets_no_console_made_for_somebody_signed_in(
    signed_in: Page, appliance: Appliance, guest: Guest, site: Site, watch: Watch, content_type: str
) -> None:
    watch.tolerate("has been blocked by CORS policy")
    made = appliance.metric("porthole_console_tokens_total")
    signed_in.goto(site.url)
    how = signed_in.evaluate(ASK, [f"{appliance.url}/v1/consoles", content_type, f'{{"instance": "{guest.uuid}"}}'])
    statuses = requests_to(watch, "POST", "/v1/consoles")
    if content_type == "application/json":
        assert how == "stopped by the browser", "for want of CORS headers in the answer to its preflight"
        assert statuses == []
    else:
        assert how == "sent"
        assert all(status in (401, 403) for status in statuses)
    assert appliance.metric("porthole_console_tokens_total") == made


def test_it_cannot_sign_the_visitor_in_as_somebody_else(
    page: Page, appliance: Appliance, site: Site, watch: Watch
) -> None:
    page.goto(site.url)
    # A form can write JSON: name and value with a "=" between them.
    name = f'{{"username": "ann", "password": "{appliance.passwords["ann"]}", "x": "'
    with page.expect_navigation(url=f"{appliance.url}/v1/session"):
        page.evaluate(POST_A_FORM, [f"{appliance.url}/v1/session", name, '"}'])
    assert requests_to(watch, "POST", "/v1/session")[0] in (400, 403, 415)
    assert page.context.cookies() == []


def test_it_cannot_show_the_pages_inside_its_own(
    signed_in: Page, appliance: Appliance, guest: Guest, site: Site, watch: Watch
) -> None:
    watch.tolerate("frame-ancestors")
    signed_in.goto(site.url)
    for url in (f"{appliance.url}/", appliance.console_url(guest.uuid)):
        signed_in.evaluate(EMBED, url)
    shown = [frame.evaluate("document.body?.dataset.state ?? null") for frame in signed_in.main_frame.child_frames]
    assert shown == [None, None]


def test_a_link_to_a_console_on_it_works_as_anywhere(
    page: Page, appliance: Appliance, guest: Guest, site: Site, watch: Watch
) -> None:
    page.goto(site.url)
    page.evaluate(
        "url => document.body.append(Object.assign(document.createElement('a'), {href: url, textContent: 'Console'}))",
        appliance.console_url(guest.uuid),
    )
    page.get_by_role("link", name="Console").click()
    console = Console(page)
    console.wait_for("connected")
    expect(page).to_have_title("web-1 — connected")
