"""The main job on real parts: a console URL, an upgrade, a real guest's screen and keyboard."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
import websocket

from tests.certificates import make_certificate
from tests.hosts import ComputeHost, Guest, Network
from tests.hosts.screen import is_up
from tests.service import Appliance
from tests.service.rfb import RfbClient

Hosts = tuple[ComputeHost, ComputeHost]
Eventually = Callable[[Callable[[], object]], None]

ANY_NUMBER = {"consoleauth": {"token_uses": 0}}
"""Options with which a token opens any number of sessions, as Nova's do."""

AT_ONCE = 1.0
"""Seconds within which a session ends with its guest."""


def type_until_it_arrives(client: RfbClient, guest: Guest, key: str) -> None:
    """Type a key until the guest repeats it on its serial port.

    Never while it boots: a key in the moment in which the BIOS looks for a keyboard makes it find none.
    """
    end = time.monotonic() + 30
    while not is_up(guest):
        assert time.monotonic() < end, f"{guest.name} did not boot"
        time.sleep(0.05)
    while key not in guest.serial_text():
        assert time.monotonic() < end, f"{key} did not arrive in {guest.name}"
        client.key(ord(key))
        time.sleep(0.3)


def wait_for_blank(guest: Guest) -> None:
    """Wait until a guest that was reset has cleared its screen, or for as long as that could take."""
    end = time.monotonic() + 3
    while is_up(guest) and time.monotonic() < end:
        time.sleep(0.02)


def refusal(appliance: Appliance, token: str | None, **options: Any) -> tuple[int, dict[str, object]]:
    """The HTTP status and the problem of an upgrade that is refused."""
    with pytest.raises(websocket.WebSocketBadStatusException) as caught:
        appliance.upgrade(token, header=["Accept: application/json"], **options)
    return caught.value.status_code, json.loads(caught.value.resp_body or b"")


def test_a_console_url_leads_to_the_guests_screen_and_keyboard(
    appliance: Appliance, hosts: Hosts, eventually: Eventually
) -> None:
    guest = hosts[0].start_guest("web-1")
    eventually(lambda: is_up(guest))  # the size of the screen changes as it boots
    url = appliance.console_url("web-1")
    assert url.startswith(f"{appliance.url}/vnc_auto.html?path=%3Ftoken%3D")
    client = appliance.open_console("web-1")
    assert client.name == "QEMU (web-1)"
    assert (client.width, client.height) != (0, 0)
    client.request_update()
    assert client.raw_update() == client.width * client.height * 4
    type_until_it_arrives(client, guest, "a")
    client.close()


def test_each_of_two_guests_on_two_computes_gets_its_own(
    appliance: Appliance, hosts: Hosts, eventually: Eventually
) -> None:
    guests = [host.start_guest(f"vm-{host.name}") for host in hosts]
    assert guests[0].port == guests[1].port, "the same port on both, so a mix-up would show"
    for guest, key in zip(guests, "ab", strict=True):
        client = appliance.open_console(guest.uuid)
        assert client.name == f"QEMU ({guest.name})"
        type_until_it_arrives(client, guest, key)
        client.close()
    assert [set(guest.serial_text()) for guest in guests] == [{"a"}, {"b"}]


def test_a_token_is_taken_at_each_of_novas_addresses_and_in_the_cookie(
    start_appliance: Callable[..., Appliance], hosts: Hosts
) -> None:
    appliance = start_appliance(options=ANY_NUMBER)
    hosts[0].start_guest("web-1")
    token = appliance.token("web-1")
    for path in ("/", "/vnc.html", "/vnc_lite.html", "/vnc_auto.html", "/websockify"):
        RfbClient(appliance.upgrade(token, path)).handshake().close()
    RfbClient(appliance.upgrade(None, "/websockify", cookie=f"token={token}")).handshake().close()


