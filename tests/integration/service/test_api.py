"""The HTTP API in front of real libvirt: Nova's calls and our own, as each kind of user."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http.cookiejar import Cookie
from typing import Any, cast

import pytest
import requests

from tests.hosts import ComputeHost
from tests.service import Appliance, RfbClient
from tests.service.appliance import token_of

Hosts = tuple[ComputeHost, ComputeHost]

NOVNC = {"type": "novnc"}
VNC = {"protocol": "vnc", "type": "novnc"}


def version(number: str) -> dict[str, str]:
    return {"OpenStack-API-Version": f"compute {number}"}


def listed(appliance: Appliance) -> list[dict[str, Any]]:
    servers: list[dict[str, Any]] = appliance.call("GET", "/v2.1/servers/detail").json()["servers"]
    return servers


def fault(answer: requests.Response) -> tuple[int, str, str]:
    """Status, Nova's name of the fault, and its message."""
    ((name, body),) = answer.json().items()
    assert body["code"] == answer.status_code
    return answer.status_code, name, body["message"]


class TestNovasCalls:
    def test_os_getvncconsole_leads_to_the_screen(self, appliance: Appliance, hosts: Hosts) -> None:
        guest = hosts[0].start_guest("web-1")
        answer = appliance.call("POST", f"/v2.1/servers/{guest.uuid}/action", json={"os-getVNCConsole": NOVNC})
        assert answer.status_code == 200
        console = answer.json()["console"]
        assert console["type"] == "novnc"
        client = RfbClient(appliance.upgrade(token_of(console["url"]))).handshake()
        assert client.name == "QEMU (web-1)"
        client.close()

    def test_and_so_does_remote_consoles_from_2_6(self, appliance: Appliance, hosts: Hosts) -> None:
        guest = hosts[0].start_guest("web-1")
        path = f"/v2.1/servers/{guest.uuid}/remote-consoles"
        answer = appliance.call("POST", path, json={"remote_console": VNC}, headers=version("2.6"))
        assert answer.status_code == 200
        console = answer.json()["remote_console"]
        assert (console["protocol"], console["type"]) == ("vnc", "novnc")
        RfbClient(appliance.upgrade(token_of(console["url"]))).handshake().close()
        assert appliance.call("POST", path, json={"remote_console": VNC}, headers=version("2.5")).status_code == 404

    def test_servers_are_listed_with_their_state(
        self, appliance: Appliance, hosts: Hosts, eventually: Callable[[Callable[[], object]], None]
    ) -> None:
        running = hosts[0].start_guest("a-running", metadata_name="Nova's name")
        off = hosts[1].start_guest("b-off", persistent=True)
        off.destroy()
        paused = hosts[1].start_guest("c-paused")
        paused.pause()
        eventually(lambda: {one["status"] for one in listed(appliance)} == {"ACTIVE", "SHUTOFF", "PAUSED"})
        servers = listed(appliance)
        assert {(one["id"], one["name"], one["status"]) for one in servers} == {
            (running.uuid, "Nova's name", "ACTIVE"),
            (off.uuid, "b-off", "SHUTOFF"),
            (paused.uuid, "c-paused", "PAUSED"),
        }
        shown = appliance.call("GET", f"/v2.1/servers/{running.uuid}", "ann").json()["server"]
        assert shown["OS-EXT-SRV-ATTR:host"] == hosts[0].name
        assert shown["OS-EXT-SRV-ATTR:instance_name"] == "a-running"

    def test_an_administrator_looks_a_token_up(self, appliance: Appliance, hosts: Hosts) -> None:
        guest = hosts[0].start_guest("web-1")
        path = f"/v2.1/os-console-auth-tokens/{appliance.token(guest.uuid)}"
        answer = appliance.call("GET", path, "ann", headers=version("2.31"))
        assert answer.json()["console"] == {
            "instance_uuid": guest.uuid,
            "host": hosts[0].ip,
            "port": guest.port,
            "internal_access_path": None,
        }
        assert fault(appliance.call("GET", path, "max", headers=version("2.31")))[:2] == (403, "forbidden")

    def test_a_guest_without_a_vnc_display(self, appliance: Appliance, hosts: Hosts) -> None:
        guest = hosts[0].start_guest("blind", vnc=False)
        status, name, message = fault(
            appliance.call("POST", f"/v2.1/servers/{guest.uuid}/action", json={"os-getVNCConsole": NOVNC})
        )
        assert (status, name) == (400, "badRequest")
        assert message.startswith("Unavailable console type novnc.")

    def test_a_server_that_is_off(self, appliance: Appliance, hosts: Hosts) -> None:
        guest = hosts[0].start_guest("web-1", persistent=True)
        guest.destroy()
        status, name, message = fault(
            appliance.call("POST", f"/v2.1/servers/{guest.uuid}/action", json={"os-getVNCConsole": NOVNC})
        )
        assert (status, name) == (409, "conflictingRequest")
        assert "Start it" in message

    def test_no_such_server(self, appliance: Appliance) -> None:
        answer = appliance.call("GET", "/v2.1/servers/00000000-0000-4000-8000-000000000000")
        assert fault(answer)[:2] == (404, "itemNotFound")

    def test_nobody_is_told_how_to_sign_in(self, appliance: Appliance) -> None:
        answer = appliance.call("GET", "/v2.1/servers", None)
        assert fault(answer)[:2] == (401, "unauthorized")
        assert answer.headers["WWW-Authenticate"].startswith("Basic ")


