"""A hostile VNC server, where libvirt says that an instance's is: it is refused, or costs its own session alone.

The instance is a real one of a real libvirt. ``server_proxyclient_address`` of its compute is an address of the test,
where a scripted server listens at the port that the instance's live XML names. Somebody else types at the console of
another real guest all the while.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
import websocket

from tests.attacks.hostile_vnc import (
    HUGE,
    SERVER_INIT,
    VERSION,
    HostileVnc,
    Script,
    close,
    dripping,
    flood,
    read,
    saying,
    silence,
)
from tests.attacks.watching import KEPT, MIB, Echo, memory, somebody_else
from tests.certificates import Authority
from tests.hosts import ComputeHost, Guest, Network
from tests.hosts.screen import is_up
from tests.service import Appliance, RfbClient

Eventually = Callable[[Callable[[], object]], None]

PORT = 5970
CONNECT_TIMEOUT = 1.5
A_LITTLE = 10.0
"""Seconds beyond ``connect_timeout`` that a busy machine may need for two look-ups and an answer."""

NONE = (VERSION, 12, b"\x01\x01", 1)
VENCRYPT = (VERSION, 12, b"\x01\x13", 1, b"\0\x02", 2, b"\0", b"\x01\0\0\x01\x04", 4, b"\x01")
OLD = (b"RFB 003.003\n", 12)
OK = b"\0\0\0\0"

UNREACHABLE, INSECURE = (503, "compute-unavailable"), (502, "screen-not-secure")

SILENT: dict[str, tuple[Script, str]] = {
    "before its greeting": (silence, "said nothing"),
    "in its greeting": (saying(VERSION[:5]), "its greeting did not come"),
    "after its greeting": (saying(VERSION, 12), "the number of its security types did not come"),
    "in its security types": (saying(VERSION, 12, b"\xff\x01"), "its security types did not come"),
    "after its security types": (saying(*NONE), "its security result did not come"),
    "in its security result": (saying(*NONE, OK[:2]), "its security result did not come"),
    "in the type of RFB 3.3": (saying(*OLD, OK[:2]), "its security type did not come"),
    "in the length of its reason": (saying(VERSION, 12, b"\0\0"), "the length of its reason did not come"),
    "in its reason": (saying(VERSION, 12, b"\0\0\0\0\x20too"), "its reason did not come"),
    "before its VeNCrypt version": (saying(*VENCRYPT[:4]), "its VeNCrypt version did not come"),
    "before it takes VeNCrypt 0.2": (saying(*VENCRYPT[:6]), "its answer to VeNCrypt 0.2 did not come"),
    "before its VeNCrypt subtypes": (saying(*VENCRYPT[:7]), "the number of its VeNCrypt subtypes did not come"),
    "in its VeNCrypt subtypes": (saying(*VENCRYPT[:7], b"\xff\0"), "its VeNCrypt subtypes did not come"),
    "before it takes X509_NONE": (saying(*VENCRYPT[:9]), "its answer to X509_NONE did not come"),
    "in the TLS handshake": (saying(*VENCRYPT), "the end of its TLS handshake did not come"),
    "nearly, with one byte a second": (dripping(VERSION), "its greeting did not come"),
    "nearly, with one byte a second after its greeting": (
        saying(VERSION, 12, b"\xff", then=dripping(bytes(255))),
        "its security types did not come",
    ),
}
"""Where a server stops speaking, and the words in the log."""

LYING: dict[str, tuple[Script, tuple[int, str], str]] = {
    "it floods instead of greeting": (flood, UNREACHABLE, "it greets with '?', and RFB"),
    "security types without end": (saying(VERSION, 12, b"\xff", then=flood), UNREACHABLE, "of which none was read"),
    "VeNCrypt subtypes without end": (saying(*VENCRYPT[:7], b"\xff", then=flood), INSECURE, "and neither X509_NONE"),
    "a reason of 4 GiB instead of types": (
        saying(VERSION, 12, b"\0" + HUGE, then=flood),
        UNREACHABLE,
        "with a reason of 4294967295 bytes, of which none was read",
    ),
    "a reason of 4 GiB after its type": (
        saying(*NONE, b"\0\0\0\x01" + HUGE, then=flood),
        UNREACHABLE,
        "with a reason of 4294967295 bytes, of which none was read",
    ),
    "a reason of 4 GiB in RFB 3.3": (
        saying(*OLD, OK + HUGE, then=flood),
        UNREACHABLE,
        "with a reason of 4294967295 bytes, of which none was read",
    ),
    "a reason that would forge a line of the log": (
        saying(VERSION, 12, b'\0\0\0\0\x14\n{"event": "forged"}'),
        UNREACHABLE,
        'with the reason \'?{"event": "forged"}\'',
    ),
    "garbage instead of TLS": (saying(*VENCRYPT, then=flood), INSECURE, "TLS failed"),
    "a version of its own": (saying(b"RFB 666.666\n"), UNREACHABLE, "RFB 3.3, 3.7 and 3.8 are spoken here"),
}
"""What a server claims, the refusal, and the words in the log."""


@dataclass
class Scene:
    """The service in front of a hostile VNC server and a real one.

    :ivar token: opens the instance whose VNC server is the hostile one, any number of times
    :ivar view: the same, for viewing only
    """

    appliance: Appliance
    hostile: HostileVnc
    echo: Echo
    token: str
    view: str

    def refusal(self, script: Script) -> tuple[tuple[int, str], str, float]:
        """How an upgrade is refused: status and code, why by the log, and after how many seconds."""
        self.hostile.script = script
        before = len(self.appliance.log_lines("request refused"))
        began = time.monotonic()
        refused = self.try_once()
        took = time.monotonic() - began
        return refused, str(self.appliance.log_lines("request refused")[before]["why"]), took

    def try_once(self) -> tuple[int, str]:
        """Status and code of an upgrade that is refused."""
        with pytest.raises(websocket.WebSocketBadStatusException) as caught:
            self.appliance.upgrade(self.token, header=["Accept: application/json"])
        return caught.value.status_code, str(json.loads(caught.value.resp_body or b"{}").get("code"))

    def opened(self, token: str) -> websocket.WebSocket:
        """A browser that is through the opening, and has sent its ClientInit."""
        client = RfbClient(self.appliance.upgrade(token))
        assert client.read(12) == VERSION
        client.send(VERSION)
        assert client.read(2) == b"\x01\x01"
        client.send(b"\x01")
        assert client.read(4) == OK
        client.send(b"\x01")
        return client.websocket


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def guests(computes: tuple[ComputeHost, ComputeHost]) -> Iterator[tuple[Guest, Guest]]:
    """One whose VNC server is the hostile one, and one that is what it seems."""
    yield computes[0].start_guest("hostile", port=PORT), computes[1].start_guest("good")
    for host in computes:
        host.remove_guests()


def start(
    folder: Path,
    network: Network,
    computes: tuple[ComputeHost, ComputeHost],
    authority: Authority,
    schemes: str,
    port: int,
) -> Appliance:
    """A service that finds the first compute's VNC servers at the test's own address."""
    appliance = Appliance(
        folder,
        network.appliance,
        network.appliance_ip,
        computes,
        port=port,
        options={
            "consoleauth": {"token_uses": 0, "token_ttl": 3600},
            "vnc": {"auth_schemes": "none", "vencrypt_ca_certs": authority.certificate},
            "proxy": {"connect_timeout": CONNECT_TIMEOUT},
            f"compute:{computes[0].name}": {
                "server_proxyclient_address": network.private.gateway,
                "auth_schemes": schemes,
            },
        },
    )
    appliance.start()
    return appliance


@pytest.fixture(scope="module")
def scene(
    network: Network,
    computes: tuple[ComputeHost, ComputeHost],
    guests: tuple[Guest, Guest],
    novnc: Path,
    authority: Authority,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Scene]:
    hostile = HostileVnc(network.private.gateway, PORT)
    appliance = start(tmp_path_factory.mktemp("hostile"), network, computes, authority, "vencrypt,none", 6310)
    end = time.monotonic() + 30
    while not is_up(guests[1]):
        assert time.monotonic() < end, "the guest did not boot"
        time.sleep(0.05)
    view = appliance.call("POST", "/v1/consoles", json={"instance": guests[0].uuid, "mode": "view"}).json()["url"]
    try:
        with somebody_else(appliance, guests[1]) as echo:
            yield Scene(appliance, hostile, echo, appliance.token(guests[0].uuid), view.partition("token%3D")[2])
    finally:
        appliance.stop()
        hostile.stop()


@pytest.fixture(autouse=True)
def nothing_is_left(scene: Scene, eventually: Eventually) -> Iterator[None]:
    """After each attack: no session, no connection to the hostile server, and the other console still echoes."""
    files = scene.appliance.open_files()
    yield
    eventually(lambda: scene.appliance.metric("porthole_sessions") == 1)
    eventually(lambda: scene.hostile.open == 0)
    eventually(lambda: scene.appliance.open_files() <= files + KEPT)
    scene.echo.wait_for_more()


class TestEndlessReadOfSilence:
    @pytest.mark.parametrize("where", SILENT)
    def test_a_server_that_falls_silent_is_given_up_when_its_time_is_over(self, scene: Scene, where: str) -> None:
        script, words = SILENT[where]
        refused, why, took = scene.refusal(script)
        assert refused == UNREACHABLE
        assert words in why
        assert took < CONNECT_TIMEOUT + A_LITTLE


class TestEndlessReadOfAClosedTarget:
    """A read that returns nothing is the end, wherever the server closes."""

    @pytest.mark.parametrize("steps", [(*NONE, OK), VENCRYPT, (*OLD, b"\0\0\0\x01")], ids=["none", "vencrypt", "3.3"])
    def test_a_close_after_each_byte_of_the_handshake_is_a_refusal_at_once(
        self, scene: Scene, steps: tuple[bytes | int, ...]
    ) -> None:
        for number, step in enumerate(steps):
            if isinstance(step, int):
                continue
            for size in range(len(step)):
                refused, why, took = scene.refusal(saying(*steps[:number], step[:size], then=close))
                assert refused == UNREACHABLE, why
                assert "it ended the connection before" in why or (number, size) == (0, 0)
                assert took < CONNECT_TIMEOUT + A_LITTLE

    def test_a_close_right_after_the_handshake_ends_the_session_in_words(self, scene: Scene) -> None:
        for token in (scene.token, scene.view):
            scene.hostile.script = saying(*NONE, OK, 1, then=close)
            closed = RfbClient(scene.opened(token)).wait_for_close()
            assert closed.code == 4003
            assert closed.reason


class TestLies:
    @pytest.mark.parametrize("what", LYING)
    def test_a_server_that_claims_without_end_is_refused_and_nothing_is_gathered(self, scene: Scene, what: str) -> None:
        script, refusal, words = LYING[what]
        before = memory(scene.appliance)
        refused, why, took = scene.refusal(script)
        assert refused == refusal
        assert words in why
        assert took < CONNECT_TIMEOUT + A_LITTLE
        assert memory(scene.appliance) - before < 8 * MIB
        assert not scene.appliance.log_lines("forged")


class TestVeNCryptDowngrade:
    """Somebody in between may put the types in another order, and take some away."""

    @pytest.mark.parametrize("offered", [(1, 19), (19, 1), (2, 1, 16, 18, 19), (1,) * 200 + (19,)])
    def test_vencrypt_is_chosen_wherever_it_stands_in_the_offer(self, scene: Scene, offered: tuple[int, ...]) -> None:
        chosen = []

        def script(client: socket.socket) -> None:
            chosen.append(read(client, 1)[0])

        refused, why, _ = scene.refusal(saying(VERSION, 12, bytes([len(offered), *offered]), then=script))
        assert (refused, chosen) == (UNREACHABLE, [19])
        assert "it ended the connection before its VeNCrypt version" in why

    @pytest.mark.parametrize("offered", [(257, 260), (260, 257), (256, 258, 259, 261, 260)])
    def test_x509_none_is_chosen_wherever_it_stands(self, scene: Scene, offered: tuple[int, ...]) -> None:
        chosen = []

        def script(client: socket.socket) -> None:
            chosen.append(struct.unpack("!I", read(client, 4))[0])

        subtypes = bytes([len(offered)]) + struct.pack(f"!{len(offered)}I", *offered)
        refused, _, _ = scene.refusal(saying(*VENCRYPT[:7], subtypes, then=script))
        assert (refused, chosen) == (UNREACHABLE, [260])

    @pytest.mark.parametrize("offered", [(257,), (256, 257, 258, 259), ()])
    def test_tls_without_certificates_is_refused_and_not_fallen_back_from(
        self, scene: Scene, offered: tuple[int, ...]
    ) -> None:
        subtypes = bytes([len(offered)]) + struct.pack(f"!{len(offered)}I", *offered)
        refused, why, _ = scene.refusal(saying(*VENCRYPT[:7], subtypes))
        assert refused == INSECURE
        assert "and neither X509_NONE (260) nor X509_VNC (261)" in why

    def test_where_tls_is_wanted_an_offer_without_it_is_refused_before_anything_is_chosen(
        self,
        scene: Scene,
        network: Network,
        computes: tuple[ComputeHost, ComputeHost],
        guests: tuple[Guest, Guest],
        authority: Authority,
        tmp_path: Path,
    ) -> None:
        chosen = []

        def script(client: socket.socket) -> None:
            chosen.append(client.recv(1))

        strict = start(tmp_path, network, computes, authority, "vencrypt", 6311)
        try:
            inside = Scene(strict, scene.hostile, scene.echo, strict.token(guests[0].uuid), "")
            for offer in (b"\x01\x01", b"\x02\x01\x02", b"\x04\x12\x10\x05\x01"):
                refused, why, _ = inside.refusal(saying(VERSION, 12, offer, then=script))
                assert refused == INSECURE
                assert "this VNC server is without TLS" in why
        finally:
            strict.stop()
        assert set(chosen) <= {b""}


class TestAfterTheHandshake:
    """From here on bytes are the browser's matter; the service holds none of them."""

    @pytest.mark.parametrize("mode", ["full", "view"])
    @pytest.mark.parametrize(
        "script",
        [saying(*NONE, OK, 1, SERVER_INIT + HUGE, then=flood), saying(*NONE, OK, 1, then=flood)],
        ids=["a name of 4 GiB", "garbage"],
    )
    def test_what_it_sends_without_end_is_passed_on_and_not_kept(self, scene: Scene, script: Script, mode: str) -> None:
        scene.hostile.script = script
        before = memory(scene.appliance)
        browser = scene.opened(scene.token if mode == "full" else scene.view)
        received = 0
        while received < 16 * MIB:
            received += len(browser.recv())
        assert memory(scene.appliance) - before < 8 * MIB
        browser.close(timeout=5)

    def test_browsers_that_do_not_read_stop_it_and_nothing_piles_up(self, scene: Scene) -> None:
        scene.hostile.script = saying(*NONE, OK, 1, then=flood)
        scene.opened(scene.token).close(timeout=5)
        before = memory(scene.appliance)
        browsers = [scene.opened(token) for token in (scene.token, scene.view) * 10]
        scene.echo.wait_for_more()
        scene.echo.wait_for_more()
        assert memory(scene.appliance) - before < 8 * MIB, "20 sessions hold 64 KiB each, and their own parts"
        for browser in browsers:
            assert browser.sock is not None
            browser.sock.close()

    @pytest.mark.parametrize("mode", ["full", "view"])
    def test_silence_costs_its_own_session_alone_and_the_browser_can_leave(self, scene: Scene, mode: str) -> None:
        scene.hostile.script = saying(*NONE, OK)
        browser = scene.opened(scene.token if mode == "full" else scene.view)
        scene.echo.wait_for_more()
        browser.close(timeout=5)


def test_200_tries_leave_memory_and_descriptors_as_they_were(scene: Scene) -> None:
    scripts = [script for script, _ in SILENT.values()] + [script for script, _, _ in LYING.values()]
    turn = iter(range(10**6))

    def script(client: socket.socket) -> None:
        scripts[next(turn) % len(scripts)](client)

    scene.hostile.script = script
    with ThreadPoolExecutor(16) as browsers:
        # The process grows with its first tries; what counts is that it does not go on like that.
        tries = [browsers.submit(scene.try_once) for _ in range(200)]
        assert {one.result(120)[0] for one in tries} <= {502, 503}
        before = memory(scene.appliance)
        tries = [browsers.submit(scene.try_once) for _ in range(200)]
        outcomes = {one.result(120) for one in tries}
    assert outcomes == {UNREACHABLE, INSECURE}
    assert memory(scene.appliance) - before < 8 * MIB
