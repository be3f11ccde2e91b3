"""docs/how-to/behind-a-front-end.md, word for word: Debian's nginx and HAProxy before the service."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
import websocket

from tests.certificates import make_certificate
from tests.documents import blocks, ini
from tests.hosts import ComputeHost
from tests.hosts.network import Network
from tests.service import Appliance
from tests.service.appliance import token_of
from tests.service.proxies import NAME, Browser, FrontEnd, HAProxy, Nginx
from tests.service.rfb import RfbClient

PAGE = "how-to/behind-a-front-end.md"
SERVICE = ini(blocks(PAGE, "ini")[0])
ELSEWHERE = "198.51.100.7"
PROXIES: dict[str, type[FrontEnd]] = {"nginx": Nginx, "haproxy": HAProxy}

Hosts = tuple[ComputeHost, ComputeHost]


@dataclass
class World:
    """A service as the page has it, and the means to put a front end before it."""

    network: Network
    folder: Path
    start_appliance: Callable[..., Appliance]
    front_ends: list[FrontEnd]

    def service(self, **options: dict[str, Any]) -> Appliance:
        """The service with the page's options; it listens on all addresses, for the test looks at it from outside."""
        sections = {name: {**values, **options.get(name, {})} for name, values in SERVICE.items()}
        sections["vnc"] |= {"novncproxy_host": "0.0.0.0"}
        return self.start_appliance(options=sections)

    def front_end(self, kind: str, service: Appliance, **changes: str) -> FrontEnd:
        """A front end as the page has it.

        :param changes: others than those of places: before → after, each of which the page has to have
        """
        folder = self.folder / f"{kind}{len(self.front_ends)}"
        started = PROXIES[kind](
            folder, self.network.appliance, self.network.appliance_ip, service.port,
            make_certificate(self.folder, NAME), blocks(PAGE, kind)[0], changes,
        )  # fmt: skip
        self.front_ends.append(started)
        return started


@pytest.fixture
def world(network: Network, hosts: Hosts, start_appliance: Callable[..., Appliance], tmp_path: Path) -> Iterator[World]:
    hosts[0].start_guest("web-1")
    world = World(network, tmp_path, start_appliance, [])
    yield world
    for front_end in world.front_ends:
        front_end.stop()


@pytest.fixture(params=PROXIES)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_pages_the_sign_in_and_a_console_and_no_token_in_any_log_of_the_front_end(world: World, kind: str) -> None:
    service = world.service()
    front_end = world.front_end(kind, service)
    browser = Browser(front_end)
    for page in ("", "vnc_auto.html"):
        answer = browser.call("GET", page)
        assert (answer.status, answer.headers["Referrer-Policy"]) == (200, "no-referrer")
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
    answer = browser.sign_in(service.passwords["max"])
    assert (answer.status, "; Secure;" in answer.headers["Set-Cookie"]) == (201, True)

    url = browser.console_url("web-1")
    assert url.startswith(f"https://{NAME}/vnc_auto.html?")
    console = browser.open_console("web-1")
    assert console.name == "QEMU (web-1)"
    console.request_update()
    assert console.raw_update() == console.width * console.height * 4
    console.close()

    used, refused = token_of(url), "x" * 40
    browser.call("GET", url.removeprefix(f"https://{NAME}/"))
    browser.connect(url).close()
    for bad in (url, url.replace(used, refused)):
        with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
            browser.connect(bad)
    front_end.stop()
    written = front_end.written()
    assert written.count(" 101 ") == 2, "the consoles are in its log"
    assert "/v1/consoles" in written
    for token in (used, refused):
        assert token not in written


def test_pages_of_other_sites_open_nothing(world: World, kind: str) -> None:
    service = world.service()
    browser = Browser(world.front_end(kind, service))
    browser.sign_in(service.passwords["max"])
    url = browser.console_url("web-1")
    for origin in ("https://evil.example", f"http://{NAME}"):
        assert browser.call("POST", "v1/consoles", {"instance": "web-1"}, {"Origin": origin}).status == 403
        with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
            browser.connect(url, origin=origin)


def test_the_browsers_address_is_the_front_ends_word_and_nobody_elses(world: World, kind: str) -> None:
    service = world.service()
    browser = Browser(world.front_end(kind, service))
    answer = browser.sign_in(service.passwords["max"], {"X-Forwarded-For": ELSEWHERE, "X-Forwarded-Proto": "http"})
    assert "; Secure;" in answer.headers["Set-Cookie"], "what a browser says of its scheme is replaced"
    said = [f"X-Forwarded-For: {ELSEWHERE}, 127.0.0.1", "X-Forwarded-Proto: http", "X-Forwarded-Host: evil.example"]
    browser.open_console("web-1", header=said).close()
    own = world.network.public.gateway
    assert [line["client"] for line in service.log_lines("session admitted")] == [own]
    assert ELSEWHERE not in service.log()


def test_who_goes_past_the_front_end_is_not_believed(world: World) -> None:
    service = world.service()
    said = {"X-Forwarded-For": ELSEWHERE, "X-Forwarded-Proto": "https"}
    answer = service.call("GET", "/healthz", headers=said)
    assert "Strict-Transport-Security" not in answer.headers
    service.upgrade(service.token("web-1"), header=[f"{name}: {value}" for name, value in said.items()]).close()
    assert [line["client"] for line in service.log_lines("session admitted")] == [world.network.public.gateway]