def test_the_subprotocol_binary_is_echoed_when_it_is_offered(appliance: Appliance, hosts: Hosts) -> None:
    hosts[0].start_guest("web-1")
    connection = appliance.upgrade(appliance.token("web-1"), subprotocols=["binary", "base64"])
    assert connection.getsubprotocol() == "binary"
    connection.close()
    connection = appliance.upgrade(appliance.token("web-1"))
    assert connection.getsubprotocol() is None
    connection.close()


class TestRefusals:
    """Each a real HTTP status before the 101, with a reason, and the end of the connection."""

    def test_no_token(self, appliance: Appliance) -> None:
        status, problem = refusal(appliance, None)
        assert (status, problem["code"]) == (403, "token-missing")

    def test_a_token_that_is_none_of_ours(self, appliance: Appliance) -> None:
        status, problem = refusal(appliance, "x.y.z")
        assert (status, problem["code"]) == (403, "token-invalid")

    def test_a_token_one_second_past_its_time(self, start_appliance: Callable[..., Appliance], hosts: Hosts) -> None:
        appliance = start_appliance(options={"consoleauth": {"token_ttl": 2}})
        hosts[0].start_guest("web-1")
        token = appliance.token("web-1")
        appliance.upgrade(token).close()
        time.sleep(3)
        status, problem = refusal(appliance, token)
        assert (status, problem["code"]) == (403, "token-expired")

    def test_its_own_page_is_let_in(self, appliance: Appliance, hosts: Hosts) -> None:
        hosts[0].start_guest("web-1")
        appliance.upgrade(appliance.token("web-1"), origin=appliance.url).close()

    def test_a_guest_that_is_gone(self, appliance: Appliance, hosts: Hosts) -> None:
        guest = hosts[0].start_guest("web-1")
        token = appliance.token("web-1")
        guest.destroy()
        status, problem = refusal(appliance, token)
        assert (status, problem["code"]) == (404, "instance-not-found")

    def test_a_guest_that_is_off(self, appliance: Appliance, hosts: Hosts) -> None:
        guest = hosts[0].start_guest("web-1", persistent=True)
        token = appliance.token("web-1")
        guest.destroy()
        status, problem = refusal(appliance, token)
        assert (status, problem["code"]) == (409, "instance-not-running")
        guest.start()
        RfbClient(appliance.upgrade(token)).handshake().close()

    def test_a_user_who_is_no_longer_there(self, start_appliance: Callable[..., Appliance], hosts: Hosts) -> None:
        appliance = start_appliance()
        hosts[0].start_guest("web-1")
        token = appliance.token("web-1", "max")
        files = ["--user-file", str(appliance.folder / "htpasswd"), "--role-file", str(appliance.folder / "roles")]
        appliance.run("user", "remove", "max", *files)
        status, problem = refusal(appliance, token)
        assert (status, problem["code"]) == (403, "token-invalid")

    def test_more_sessions_than_the_service_takes(
        self, start_appliance: Callable[..., Appliance], hosts: Hosts, eventually: Eventually
    ) -> None:
        appliance = start_appliance(options={"proxy": {"max_sessions": 2}})
        hosts[0].start_guest("web-1")
        first, second = (appliance.upgrade(appliance.token("web-1")) for _ in range(2))
        token = appliance.token("web-1")
        status, problem = refusal(appliance, token)
        assert (status, problem["code"]) == (503, "too-many-sessions")
        first.close()
        eventually(lambda: appliance.metric("porthole_sessions") == 1)
        appliance.upgrade(token).close()
        second.close()


