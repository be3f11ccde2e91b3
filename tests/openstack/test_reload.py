"""A reload after a change of [keystone_authtoken], [nova] or a file that they name: it counts, and no console ends."""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import websocket

from tests.openstack.keystone import Keystone
from tests.openstack.nova import USER, Nova
from tests.service.consoles import Site, wait_until
from tests.service.rfb import RfbClient
from tests.service.vnc import GUEST

PATIENCE = 60
"""Seconds for a reload: new workers begin, and Keystone or Nova is asked."""

KEY = b"\x04\x01\x00\x00\x00\x00\x00a"
"""A KeyEvent (RFC 6143 7.5.4); the VNC server here sends back whatever it gets."""

NOT_TAKEN = "configuration not taken over"


class Reloading:
    """A service with users of its own, whose configuration changes, and a console from before all that."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.service = site.start()
        self._console = self.service.console(self.service.token())

    def to(self, configuration: str, counts: Callable[[], object]) -> None:
        """Have it reload a configuration with these lines.

        :param counts: whether the new one does
        """
        assert not counts(), "it does before"
        self.service.installation.more = configuration
        self.service.installation.configure()
        os.kill(self.service.popen.pid, signal.SIGHUP)
        wait_until(counts, PATIENCE)
        self._console.send(KEY)
        assert self._console.read(len(KEY)) == KEY

    def status(self, token: str) -> int:
        """What the list of instances is answered with to a token of Keystone."""
        return self.service.call("GET", "/v1/instances", user=None, headers={"X-Auth-Token": token})[0]

    def log(self) -> str:
        """What it has written so far."""
        return self.service.log_file.read_text()

    def opens(self, token: str) -> bool:
        """Whether a token opens a console."""
        try:
            console: RfbClient = self.service.console(token)
        except websocket.WebSocketBadStatusException:
            return False
        console.close()
        return True


@pytest.fixture
def reloading(tmp_path: Path) -> Iterator[Reloading]:
    site = Site(tmp_path)
    try:
        yield Reloading(site)
    finally:
        site.stop()


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    return tmp_path / "password"


def with_keystone(keystone: Keystone, password_file: Path, user: str) -> str:
    """The lines of a service that asks this Keystone."""
    return (
        "[api]\nauth_strategy = keystone\n[keystone_authtoken]\nhttp_connect_timeout = 30\ntoken_cache_time = 0\n"
        f"auth_url = {keystone.url}\nusername = {user}\npassword_file = {password_file}\nproject_name = service\n"
    )


def with_nova(nova: Nova, password_file: Path, user: str) -> str:
    """The lines of a service that takes this Nova's tokens."""
    return (
        "[consoleauth]\ntoken_authority = porthole,nova\n[nova]\ntimeout = 30\n"
        f"auth_url = {nova.keystone.url}\nusername = {user}\npassword_file = {password_file}\n"
    )


class TestKeystone:
    def test_it_takes_the_place_of_the_files_and_a_new_password_counts(
        self, reloading: Reloading, local_nova: Nova, password_file: Path
    ) -> None:
        keystone = local_nova.keystone
        user = keystone.add_user("porthole-of-the-reload", "service", "service")
        keystone.add_user("ada", "alpha", "reader")
        token = keystone.token("ada", "alpha")
        password_file.write_text(keystone.passwords["porthole-of-the-reload"])
        configuration = with_keystone(keystone, password_file, "porthole-of-the-reload")
        from_before = reloading.service.token()
        reloading.to(configuration, lambda: reloading.status(token) == 200)
        assert reloading.service.call("GET", "/v1/instances")[0] == 401, "the users of before are none any more"
        assert not reloading.opens(from_before)

        another = secrets.token_hex(16)
        keystone.call("PATCH", f"/users/{user}", {"user": {"password": another}})
        wait_until(lambda: reloading.status(token) == 503, PATIENCE)
        password_file.write_text(f"{another}\n")
        reloading.to(configuration, lambda: reloading.status(token) == 200)
        assert '"[keystone_authtoken] password"' in reloading.log()
        for secret in (keystone.passwords["porthole-of-the-reload"], another, token):
            assert secret not in reloading.log()

    def test_a_mistake_changes_nothing_and_is_said(
        self, reloading: Reloading, local_nova: Nova, password_file: Path
    ) -> None:
        configuration = with_keystone(local_nova.keystone, password_file, USER)
        reloading.to(configuration, lambda: NOT_TAKEN in reloading.log())
        assert f"option password_file in [keystone_authtoken] is {password_file}" in reloading.log()
        assert reloading.service.call("GET", "/v1/instances")[0] == 200


def test_novas_tokens_are_taken_from_then_on_and_a_new_password_counts_until_they_are_taken_no_more(
    reloading: Reloading, local_nova: Nova, password_file: Path
) -> None:
    def token() -> str:
        made: str = local_nova.authorize(GUEST, "127.0.0.1", reloading.site.vnc.port)["token"]
        return made

    keystone = local_nova.keystone
    keystone.add_user("asks-nova", "service", "admin")
    password_file.write_text(keystone.passwords["asks-nova"])
    configuration = with_nova(local_nova, password_file, "asks-nova")
    reloading.to(configuration, lambda: reloading.opens(token()))
    assert reloading.opens(reloading.service.token()), "our own are taken beside them"

    # The file is read again, though no option has changed: with a wrong password nobody signs in at Keystone.
    password_file.write_text("wrong\n")
    reloading.to(configuration, lambda: not reloading.opens(token()))
    password_file.write_text(keystone.passwords["asks-nova"])
    reloading.to(configuration, lambda: reloading.opens(token()))
    reloading.to("", lambda: not reloading.opens(token()))
