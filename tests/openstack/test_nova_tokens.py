"""In the place of nova-novncproxy: consoles that a real nova-api handed out, on real guests, as bytes of RFB."""

from __future__ import annotations

import configparser
import re
import shlex
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests
import websocket
from playwright.sync_api import BrowserContext, expect

from tests.browser.conftest import chromium, context, new_context, watch
from tests.browser.console import Console
from tests.hosts import ComputeHost
from tests.hosts.network import Network
from tests.openstack.environment import OpenStackClient
from tests.openstack.front import connect_front
from tests.openstack.keystone import Keystone
from tests.openstack.nova import USER, Nova
from tests.service import Appliance
from tests.service.appliance import token_of
from tests.service.rfb import RfbClient

Hosts = tuple[ComputeHost, ComputeHost]
Eventually = Callable[[Callable[[], object]], None]

__all__ = ["chromium", "context", "new_context", "watch"]
"""Fixtures of the browser tests, which are used here too."""

NOVA_USER = "service:nova"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "instead-of-nova-novncproxy.md"


@pytest.fixture(scope="module")
def nova(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nova]:
    """A nova-api and its Keystone, which the appliance reaches."""
    folder = tmp_path_factory.mktemp("cloud")
    keystone = Keystone(folder / "keystone", network.public.gateway)
    keystone.start()
    nova = None
    try:
        base_url = f"http://{network.appliance_ip}:6300/vnc_auto.html"
        nova = Nova(folder / "nova", network.public.gateway, keystone, base_url)
        nova.start()
        yield nova
    finally:
        if nova is not None:
            nova.close()
        keystone.stop()


@pytest.fixture(scope="module")
def start(
    network: Network, computes: Hosts, novnc: Path, nova: Nova, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Appliance]]:
    """Starts a service that takes Nova's tokens."""
    started: list[Appliance] = []

    def start(known: tuple[ComputeHost, ...] = computes, **options: dict[str, object]) -> Appliance:
        port = 6300 + len(started)
        settings: dict[str, dict[str, object]] = {
            "DEFAULT": {"debug": "true"},
            "consoleauth": {"token_authority": "porthole,nova"},
            "nova": {
                "auth_url": nova.keystone.url, "username": USER, "password": nova.keystone.passwords[USER],
                "timeout": 30,
            },
        }  # fmt: skip
        for group, values in options.items():
            settings.setdefault(group, {}).update(values)
        folder = tmp_path_factory.mktemp(f"appliance{port}")
        appliance = Appliance(folder, network.appliance, network.appliance_ip, known, port=port, options=settings)
        started.append(appliance)
        appliance.start()
        return appliance

    yield start
    for appliance in started:
        appliance.stop()


