"""Fixtures: headless Chromium in the browsers' network, which reaches the appliance and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.browser import driver
from tests.browser.console import Console
from tests.browser.driver import TIMEOUT_MS
from tests.browser.watch import Watch
from tests.hosts import ComputeHost, Guest, Network
from tests.hosts.screen import is_up
from tests.service import Appliance

Hosts = tuple[ComputeHost, ComputeHost]

WINDOW = {"width": 1280, "height": 800}


@pytest.fixture(scope="session")
def chromium(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for the whole run."""
    with driver.chromium(network.browser, tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture
def watch() -> Iterator[Watch]:
    """What the browser's pages did. Whatever a test is about, no page may break its rules meanwhile."""
    watch = Watch()
    yield watch
    assert watch.faults() == []


@pytest.fixture
def new_context(chromium: Browser, watch: Watch) -> Iterator[Callable[..., BrowserContext]]:
    """Makes browser profiles: each with its own cookies, storage and cache."""
    contexts: list[BrowserContext] = []

    def make(**options: Any) -> BrowserContext:
        context = chromium.new_context(**{"viewport": WINDOW, **options})
        context.set_default_timeout(TIMEOUT_MS)
        watch.attach(context)
        contexts.append(context)
        return context

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def context(new_context: Callable[..., BrowserContext]) -> BrowserContext:
    """A new profile with a window of 1280 by 800."""
    return new_context()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """An empty tab."""
    return context.new_page()


@pytest.fixture
def guest(hosts: Hosts, eventually: Callable[[Callable[[], object]], None]) -> Guest:
    """A guest ``web-1`` on the first compute, up and waiting for keys."""
    guest = hosts[0].start_guest("web-1")
    eventually(lambda: is_up(guest))
    return guest


@pytest.fixture
def console(page: Page, appliance: Appliance, guest: Guest) -> Console:
    """The console page in that tab, connected to that guest."""
    console = Console(page)
    console.open(appliance.console_url(guest.uuid))
    console.wait_for("connected")
    return console
