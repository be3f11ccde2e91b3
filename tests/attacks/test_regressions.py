"""What others got wrong, by name: each of these is attacked on the running service, with a real guest behind it."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
from pathlib import Path
from typing import Any

import pytest
import websocket

from tests.hosts import ComputeHost
from tests.service import Appliance, RfbClient

Hosts = tuple[ComputeHost, ComputeHost]

LOOK_UP = {"OpenStack-API-Version": "compute 2.31"}
EVIL = "evil.example"


def refusal(appliance: Appliance, token: str | None, **options: Any) -> tuple[int, str]:
    """The HTTP status and the problem's code of an upgrade that is refused."""
    with pytest.raises(websocket.WebSocketBadStatusException) as caught:
        appliance.upgrade(token, header=["Accept: application/json"], **options)
    return caught.value.status_code, str(json.loads(caught.value.resp_body or b"")["code"])


def raw(appliance: Appliance, request: str) -> tuple[int, dict[str, str]]:
    """Status and headers of an answer to a request that no library has tidied."""
    with socket.create_connection((appliance.ip, appliance.port), timeout=15) as side:
        side.sendall(request.encode())
        answer = b""
        while piece := side.recv(65536):
            answer += piece
    head = answer.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in head[1:])
    return int(head[0].split()[1]), {name.lower(): value for name, value in headers.items()}


class TestCrossSiteWebSocketHijacking:
    """CVE-2015-0259: a page of another site opens a console with what the browser sends by itself."""

    @pytest.mark.parametrize(
        "origin",
        [
            *(f"http://{EVIL}", f"https://{EVIL}", "null", "", "file://", f"http://{EVIL}#{{ip}}:6080"),
            *("https://{ip}:6080", "http://{ip}:6081", "http://{ip}", "http://{ip}.evil.example:6080"),
            *(f"http://{{ip}}:6080@{EVIL}", f"http://{EVIL}/?http://{{ip}}:6080", "http://{ip}:6080.evil.example"),
        ],
    )
    def test_another_sites_page_is_refused_even_with_a_good_token(
        self, appliance: Appliance, hosts: Hosts, origin: str
    ) -> None:
        hosts[0].start_guest("web-1")
        token = appliance.token("web-1")
        assert refusal(appliance, token, origin=origin.format(ip=appliance.ip)) == (403, "origin-refused")
        RfbClient(appliance.upgrade(token, origin=appliance.url)).handshake().close()

    def test_not_with_the_cookie_either(self, appliance: Appliance, hosts: Hosts) -> None:
        hosts[0].start_guest("web-1")
        cookie = f"token={appliance.token('web-1')}"
        assert refusal(appliance, None, origin=f"http://{EVIL}", cookie=cookie) == (403, "origin-refused")


class TestHostHeaderPoisoning:
    """nova-novncproxy added the Host header to its list of allowed origins, for all later requests of the process."""

    def test_a_host_header_is_forgotten_with_its_request(self, appliance: Appliance, hosts: Hosts) -> None:
        hosts[0].start_guest("web-1")
        token = appliance.token("web-1")
        for _ in range(20):
            assert refusal(appliance, "x.y.z", host=EVIL, origin=f"http://{EVIL}") == (403, "token-invalid")
            assert refusal(appliance, token, host="other.example", origin=f"http://{EVIL}") == (403, "origin-refused")
            assert refusal(appliance, token, origin=f"http://{EVIL}") == (403, "origin-refused")
        RfbClient(appliance.upgrade(token, origin=appliance.url)).handshake().close()

    def test_two_of_them_are_no_request(self, appliance: Appliance) -> None:
        status, _ = raw(appliance, f"GET / HTTP/1.1\r\nHost: {appliance.ip}:{appliance.port}\r\nHost: {EVIL}\r\n\r\n")
        assert status == 400

    @pytest.mark.parametrize("forwarded", ["X-Forwarded-Host", "X-Host", "Forwarded"])
    def test_nobody_says_it_in_another_header(self, appliance: Appliance, hosts: Hosts, forwarded: str) -> None:
        hosts[0].start_guest("web-1")
        value = f"host={EVIL}" if forwarded == "Forwarded" else EVIL
        answer = appliance.call(
            "POST", "/v1/consoles", json={"instance": "web-1"}, headers={forwarded: value, "Host": EVIL}
        )
        assert answer.status_code == 201
        assert answer.json()["url"].startswith(f"{appliance.url}/vnc_auto.html?"), "URLs are the configuration's"