@pytest.fixture(scope="module")
def both(start: Callable[..., Appliance], nova: Nova, tmp_path_factory: pytest.TempPathFactory) -> Appliance:
    """A service with both authorities, configured as the page says; the first, at the address that Nova hands out."""
    folder = tmp_path_factory.mktemp("page")
    password = folder / "nova.password"
    password.write_text("a password of the test's\n")
    client = OpenStackClient(folder, nova.keystone.variables("admin", "admin"))
    commands = re.findall(r"^    openstack ((?:user|role) .*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert [command.split()[:2] for command in commands] == [["user", "create"], ["role", "add"]]
    for command in commands:
        words = shlex.split(
            command.replace("--password-prompt", f"--password {shlex.quote(password.read_text()[:-1])}")
        )
        done = client.run(*words)
        assert done.returncode == 0, done.stderr
    options = page_options()
    assert options["consoleauth"] == {"token_authority": "porthole,nova"}
    assert set(options["nova"]) == {"auth_url", "username", "password_file"}
    options["nova"] |= {"auth_url": nova.keystone.url, "password_file": password, "password": ""}
    return start(**options)


def page_options() -> dict[str, dict[str, object]]:
    """The first configuration that docs/how-to/instead-of-nova-novncproxy.md shows."""
    block = re.search(r"^```ini\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert block is not None
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(block[1])
    return {section: dict(parser[section]) for section in parser.sections()}


@pytest.fixture
def guest(both: Appliance, hosts: Hosts, eventually: Eventually) -> Any:
    """A running guest that the service knows."""
    guest = hosts[0].start_guest("web-1", owner=("project-a", "user-a"))
    eventually(lambda: guest.uuid in both.call("GET", "/v1/instances", "ann").text)
    return guest


def refusal(appliance: Appliance, token: str) -> tuple[int, str]:
    """How an upgrade with this token is refused: the status and the problem's code; the check says the same."""
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        appliance.upgrade(token)
    checked = appliance.call("POST", "/v1/consoles/check", None, json={"token": token})
    body = refused.value.resp_body or b""
    assert checked.json()["code"].encode() in body
    return refused.value.status_code, checked.json()["code"]


def opened(appliance: Appliance, token: str, path: str = "/vnc_auto.html") -> RfbClient:
    """A console, up to ServerInit and a first picture."""
    client = RfbClient(appliance.upgrade(token, path)).handshake()
    client.request_update()
    assert client.raw_update() > 0
    return client


class TestNovasUrl:
    @pytest.mark.parametrize("page", ["vnc_auto.html", "vnc_lite.html", "vnc.html"])
    def test_opens_the_console_at_each_of_novas_addresses(
        self, both: Appliance, nova: Nova, hosts: Hosts, guest: Any, page: str
    ) -> None:
        url = nova.authorize(guest.uuid, hosts[0].ip, guest.port, access_url_base=f"{both.url}/{page}")["access_url"]
        assert url.startswith(f"{both.url}/{page}?path=%3Ftoken%3D")
        assert requests.get(url, timeout=30).status_code == 200
        checked = both.call("POST", "/v1/consoles/check", None, json={"token": token_of(url)})
        assert (checked.status_code, checked.json()["instance"]["id"]) == (200, guest.uuid)
        assert checked.json()["mode"] == "full"
        opened(both, token_of(url), f"/{page}").close()

    def test_opens_any_number_of_sessions_until_it_expires_and_they_go_on(
        self, both: Appliance, nova: Nova, hosts: Hosts, guest: Any
    ) -> None:
        token = nova.authorize(guest.uuid, hosts[0].ip, guest.port, ttl=30)
        until = token["expires"]
        with closing(opened(both, token["token"])) as first, closing(opened(both, token["token"])):
            time.sleep(max(0.0, until - time.time()) + 1.5)
            assert refusal(both, token["token"]) == (403, "token-invalid")
            first.request_update()
            assert first.raw_update() > 0

    def test_our_own_tokens_are_used_once_beside_it(self, both: Appliance, guest: Any) -> None:
        token = both.token(guest.uuid, "ann")
        opened(both, token).close()
        assert refusal(both, token) == (403, "token-used")

    def test_the_session_is_novas_in_the_project_that_libvirt_names(
        self, both: Appliance, nova: Nova, hosts: Hosts, guest: Any
    ) -> None:
        token = nova.authorize(guest.uuid, hosts[0].ip, guest.port)["token"]
        with closing(opened(both, token)):
            (session,) = [s for s in both.call("GET", "/v1/sessions", "ann").json()["sessions"] if s["connected"]]
            assert (session["user_id"], session["project_id"]) == (NOVA_USER, "project-a")
            assert (session["instance_id"], session["mode"]) == (guest.uuid, "full")
            assert both.call("GET", "/v1/sessions", "max").json()["sessions"] == []
        started = [
            line for line in (both.folder / "state" / "audit.log").read_text().splitlines() if guest.uuid in line
        ]
        assert any(NOVA_USER in line and '"session-started"' in line.replace("_", "-") for line in started), started

    def test_no_token_is_in_any_log_or_record(self, both: Appliance, nova: Nova, hosts: Hosts, guest: Any) -> None:
        token = nova.authorize(guest.uuid, hosts[0].ip, guest.port)["token"]
        opened(both, token).close()
        nova.clean_instance(guest.uuid)
        refusal(both, token)
        files = [both.log_file, *(path for path in (both.folder / "state").rglob("*") if path.is_file())]
        assert [path.name for path in files if token.encode() in path.read_bytes()] == []
        assert nova.keystone.passwords[USER] not in both.log()


class TestRefusals:
    def test_a_token_that_nova_does_not_know(self, both: Appliance) -> None:
        assert refusal(both, str(uuid.uuid4())) == (403, "token-invalid")

    def test_one_whose_instance_was_deleted_or_moved(
        self, both: Appliance, nova: Nova, hosts: Hosts, guest: Any
    ) -> None:
        token = nova.authorize(guest.uuid, hosts[0].ip, guest.port)["token"]
        nova.clean_instance(guest.uuid)
        assert refusal(both, token) == (403, "token-invalid")

    def test_one_of_another_type_of_console_or_of_an_earlier_start(
        self, both: Appliance, nova: Nova, hosts: Hosts, guest: Any
    ) -> None:
        serial = nova.authorize(guest.uuid, hosts[0].ip, 10000, console_type="serial")["token"]
        assert refusal(both, serial) == (403, "token-other-console")
        spice = nova.authorize(guest.uuid, hosts[0].ip, guest.port, console_type="spice-direct", tls_port=5999)
        assert refusal(both, spice["token"]) == (403, "token-other-console")
        assert "of type novnc" in both.call("POST", "/v1/consoles/check", None, json={"token": serial}).json()["detail"]

    def test_a_port_of_a_known_compute_that_belongs_to_another_guest_now(
        self, both: Appliance, nova: Nova, hosts: Hosts, guest: Any
    ) -> None:
        """CVE-2013-0335: the token's instance is gone, and Nova has not noticed; the port is another guest's."""
        token = nova.authorize(str(uuid.uuid4()), hosts[0].ip, guest.port)["token"]
        assert refusal(both, token) == (404, "instance-not-found")

    def test_one_that_was_revoked_here(self, both: Appliance, nova: Nova, hosts: Hosts, guest: Any) -> None:
        token = nova.authorize(guest.uuid, hosts[0].ip, guest.port)["token"]
        with closing(opened(both, token)) as console:
            sessions = both.call("GET", "/v1/sessions", "ann").json()["sessions"]
            (session,) = [one for one in sessions if one["connected"]]
            assert both.call("DELETE", f"/v1/tokens/{session['token_id']}", "ann").status_code == 204
            assert console.wait_for_close().code == 4002
        assert refusal(both, token) == (403, "token-invalid")


class TestElsewhere:
    """The guest is on a compute that is not configured, so that libvirt cannot be asked."""

    def test_the_tokens_address_is_used_in_the_allowed_networks_alone(
        self, start: Callable[..., Appliance], nova: Nova, hosts: Hosts, both: Appliance
    ) -> None:
        guest = hosts[1].start_guest("far-1")
        token = nova.authorize(guest.uuid, hosts[1].ip, guest.port)["token"]
        nowhere = start((hosts[0],))
        assert refusal(nowhere, token) == (403, "compute-not-allowed")
        assert hosts[1].ip in nowhere.log_lines("compute not allowed")[0]["why"]
        allowed = start((hosts[0],), nova={"compute_networks": f"{hosts[1].ip}/32"})
        with closing(opened(allowed, token)) as console:
            (session,) = allowed.call("GET", "/v1/sessions", "ann").json()["sessions"]
            assert (session["instance_id"], session["project_id"]) == (guest.uuid, "")
            guest.destroy()  # which nobody can tell from a VNC server that closed for itself
            closed = console.wait_for_close()
            assert (closed.code, closed.reason) == (4003, "The instance's screen was disconnected by its host.")
        # The compute that is configured is asked, and nobody connects to a port there on Nova's word.
        known = hosts[0].start_guest("near-1")
        gone = nova.authorize(str(uuid.uuid4()), hosts[0].ip, known.port)["token"]
        assert refusal(allowed, gone) == (404, "instance-not-found")
        nova.clean_instance(guest.uuid)
        assert refusal(allowed, token) == (403, "token-invalid")

    def test_an_internal_access_path_is_asked_for(
        self, start: Callable[..., Appliance], nova: Nova, hosts: Hosts, both: Appliance, network: Network
    ) -> None:
        guest = hosts[1].start_guest("far-2")
        front = network.private.gateway
        allowed = start((hosts[0],), nova={"compute_networks": f"{front}/32"}, proxy={"connect_timeout": 10})
        with connect_front(front, (hosts[1].ip, guest.port)) as server:
            right = nova.authorize(guest.uuid, front, server.port, internal_access_path="/console/7")["token"]
            opened(allowed, right).close()
            assert set(server.asked) == {"CONNECT /console/7 HTTP/1.1"}
            server.answer = b"HTTP/1.1 404 Not Found\r\n\r\n"
            assert refused_at_connect(allowed, right) == 503
            server.answer = b"HTTP/1.1 200 OK\r\nX: y"  # and nothing more: Nova's proxy would hang
            began = time.monotonic()
            assert refused_at_connect(allowed, right) == 503
            assert time.monotonic() - began < 60
        why = [line["why"] for line in allowed.log_lines("VNC server unreachable")]
        assert any("answered CONNECT with 404" in line for line in why), why
        assert any("answer to CONNECT" in line for line in why[-1:]), why


def refused_at_connect(appliance: Appliance, token: str) -> int:
    """The status of an upgrade that is refused when the VNC server has been asked."""
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        appliance.upgrade(token)
    return refused.value.status_code


class TestNovaAway:
    def test_sessions_go_on_and_only_novas_tokens_wait(
        self, both: Appliance, nova: Nova, hosts: Hosts, guest: Any
    ) -> None:
        token = nova.authorize(guest.uuid, hosts[0].ip, guest.port)["token"]
        own = both.token(guest.uuid, "ann")
        with closing(opened(both, token)) as console:
            nova.stop()
            try:
                assert refusal(both, token) == (503, "nova-unavailable")
                answer = both.call("POST", "/v1/consoles/check", None, json={"token": token})
                assert answer.headers["Retry-After"] == "5"
                assert "Nova, which issued this console URL, cannot be asked" in answer.json()["detail"]
                opened(both, own).close()
                console.request_update()
                assert console.raw_update() > 0
                assert both.call("GET", "/readyz", None).status_code == 200
            finally:
                nova.start()
        opened(both, token).close()

    def test_one_that_is_silent_holds_nobody_else_up(
        self, start: Callable[..., Appliance], nova: Nova, hosts: Hosts, guest: Any
    ) -> None:
        quick = start(nova={"timeout": 8})
        token = nova.authorize(guest.uuid, hosts[0].ip, guest.port)["token"]
        opened(quick, token).close()  # it is signed in at Keystone
        nova.pause()
        try:
            began = time.monotonic()
            assert refusal(quick, token) == (503, "nova-unavailable")
            assert 15 <= time.monotonic() - began < 60
        finally:
            nova.go_on()
        assert "no answer within 8 s" in quick.log()

    def test_credentials_that_nova_does_not_take_are_named_in_the_log(
        self, start: Callable[..., Appliance], nova: Nova, hosts: Hosts, guest: Any
    ) -> None:
        nova.keystone.add_user("nobody", "service", "reader")
        token = nova.authorize(guest.uuid, hosts[0].ip, guest.port)["token"]
        for options, why in (
            ({"username": "nobody", "password": nova.keystone.passwords["nobody"]}, "may not show tokens"),
            ({"password": "wrong"}, "401"),
        ):
            appliance = start(nova=options)
            assert refusal(appliance, token) == (503, "nova-unavailable")
            assert why in appliance.log()


def test_with_nova_alone_our_own_tokens_open_nothing_and_none_is_issued(
    start: Callable[..., Appliance], nova: Nova, hosts: Hosts, both: Appliance, guest: Any
) -> None:
    alone = start(consoleauth={"token_authority": "nova"})
    opened(alone, nova.authorize(guest.uuid, hosts[0].ip, guest.port)["token"]).close()
    answer = alone.call("POST", "/v1/consoles", "ann", json={"instance": guest.uuid})
    assert (answer.status_code, answer.json()["code"]) == (400, "console-type-unavailable")
    assert "openstack console url show --novnc" in answer.json()["detail"]
    assert refusal(alone, both.token(guest.uuid, "ann")) == (403, "token-invalid")


class TestInTheBrowser:
    def test_novas_url_shows_the_guest_and_a_reload_goes_on_though_nova_has_forgotten_the_token(
        self, context: BrowserContext, both: Appliance, nova: Nova, hosts: Hosts, guest: Any
    ) -> None:
        console = Console(context.new_page())
        url = nova.authorize(guest.uuid, hosts[0].ip, guest.port)["access_url"]
        assert url.startswith(f"{both.url}/vnc_auto.html?")
        console.open(url)
        console.wait_for("connected")
        console.screen.focus()
        console.check_that_keys_arrive(guest, "n")
        assert token_of(url) not in console.page.url
        nova.clean_instance(guest.uuid)
        console.page.reload()
        console.wait_for("connected")

    def test_it_says_in_words_that_a_token_is_for_another_console(
        self, context: BrowserContext, both: Appliance, nova: Nova, hosts: Hosts, guest: Any
    ) -> None:
        console = Console(context.new_page())
        serial = nova.authorize(guest.uuid, hosts[0].ip, 10000, access_url_base=f"{both.url}/vnc_lite.html")
        console.open(serial["access_url"].replace("vnc_lite", "vnc_auto"))
        console.wait_for("refused")
        expect(console.title).to_have_text("This address is for another console")
        expect(console.text).to_contain_text("of type novnc")
