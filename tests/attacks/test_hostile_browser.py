"""A hostile browser, from the first byte of its request to the frames of its session, and thousands of them at once.

Somebody else types at the console of a real guest all the while, and new consoles can be opened.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import websocket

from porthole.server.http import MAX_CONNECTIONS
from tests.attacks.watching import KEPT, MIB, Echo, memory, somebody_else
from tests.hosts import ComputeHost, Guest, Network
from tests.hosts.screen import is_up
from tests.service import Appliance, RfbClient
from tests.unit.proxy.wire import client_frame

Eventually = Callable[[Callable[[], object]], None]

REQUEST_TIMEOUT = 5.0
A_LITTLE = 15.0
"""Seconds beyond a promise that a busy machine may need."""

HALF_OPEN = 10_000
HALF_OPEN_PROGRAM = Path(__file__).with_name("half_open.py")

BINARY, TEXT, CLOSE, PING = 2, 1, 8, 9
UPDATE_REQUEST = b"\x03\x01" + bytes(8)
UPGRADE = (
    "GET /?token={token} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Version: 13\r\n"
)

FRAMES: dict[str, tuple[bytes, int]] = {
    "unmasked": (b"\x82\x05Hello", 1002),
    "oversized, 16 MiB and a byte": (b"\x82\xff" + struct.pack("!Q", 16 * MIB + 1) + bytes(4), 1009),
    "oversized, 2 to the 63": (b"\x82\xff" + struct.pack("!Q", 1 << 63) + bytes(4), 1009),
    "oversized, all ones": (b"\x82\xff" + b"\xff" * 8 + bytes(4), 1009),
    "a length of more bytes than it needs": (b"\x82\xfe\0\x05" + bytes(4) + b"Hello", 1002),
    "a control frame of 126 bytes": (b"\x89\xfe\0\x7e" + bytes(4 + 126), 1002),
    "a control frame in fragments": (client_frame(PING, b"x", fin=False), 1002),
    "reserved bit 1": (b"\xc2\x80" + bytes(4), 1002),
    "reserved bit 2": (b"\xa2\x80" + bytes(4), 1002),
    "reserved bit 3": (b"\x92\x80" + bytes(4), 1002),
    "a reserved opcode": (client_frame(3, b"x"), 1002),
    "a reserved control opcode": (client_frame(11, b"x"), 1002),
    "text": (client_frame(TEXT, b"x"), 1003),
    "a continuation of nothing": (client_frame(0, b"x"), 1002),
    "a message within a message": (client_frame(BINARY, b"", fin=False) + client_frame(BINARY, b"x"), 1002),
    "a close code of one byte": (client_frame(CLOSE, b"\x03"), 1002),
    "a close code that may not be sent": (client_frame(CLOSE, struct.pack("!H", 1005)), 1002),
    "a close reason that is no UTF-8": (client_frame(CLOSE, struct.pack("!H", 1000) + b"\xff"), 1007),
}
"""What a browser sends, and the code that its session ends with."""

SLOW: dict[str, bytes] = {
    "nothing": b"",
    "a request line": b"GET /" + b"a" * 4000,
    "headers": b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-Slow: x\r\n" * 400,
    "an upgrade": UPGRADE.format(token="x").encode() + b"X-Slow: x\r\n" * 400,
    "a body": b"POST /v1/session HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 4000\r\n\r\n"
    + b" " * 4000,
    "a chunked body": b"POST /v1/session HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 700,
}
"""What drips; all of it would take far longer than the time that there is."""


@pytest.fixture(scope="module")
def guest(computes: tuple[ComputeHost, ComputeHost]) -> Iterator[Guest]:
    yield computes[0].start_guest("good")
    for host in computes:
        host.remove_guests()


@pytest.fixture(scope="module")
def appliance(
    network: Network, computes: tuple[ComputeHost, ComputeHost], guest: Guest, novnc: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Appliance]:  # fmt: skip
    options: dict[str, dict[str, object]] = {
        "consoleauth": {"token_uses": 0, "token_ttl": 3600},
        "proxy": {"request_timeout": REQUEST_TIMEOUT},
    }
    folder = tmp_path_factory.mktemp("browsers")
    appliance = Appliance(folder, network.appliance, network.appliance_ip, computes, port=6320, options=options)
    appliance.start()
    end = time.monotonic() + 30
    while not is_up(guest):
        assert time.monotonic() < end, "the guest did not boot"
        time.sleep(0.05)
    yield appliance
    appliance.stop()


@pytest.fixture(scope="module")
def echo(appliance: Appliance, guest: Guest) -> Iterator[Echo]:
    with somebody_else(appliance, guest) as echo:
        yield echo


@pytest.fixture(autouse=True)
def nothing_is_left(appliance: Appliance, echo: Echo, eventually: Eventually) -> Iterator[None]:
    """After each attack: no session and no connection of it, and the other console still echoes."""
    eventually(lambda: appliance.metric("porthole_sessions") == 1)
    files = appliance.open_files()
    yield
    eventually(lambda: appliance.metric("porthole_sessions") == 1)
    eventually(lambda: appliance.open_files() <= files + KEPT)
    echo.wait_for_more()


@pytest.fixture
def console(appliance: Appliance, guest: Guest) -> RfbClient:
    """The attacker's own console."""
    return appliance.open_console(guest.uuid)


