"""Behind a front end that ends TLS: what browsers are told is what they see, and nobody else's word counts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
import websocket

from tests.service.consoles import PASSWORD, Process, Site
from tests.service.front import front_end
from tests.service.rfb import RfbClient
from tests.service.vnc import GUEST

EVIL = "evil.example"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.stop()


class Browser:
    """One at the front end, with a page that it has from there."""

    def __init__(self, port: int, certificate: Path) -> None:
        self.origin = f"https://localhost:{port}"
        self._certificate = str(certificate)
        self._session = requests.Session()
        self._session.verify = self._certificate
        self._session.trust_env = False

    def call(self, method: str, path: str, body: object = None, **headers: str) -> requests.Response:
        sent = {"Origin": self.origin, "Connection": "close", **{k.replace("_", "-"): v for k, v in headers.items()}}
        answer = self._session.request(method, self.origin + path, json=body, headers=sent, timeout=30)
        self._session.close()  # the front end takes one request a connection, and does not say so
        return answer

    def sign_in(self, **headers: str) -> requests.Response:
        return self.call("POST", "/v1/session", {"username": "max", "password": PASSWORD}, **headers)

    def console(self, **options: Any) -> websocket.WebSocket:
        url = self.call("POST", "/v1/consoles", {"instance": GUEST}).json()["url"]
        return websocket.create_connection(
            f"wss{self.origin.removeprefix('https')}/?token={url.rpartition('token%3D')[2]}",
            timeout=30, http_no_proxy=["*"], sslopt={"ca_certs": self._certificate}, **options,
        )  # fmt: skip


@contextmanager
def browser_of(process: Process, certificate: tuple[Path, Path], header: str = "") -> Iterator[Browser]:
    with front_end(certificate, ("127.0.0.1", process.installation.port), header) as port:
        yield Browser(port, certificate[0])


def test_cookies_origins_and_hsts_are_those_of_the_address_that_browsers_see(
    site: Site, certificate: tuple[Path, Path]
) -> None:
    process = site.start(proxy={"trusted_proxies": "127.0.0.1"})
    with browser_of(process, certificate) as browser:
        answer = browser.sign_in()
        assert answer.status_code == 201, answer.text
        assert "; Secure;" in answer.headers["Set-Cookie"]
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
        assert browser.call("GET", "/").headers["Referrer-Policy"] == "no-referrer"
        console = RfbClient(browser.console(origin=browser.origin)).handshake()
        console.close()
        for origin in (browser.origin.replace("https", "http"), f"https://{EVIL}"):
            assert browser.call("POST", "/v1/consoles", {"instance": GUEST}, Origin=origin).status_code == 403
            with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
                browser.console(origin=origin)


def test_a_front_end_that_is_not_named_is_not_believed(site: Site, certificate: tuple[Path, Path]) -> None:
    process = site.start()
    with browser_of(process, certificate) as browser:
        answer = browser.sign_in()
        assert answer.status_code == 403, "its page's origin has https, and the request came without"
        assert "Strict-Transport-Security" not in answer.headers


def test_x_forwarded_host_is_nobodys_word(site: Site, certificate: tuple[Path, Path]) -> None:
    """Nor does a Host header stay: each request is compared with its own."""
    process = site.start(proxy={"trusted_proxies": "127.0.0.1"})
    with browser_of(process, certificate, f"X-Forwarded-Host: {EVIL}") as browser:
        assert browser.sign_in(Origin=f"https://{EVIL}").status_code == 403
        assert browser.sign_in(Host=EVIL, Origin=f"https://{EVIL}").status_code == 201, "a page of that very host"
        assert browser.sign_in(Origin=f"https://{EVIL}").status_code == 403
        assert EVIL not in browser.call("GET", "/v2.1").text