class TestThePlainCall:
    def test_by_name_and_by_id_without_any_header(self, appliance: Appliance, hosts: Hosts) -> None:
        guest = hosts[0].start_guest("web-1")
        for asked in ("web-1", guest.uuid, guest.uuid.upper()):
            answer = appliance.call("POST", "/v1/consoles", json={"instance": asked})
            assert answer.status_code == 201
            assert set(answer.json()) == {"url", "token_id", "expires_at", "instance"}
            assert answer.json()["instance"] == {"id": guest.uuid, "name": "web-1"}

    def test_a_name_that_two_instances_have(
        self, appliance: Appliance, hosts: Hosts, eventually: Callable[[Callable[[], object]], None]
    ) -> None:
        guests = [host.start_guest("same") for host in hosts]
        # Each compute tells of its guest by itself; until both have, there is only one of that name.
        eventually(lambda: len(appliance.call("GET", "/v1/instances").json()["instances"]) == len(guests))
        answer = appliance.call("POST", "/v1/consoles", json={"instance": "same"})
        assert (answer.status_code, answer.json()["code"]) == (409, "instance-ambiguous")
        assert all(guest.uuid in answer.json()["detail"] for guest in guests)

    def test_a_reader_lists_and_opens_none(
        self, appliance: Appliance, hosts: Hosts, eventually: Callable[[Callable[[], object]], None]
    ) -> None:
        hosts[0].start_guest("web-1")
        eventually(lambda: appliance.call("GET", "/v1/instances", "rea").json()["instances"])
        assert [one["name"] for one in appliance.call("GET", "/v1/instances", "rea").json()["instances"]] == ["web-1"]
        answer = appliance.call("POST", "/v1/consoles", "rea", json={"instance": "web-1"})
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


class TestTheBrowsersSignIn:
    def test_a_cookie_opens_a_console_from_our_own_page_only(self, appliance: Appliance, hosts: Hosts) -> None:
        hosts[0].start_guest("web-1")
        with requests.Session() as browser:
            credentials = {"username": "max", "password": appliance.passwords["max"]}
            assert browser.post(f"{appliance.url}/v1/session", json=credentials, timeout=10).status_code == 201
            (cookie,) = cast(Iterable[Cookie], browser.cookies)
            assert cookie.has_nonstandard_attr("HttpOnly")
            assert cookie.get_nonstandard_attr("SameSite") == "Strict"

            def ask(**headers: str) -> int:
                return browser.post(
                    f"{appliance.url}/v1/consoles", json={"instance": "web-1"}, headers=headers, timeout=10
                ).status_code

            assert ask(Origin=appliance.url) == 201
            assert ask(Origin="http://evil.example") == 403
            assert ask() == 403
            browser.delete(f"{appliance.url}/v1/session", headers={"Origin": appliance.url}, timeout=10)
            browser.cookies.set_cookie(cookie)
            assert ask(Origin=appliance.url) == 401, "a copy of the cookie is worth nothing after the sign-out"


class TestHealth:
    def test_it_is_alive_and_ready_and_counts(self, appliance: Appliance, hosts: Hosts) -> None:
        assert appliance.call("GET", "/healthz", None).json() == {"status": "ok"}
        assert appliance.call("GET", "/readyz", None).status_code == 200
        hosts[0].start_guest("web-1")
        before = appliance.metric("porthole_sessions_started_total")
        appliance.open_console("web-1").close()
        assert appliance.metric("porthole_sessions_started_total") == before + 1
        assert appliance.metric('porthole_computes{state="up"}') == 2

    def test_the_document_says_what_is_served(self, appliance: Appliance) -> None:
        document = appliance.call("GET", "/openapi.json", None).json()
        assert document["openapi"].startswith("3.1")
        assert "/v1/consoles" in document["paths"]


def test_vnc_can_be_switched_off(start_appliance: Callable[..., Appliance], hosts: Hosts) -> None:
    appliance = start_appliance(options={"vnc": {"enabled": "false"}})
    hosts[0].start_guest("web-1")
    answer = appliance.call("POST", "/v1/consoles", json={"instance": "web-1"})
    assert (answer.status_code, answer.json()["code"]) == (400, "console-type-unavailable")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"instance": 5}', b'{"instance": "x", "more": 1}', b"\xff\xfe"])
def test_what_is_wrong_with_a_body_is_said(appliance: Appliance, body: bytes) -> None:
    headers: dict[str, Any] = {"Content-Type": "application/json"}
    answer = appliance.call("POST", "/v1/consoles", data=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad-request")
    assert answer.json()["detail"].endswith(".")