def raw(client: RfbClient) -> socket.socket:
    """What is below the WebSocket, for bytes that no library sends."""
    assert isinstance(client.websocket.sock, socket.socket)
    return client.websocket.sock


class TestFrames:
    @pytest.mark.parametrize("what", FRAMES)
    def test_what_is_no_frame_of_rfc_6455_ends_its_own_session_with_a_code(self, console: RfbClient, what: str) -> None:
        sent, code = FRAMES[what]
        raw(console).sendall(sent)
        closed = console.wait_for_close()
        assert closed.code == code
        assert closed.reason

    def test_a_message_of_fragments_without_end_is_passed_on_and_never_gathered(
        self, appliance: Appliance, console: RfbClient
    ) -> None:
        before = memory(appliance)
        side = raw(console)
        side.sendall(client_frame(BINARY, b"", fin=False))
        fragment = b"".join(client_frame(0, bytes([byte]), fin=False) for byte in UPDATE_REQUEST)
        for _ in range(2000):
            side.sendall(fragment)
            side.sendall(client_frame(0, b"", fin=False) * 5)
        assert memory(appliance) - before < 8 * MIB
        console.websocket.close(timeout=5)

    def test_a_frame_of_16_mib_that_never_ends_is_passed_on_and_never_gathered(
        self, appliance: Appliance, console: RfbClient
    ) -> None:
        before = memory(appliance)
        side = raw(console)
        side.sendall(b"\x82\xff" + struct.pack("!Q", 16 * MIB) + bytes(4))
        for _ in range(1000):
            side.sendall(UPDATE_REQUEST * 100)
        assert memory(appliance) - before < 8 * MIB
        side.close()

    def test_a_storm_of_pings_is_answered_with_the_last_pong_that_fits(
        self, appliance: Appliance, console: RfbClient
    ) -> None:
        before = memory(appliance)
        side = raw(console)
        side.settimeout(1)
        pings = client_frame(PING, b"p" * 125) * 100
        with contextlib.suppress(TimeoutError):
            for _ in range(1000):
                side.sendall(pings)
        assert memory(appliance) - before < 8 * MIB
        side.close()

    @pytest.mark.parametrize("first", [b"\xff" * 12, b"RFB 003.008\n\x02", b"GET / HTTP/1.1\r\n\r\n"])
    def test_what_is_no_rfb_ends_before_the_guest_sees_a_byte(
        self, appliance: Appliance, guest: Guest, first: bytes
    ) -> None:
        client = RfbClient(appliance.upgrade(appliance.token(guest.uuid)))
        client.send(first)
        assert client.wait_for_close().code == 1002


class TestSlowLoris:
    @pytest.mark.parametrize("what", SLOW)
    def test_a_request_that_drips_is_ended_by_request_timeout(self, appliance: Appliance, what: str) -> None:
        side = socket.create_connection((appliance.ip, appliance.port), timeout=0.2)
        began = time.monotonic()
        data = SLOW[what]
        for number in range(4000):
            assert time.monotonic() - began < REQUEST_TIMEOUT + A_LITTLE
            try:
                if number < len(data):
                    side.sendall(data[number : number + 1])
                if not side.recv(4096):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        side.close()
        assert time.monotonic() - began > REQUEST_TIMEOUT - 1, "and not before"

    def test_headers_without_end_are_refused_and_never_gathered(self, appliance: Appliance) -> None:
        before = memory(appliance)
        with socket.create_connection((appliance.ip, appliance.port), timeout=10) as side:
            side.sendall(UPGRADE.format(token="x").encode())
            with contextlib.suppress(OSError):
                for _ in range(1000):
                    side.sendall(b"X: " + b"y" * 60_000 + b"\r\n")
        assert memory(appliance) - before < 8 * MIB

    def test_upgrades_without_end_are_each_refused_in_words(
        self, appliance: Appliance, echo: Echo, eventually: Eventually
    ) -> None:
        def refuse(times: int) -> None:
            for number in range(times):
                with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
                    appliance.upgrade(f"{number}.y.z")

        refuse(1000)  # the process grows with the first of them
        before = memory(appliance)
        refuse(1000)
        assert memory(appliance) - before < 8 * MIB
        echo.wait_for_more()