class TestOpenRedirect:
    """CVE-2021-3654: Python's http.server redirected ``//host/%2F..`` to ``//host/``, which is another site."""

    @pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
    @pytest.mark.parametrize(
        "target",
        [
            *(f"//{EVIL}/%2F..", f"//{EVIL}/%2f%2e%2e", f"//{EVIL}", f"//{EVIL}/", f"//{EVIL}/vnc_auto.html"),
            *(f"///{EVIL}", f"///{EVIL}/%2F..", f"////{EVIL}//", f"/%2F/{EVIL}", f"/%2f%2f{EVIL}/..", "///"),
            *(f"/\\{EVIL}", f"/%5C{EVIL}/%2F..", f"/%09/{EVIL}", f"/.//{EVIL}/..", f"/static//{EVIL}/%2F.."),
            *(f"//{EVIL}/static/", f"//{EVIL}/v1/instances", f"/v1//{EVIL}", f"/v2.1//{EVIL}/", "/v2.1", "/static"),
            *(f"http://{EVIL}/", f"//{EVIL}/%0d%0aLocation:%20http://{EVIL}/", f"//{EVIL}@{EVIL}/%2F.."),
        ],
    )
    def test_no_address_leads_to_another_site(self, appliance: Appliance, target: str, method: str) -> None:
        status, headers = raw(
            appliance,
            f"{method} {target} HTTP/1.1\r\nHost: {appliance.ip}:{appliance.port}\r\nConnection: close\r\n"
            "Content-Length: 0\r\n\r\n",
        )
        assert status < 500
        location = headers.get("location", "/")
        own = f"http://{appliance.ip}:{appliance.port}/"
        assert location.startswith(own) or (location.startswith("/") and location[1:2] not in ("/", "\\"))


class TestPortReuse:
    """CVE-2013-0335: a token names an instance, so the next guest on its port is never shown."""

    def test_the_holder_of_the_first_guests_url_does_not_see_the_second(
        self, appliance: Appliance, hosts: Hosts
    ) -> None:
        first = hosts[0].start_guest("first", port=5950)
        token = appliance.token("first")
        first.destroy()
        second = hosts[0].start_guest("second", port=5950)
        assert second.port == 5950
        assert refusal(appliance, token) == (404, "instance-not-found")

    def test_not_even_when_it_has_the_first_ones_name(self, appliance: Appliance, hosts: Hosts) -> None:
        first = hosts[0].start_guest("same", port=5950)
        token = appliance.token("same")
        first.destroy()
        hosts[0].start_guest("same", port=5950)
        assert refusal(appliance, token)[0] == 404

    def test_the_token_follows_its_instance_to_another_port(self, appliance: Appliance, hosts: Hosts) -> None:
        guest = hosts[0].start_guest("mover", port=5951)
        token = appliance.token("mover")
        guest.destroy()
        hosts[0].start_guest("mover", port=5952, uuid_=guest.uuid)
        client = RfbClient(appliance.upgrade(token)).handshake()
        assert client.name == "QEMU (mover)"
        client.close()


class TestTokensInLogs:
    """CVE-2015-9543: nova-novncproxy wrote tokens into its log."""

    def test_a_day_in_the_services_life_leaves_no_secret_behind(self, appliance: Appliance, hosts: Hosts) -> None:
        guest = hosts[0].start_guest("web-1")
        token = appliance.token(guest.uuid)
        appliance.open_console(guest.uuid).close()
        answers = [
            appliance.call(
                "POST", "/v1/session", None, json={"username": "max", "password": appliance.passwords["max"]}
            ),
            appliance.call("POST", "/v1/session", None, json={"username": "max", "password": "wrong-" + token[:20]}),
            appliance.call("GET", f"/v2.1/os-console-auth-tokens/{token}", "ann", headers=LOOK_UP),
            appliance.call("GET", f"/v2.1/os-console-auth-tokens/{token}", "max", headers=LOOK_UP),
            appliance.call("GET", f"/nowhere/{token}?token={token}", None),
            appliance.call("POST", "/v1/consoles/check", None, json={"token": token + "x"}),
            appliance.call("POST", "/v1/consoles", None, data=token),
            appliance.call("GET", f"/vnc_auto.html?path=%3Ftoken%3D{token}", None),
        ]
        cookie = answers[0].cookies.get("porthole_session") or ""
        assert cookie
        for upgrade_token in (token, token + "x"):
            with contextlib.suppress(websocket.WebSocketBadStatusException):
                appliance.upgrade(upgrade_token).close()
        metrics = appliance.metrics()

        secrets = [token, cookie, *appliance.passwords.values()]
        secrets += [
            base64.b64encode(f"{name}:{secret}".encode()).decode() for name, secret in appliance.passwords.items()
        ]
        log = appliance.log()
        audit = (appliance.folder / "state" / "audit.log").read_text()
        processes = "".join(
            path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            for pid in appliance.pids()
            for path in (Path(f"/proc/{pid}/cmdline"), Path(f"/proc/{pid}/environ"))
        )
        for secret in secrets:
            assert secret not in log
            assert secret not in audit
            assert secret not in metrics
            assert secret not in processes
        for answer in answers[1:]:
            assert token not in answer.text
            assert token not in str(answer.headers)
        assert guest.uuid in log, "the log does say which instance"
        assert guest.uuid in audit
        assert guest.uuid not in metrics
        assert guest.name not in metrics
        assert hosts[0].name not in metrics
