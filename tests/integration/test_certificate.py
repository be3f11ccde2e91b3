"""The running service takes a renewed certificate: when it is reloaded, and by itself. No session ends for it."""

from __future__ import annotations

import datetime
import shutil
import signal
import socket
import ssl
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import websocket

from porthole.auth.users import add_user
from tests.certificates import Authority
from tests.integration.test_generations import PASSWORD, assert_lives, call, ended, events
from tests.service.appliance import token_of
from tests.service.installation import Installation, free_port
from tests.service.manager import Manager
from tests.service.rfb import RfbClient
from tests.service.vnc import GUEST, EchoingVnc

DAYS = "porthole_certificate_expires_timestamp_seconds"
WITHIN = 60
"""Seconds that are promised."""


class Site:
    """A service with TLS whose certificate comes from an authority."""

    def __init__(self, folder: Path, vnc: EchoingVnc) -> None:
        self.authority = Authority(folder / "authority")
        self.cert, self.key = folder / "tls.crt", folder / "tls.key"
        self.renew("first", days=3)
        self.installation = Installation(folder / "installation")
        self.installation.computes["c1"] = vnc.node(folder)
        self.installation.metrics_port = free_port()
        files = (self.installation.folder / "htpasswd", self.installation.folder / "roles")
        add_user(*files, "ann", PASSWORD, "admin", cost=4)
        self.context = ssl.create_default_context(cafile=str(self.authority.certificate))

    def renew(self, name: str, days: int) -> bytes:
        """Put a new pair in place; returns its certificate, as DER."""
        pair = self.authority.issue(name, "localhost", good_for=datetime.timedelta(days=days))
        for source, file in zip(pair, (self.cert, self.key), strict=True):
            shutil.copy(source, file)
        return ssl.PEM_cert_to_DER_cert(pair[0].read_text())

    def shown(self) -> bytes:
        """What a browser that connects now is shown, as DER."""
        plain = socket.create_connection(("127.0.0.1", self.installation.port), timeout=30)
        with self.context.wrap_socket(plain, server_hostname="localhost") as secure:
            return secure.getpeercert(True) or b""

    def days(self) -> int:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.installation.metrics_port}/metrics", timeout=30) as answer:
            (line,) = [line for line in answer.read().decode().splitlines() if line.startswith(f"{DAYS} ")]
        return round((float(line.split()[1]) - time.time()) / 86_400)

    def open_console(self) -> RfbClient:
        """A console over TLS, up to ServerInit."""
        status, answer = call(self.installation, "POST", "/v1/consoles", {"instance": GUEST})
        assert status == 201, answer
        connection = websocket.create_connection(
            f"wss://localhost:{self.installation.port}/?token={token_of(str(answer['url']))}",
            timeout=30, suppress_origin=True, http_no_proxy=["*"], sslopt={"context": self.context},
        )  # fmt: skip
        return RfbClient(connection).handshake()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    vnc = EchoingVnc()
    site = Site(tmp_path, vnc)
    yield site
    site.installation.end()
    vnc.stop()


def test_it_is_taken_with_a_reload_and_by_itself_and_a_session_goes_on(site: Site, tmp_path: Path) -> None:
    manager = Manager(tmp_path / "notify")
    process = site.installation.serve(environment=manager.environment, cert=site.cert, key=site.key)
    manager.wait_for("READY", "1")
    assert site.days() == 3
    console = site.open_console()
    request = f"https://localhost:{site.installation.port}/healthz"
    with urllib.request.urlopen(request, timeout=30, context=site.context) as answer:
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"

    second = site.renew("second", days=5)
    process.send_signal(signal.SIGHUP)
    manager.wait_for("RELOADING", "1")
    manager.wait_for("READY", "1")
    assert site.shown() == second, "at once, when the reload is over"
    assert site.days() == 5

    # Half of a pair is not taken, and does no harm.
    other = site.authority.issue("other", "localhost")
    shutil.copy(other[0], site.cert)
    process.send_signal(signal.SIGHUP)
    manager.wait_for("RELOADING", "1")
    manager.wait_for("READY", "1")
    assert site.shown() == second

    third = site.renew("third", days=7)
    end = time.monotonic() + WITHIN
    while site.shown() != third:
        assert time.monotonic() < end
        time.sleep(0.2)
    assert site.days() == 7

    assert_lives(console)
    assert_lives(site.open_console())
    console.websocket.close()
    process.terminate()
    log = ended(process)
    assert events(log, "info").count("certificate taken over") == 2
    (refused,) = [line for line in log if line["event"] == "certificate not taken over"]
    assert "key values mismatch" in str(refused["why"])
    manager.close()