class TestEnds:
    @pytest.mark.parametrize("persistent", [False, True])
    def test_a_guest_shut_down_in_mid_session_ends_it_with_a_reason(
        self, appliance: Appliance, hosts: Hosts, persistent: bool
    ) -> None:
        guest = hosts[0].start_guest("web-1", persistent=persistent)
        client = appliance.open_console("web-1")
        guest.destroy()
        began = time.monotonic()
        closed = client.wait_for_close()
        assert time.monotonic() - began < AT_ONCE
        assert closed.code == 4000
        assert "was shut down" in closed.reason

    def test_a_reboot_of_the_guest_does_not_end_it(
        self, appliance: Appliance, hosts: Hosts, eventually: Eventually
    ) -> None:
        guest = hosts[0].start_guest("web-1")
        eventually(lambda: is_up(guest))
        client = appliance.open_console("web-1")
        guest.domain.reset()
        wait_for_blank(guest)
        type_until_it_arrives(client, guest, "a")
        client.close()

    def test_the_services_stop_is_told_to_the_browser(
        self, start_appliance: Callable[..., Appliance], hosts: Hosts
    ) -> None:
        appliance = start_appliance()
        hosts[0].start_guest("web-1")
        client = appliance.open_console("web-1")
        assert appliance.stop() == 0
        closed = client.wait_for_close()
        assert closed.code == 1001
        assert "restarted" in closed.reason

    def test_enforce_session_timeout_ends_a_session_with_its_token(
        self, start_appliance: Callable[..., Appliance], hosts: Hosts
    ) -> None:
        appliance = start_appliance(options={"consoleauth": {"token_ttl": 3, "enforce_session_timeout": "true"}})
        hosts[0].start_guest("web-1")
        client = appliance.open_console("web-1")
        closed = client.wait_for_close()
        assert (closed.code, closed.reason) == (4001, "The time of this session is over.")

    def test_a_broken_protocol_ends_only_its_own_session(
        self, appliance: Appliance, hosts: Hosts, eventually: Eventually
    ) -> None:
        guest = hosts[0].start_guest("web-1")
        good, bad = appliance.open_console("web-1"), appliance.open_console("web-1")
        assert bad.websocket.sock is not None
        bad.websocket.sock.sendall(b"\x82\x05Hello")
        assert bad.wait_for_close().code == 1002
        type_until_it_arrives(good, guest, "a")
        good.close()


def test_tls_to_the_browser_and_plain_beside_it(
    start_appliance: Callable[..., Appliance], hosts: Hosts, network: Network, tmp_path: Path, eventually: Eventually
) -> None:
    guest = hosts[0].start_guest("web-1")
    eventually(lambda: is_up(guest))
    appliance = start_appliance(certificate=make_certificate(tmp_path, network.appliance_ip))
    url = appliance.console_url("web-1")
    assert url.startswith("https://")
    client = appliance.open_console("web-1")
    client.request_update()
    assert client.raw_update() == client.width * client.height * 4
    client.close()
    plain = requests.get(f"http://{appliance.ip}:{appliance.port}/healthz", timeout=10)
    assert plain.status_code == 200


def test_ssl_only_tells_plain_clients_what_to_do(
    start_appliance: Callable[..., Appliance], network: Network, tmp_path: Path
) -> None:
    certificate = make_certificate(tmp_path, network.appliance_ip)
    appliance = start_appliance(certificate=certificate, options={"DEFAULT": {"ssl_only": "true"}})
    plain = requests.get(f"http://{appliance.ip}:{appliance.port}/healthz", timeout=10)
    assert plain.status_code == 426
    assert "https://" in plain.text


def test_nothing_leaks_after_a_thousand_sessions(
    start_appliance: Callable[..., Appliance], hosts: Hosts, eventually: Eventually
) -> None:
    appliance = start_appliance(options=ANY_NUMBER)
    hosts[0].start_guest("web-1")
    token = appliance.token("web-1")
    RfbClient(appliance.upgrade(token)).handshake().close()
    eventually(lambda: appliance.metric("porthole_sessions") == 0)
    files = appliance.open_files()
    for _ in range(1000):
        connection = appliance.upgrade(token)
        assert connection.recv() == b"RFB 003.008\n"
        connection.close(timeout=5)
    eventually(lambda: appliance.metric("porthole_sessions") == 0)
    eventually(lambda: appliance.open_files() <= files)