def test_pings_keep_a_silent_console_open_for_longer_than_the_front_end_waits(world: World, kind: str) -> None:
    """All times a twelfth of the page's; without pings in time, the front end ends it."""
    service = world.service(proxy={"ping_interval": 20 / 12})
    deaf = world.service(proxy={"ping_interval": 60})
    front_end = world.front_end(kind, service, **{"120s": "10s"})
    console = signed_in(front_end, service).open_console("web-1")
    end = time.monotonic() + 15
    while time.monotonic() < end:
        assert console.websocket.recv_data(control_frame=True)[0] == websocket.ABNF.OPCODE_PING  # and answers it
    console.request_update()
    assert console.raw_update()
    console.close()

    front_end.stop()
    console = signed_in(world.front_end(kind, deaf, **{"120s": "10s"}), deaf).open_console("web-1")
    began = time.monotonic()
    with pytest.raises((websocket.WebSocketConnectionClosedException, ConnectionError, OSError)):
        console.read(1)
    assert 5 < time.monotonic() - began < 55, "before the service has sent a ping"


def test_the_check_of_the_page(world: World, kind: str, tmp_path: Path) -> None:
    (command,) = blocks(PAGE, "sh")
    trusted, untrusted = world.service(), world.service(proxy={"trusted_proxies": ""})
    certificate = make_certificate(tmp_path, NAME)[0]
    curlrc = f'resolve = "{NAME}:443:{world.network.appliance_ip}"\ncacert = "{certificate}"\nnoproxy = "*"\n'
    (tmp_path / ".curlrc").write_text(curlrc)

    def checked(service: Appliance) -> str:
        front_end = world.front_end(kind, service)
        done = subprocess.run(
            ["sh", "-c", command], env={**os.environ, "CURL_HOME": str(tmp_path)}, capture_output=True, text=True,
            check=False, timeout=30,
        )  # fmt: skip
        front_end.stop()
        return done.stdout.strip().lower()

    assert checked(trusted) == "strict-transport-security: max-age=31536000"
    assert checked(untrusted) == ""


def test_below_a_path(world: World, kind: str) -> None:
    service = world.service(vnc=ini(blocks(PAGE, "ini")[1])["vnc"])
    nginx, haproxy = blocks(PAGE, "nginx"), blocks(PAGE, "haproxy")
    lines = "    location / {\n        proxy_pass http://127.0.0.1:6080;\n"
    assert lines in nginx[0]
    default = "    default_backend porthole\n"
    assert default in haproxy[0]
    changes = {
        "nginx": {lines.replace("6080", str(service.port)): nginx[1].replace("6080", str(service.port))},
        "haproxy": {default: haproxy[1], "backend porthole\n    option": f"backend porthole\n{haproxy[2]}    option"},
    }
    front_end = world.front_end(kind, service, **changes[kind])
    browser = Browser(front_end, "/consoles/")
    assert browser.call("GET", "").status == 200
    assert browser.sign_in(service.passwords["max"]).status == 201
    url = browser.console_url("web-1")
    assert url.startswith(f"https://{NAME}/consoles/vnc_auto.html?")
    assert browser.call("GET", url.removeprefix(f"https://{NAME}/consoles/")).status == 200

    site = Browser(front_end)
    from_the_front_end = {"nginx": 404, "haproxy": 503}[kind]
    for path in ("healthz", "vnc_auto.html", "v1/instances", "v2.1/", "other/consoles/healthz"):
        assert site.call("GET", path).status == from_the_front_end, path
    # The service has this header in every answer to a browser of a trusted front end; nginx has a page of its own.
    assert "Strict-Transport-Security" in browser.call("GET", "").headers
    assert "Strict-Transport-Security" not in site.call("GET", "").headers
    assert site.sign_in(service.passwords["max"]).status == from_the_front_end
    with pytest.raises(websocket.WebSocketBadStatusException, match=str(from_the_front_end)):
        site.connect(url.replace("/consoles/", "/"))
    moved = site.call("GET", "consoles")
    assert moved.status == 301
    assert urljoin(f"https://{NAME}/consoles", moved.headers["Location"]) == f"https://{NAME}/consoles/"

    # What was asked above the path did not use it up.
    console = RfbClient(browser.connect(url)).handshake()
    assert console.name == "QEMU (web-1)"
    console.close()


class TestNginx:
    @pytest.mark.parametrize("level", ["emerg", "crit", "error"])
    def test_errors_have_no_token_at_the_pages_level_and_have_it_at_others(self, world: World, level: str) -> None:
        """Both ways in which it happens: the service is away, and nginx itself has no more files."""
        service = world.service()
        front_end = world.front_end("nginx", service, **{" emerg;": f" {level};"})
        browser = signed_in(front_end, service)
        url = browser.console_url("web-1")
        service.stop()
        with pytest.raises(websocket.WebSocketBadStatusException, match="502"):
            browser.connect(url)
        has_it_when_away = token_of(url) in front_end.written()
        with pytest.raises(websocket.WebSocketBadStatusException, match="500"):
            browser.connect(url, before=front_end.no_more_files)
        assert (has_it_when_away, token_of(url) in front_end.written()) == {
            "emerg": (False, False), "crit": (False, True), "error": (True, True),
        }[level]  # fmt: skip


class TestHAProxy:
    def test_it_asks_whether_the_service_is_ready(
        self, world: World, eventually: Callable[[Callable[[], object]], None]
    ) -> None:
        service = world.service()
        front_end = world.front_end("haproxy", service)
        service.stop()
        eventually(lambda: "Server porthole/porthole1 is DOWN" in front_end.written())
        assert Browser(front_end).call("GET", "healthz").status == 503
        service.start()
        eventually(
            lambda: "Server porthole/porthole1 is UP, reason: Layer7 check passed, code: 200" in front_end.written()
        )
        assert Browser(front_end).call("GET", "healthz").status == 200


def signed_in(front_end: FrontEnd, service: Appliance) -> Browser:
    browser = Browser(front_end)
    assert browser.sign_in(service.passwords["max"]).status == 201
    return browser