class Attackers:
    """Clients with several addresses, in the browser's namespace."""

    def __init__(self, network: Network, appliance: Appliance) -> None:
        self._network = network
        self._appliance = appliance
        self._addresses = [network.public.ip(number) for number in range(101, 105)]
        for number in range(101, 105):
            network.browser.run(["ip", "addr", "add", network.public.cidr(number), "dev", "eth0"], check=True)

    def start(self, sent: bytes, count: int = HALF_OPEN, *, addresses: int = 4) -> subprocess.Popen[str]:
        """So many connections, each of which sends this."""
        command = [
            *(sys.executable, str(HALF_OPEN_PROGRAM), self._appliance.ip, str(self._appliance.port), str(count)),
            *(sent.hex(), *self._addresses[:addresses]),
        ]
        return self._network.browser.popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def end(self) -> None:
        """Take the addresses away."""
        for number in range(101, 105):
            self._network.browser.run(["ip", "addr", "del", self._network.public.cidr(number), "dev", "eth0"])


@pytest.fixture
def attackers(network: Network, appliance: Appliance) -> Iterator[Attackers]:
    attackers = Attackers(network, appliance)
    yield attackers
    attackers.end()


def said(process: subprocess.Popen[str]) -> str:
    """The next line that a process prints."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


class TestTenThousandHalfOpenConnections:
    """900 of them are held at most (``MAX_CONNECTIONS``), so memory follows that number and not theirs."""

    PER_CONNECTION = 64 * 1024
    """Bytes: a greenlet's stack, a reader's buffer and what TCP's objects take, and as much again."""

    @pytest.mark.parametrize("sent", [b"", UPGRADE.format(token="x").encode()], ids=["mute", "half an upgrade"])
    def test_memory_stays_flat_and_others_go_on_and_each_is_ended(
        self, appliance: Appliance, attackers: Attackers, guest: Guest, echo: Echo, sent: bytes
    ) -> None:
        idle = memory(appliance)
        peaks = []
        for _ in range(2):
            process = attackers.start(sent)
            assert said(process) == "open"
            appliance.open_console(guest.uuid).close()
            peaks.append(memory(appliance))
            assert appliance.open_files() < MAX_CONNECTIONS + 300
            echo.wait_for_more()
            assert said(process) == f"ended {HALF_OPEN}"
            process.communicate()
        assert peaks[0] - idle < MAX_CONNECTIONS * self.PER_CONNECTION
        assert peaks[1] - peaks[0] < 8 * MIB, "10,000 more cost nothing more"

    def test_large_heads_cost_what_900_of_them_cost(
        self, appliance: Appliance, attackers: Attackers, echo: Echo
    ) -> None:
        idle = memory(appliance)
        process = attackers.start(b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * 30_000, 3000)
        assert said(process) == "open"
        assert memory(appliance) - idle < MAX_CONNECTIONS * (self.PER_CONNECTION + 64 * 1024)
        assert said(process) == "ended 3000"
        process.communicate()
        echo.wait_for_more()

    def test_a_slow_but_honest_client_keeps_its_place_while_they_come(
        self, appliance: Appliance, attackers: Attackers
    ) -> None:
        with socket.create_connection((appliance.ip, appliance.port), timeout=10) as honest:
            honest.sendall(b"GET /healthz HTTP/1.1\r\n")
            process = attackers.start(b"GET / HT", 2000, addresses=1)
            assert said(process) == "open"
            honest.sendall(b"Host: x\r\nConnection: close\r\n\r\n")
            assert honest.recv(4096).startswith(b"HTTP/1.1 200 ")
        process.communicate()

    def test_a_new_console_can_be_opened_again_and_again_meanwhile(
        self, appliance: Appliance, attackers: Attackers, guest: Guest
    ) -> None:
        process = attackers.start(b"", 5000)
        opened = 0
        for _ in range(10):
            client = appliance.open_console(guest.uuid)
            assert client.name == "QEMU (good)"
            client.close()
            opened += 1
        assert opened == 10
        process.communicate()
