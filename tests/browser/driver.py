"""Playwright and Chromium, for whoever wants a browser: several folders' fixtures may, in one process."""

from __future__ import annotations

import contextlib
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Playwright, expect, sync_playwright

from tests.hosts.network import Namespace

ARGUMENTS = (
    "--no-sandbox",  # it needs namespaces of its own, which root in a container may not have
    "--no-proxy-server",
    "--no-first-run",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
TIMEOUT_MS = 30_000


class _Shared:
    """The process's Playwright: its synchronous API can run only once at a time.

    :ivar users: who has it now; with the last of them it ends
    """

    def __init__(self) -> None:
        self.users = 0
        self._ending = contextlib.ExitStack()
        self._playwright: Playwright | None = None

    def take(self) -> Playwright:
        if self._playwright is None:
            self._playwright = self._ending.enter_context(sync_playwright())
            expect.set_options(timeout=TIMEOUT_MS)
        self.users += 1
        return self._playwright

    def give(self) -> None:
        self.users -= 1
        if not self.users:
            self._playwright = None
            self._ending.close()


_shared = _Shared()


@contextlib.contextmanager
def playwright() -> Iterator[Playwright]:
    """The process's Playwright, which is started for the first and ended after the last who wants it."""
    started = _shared.take()
    try:
        yield started
    finally:
        _shared.give()


@contextlib.contextmanager
def chromium(namespace: Namespace, folder: Path) -> Iterator[Browser]:
    """A headless Chromium. Playwright speaks to it through a pipe, which knows no network.

    :param namespace: the network that it has
    :param folder: an empty one, for its start
    """
    program = shutil.which("chromium")
    if program is None:
        pytest.fail("Chromium is missing; script/test installs it.", pytrace=False)
    wrapper = folder / "chromium"
    wrapper.write_text(f'#!/bin/sh\nexec {shlex.join(namespace.command([program]))} "$@"\n')
    wrapper.chmod(0o755)
    with playwright() as started:
        browser = started.chromium.launch(executable_path=wrapper, args=ARGUMENTS, timeout=2 * TIMEOUT_MS)
        try:
            yield browser
        finally:
            browser.close()
