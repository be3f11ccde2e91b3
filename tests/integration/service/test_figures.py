"""Figures of the main job, printed and not asserted: machines are shared and noisy.

How each is measured is said where it is printed. Ratios to peers are the business of a benchmark.
"""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.hosts import ComputeHost
from tests.hosts.screen import is_up
from tests.service import Appliance, RfbClient

Hosts = tuple[ComputeHost, ComputeHost]
ANY_NUMBER = {"consoleauth": {"token_uses": 0}}
Say = Callable[[str], None]

GUESTS = 10
SESSIONS_A_GUEST = 30
"""QEMU throws out the oldest client of a display above 32 (``connections_limit`` in its ui/vnc.c)."""

OPENED = 400
CLIENTS = 8


def pss(pid: int) -> int:
    """Proportional set size of a process in KiB."""
    match = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    assert match
    return int(match[1])


def test_from_asking_for_a_url_to_the_first_pixels(
    appliance: Appliance, hosts: Hosts, progress: Say, eventually: Callable[[Callable[[], object]], None]
) -> None:
    guest = hosts[0].start_guest("web-1")
    eventually(lambda: is_up(guest))
    appliance.open_console(guest.uuid).close()
    seconds = []
    for _ in range(20):
        started = time.perf_counter()
        client = appliance.open_console(guest.uuid)
        client.request_update()
        assert client.raw_update() > 0
        seconds.append(time.perf_counter() - started)
        client.close()
    median, worst = statistics.median(seconds) * 1000, max(seconds) * 1000
    progress(
        f"figure: URL asked for (remembered sign-in) to the first whole framebuffer, with token, libvirt look-ups, "
        f"upgrade and RFB handshake: median {median:.0f} ms, worst {worst:.0f} ms of {len(seconds)}"
    )


def test_memory_of_an_idle_session(start_appliance: Callable[..., Appliance], hosts: Hosts, progress: Say) -> None:
    appliance = start_appliance(options=ANY_NUMBER)
    guests = [hosts[number % 2].start_guest(f"guest-{number}") for number in range(GUESTS)]
    tokens = [appliance.token(guest.uuid) for guest in guests]
    for token in tokens:
        RfbClient(appliance.upgrade(token)).handshake().close()
    workers = appliance.pids()[1:]
    before = sum(map(pss, workers))
    clients = [RfbClient(appliance.upgrade(token)) for token in tokens for _ in range(SESSIONS_A_GUEST)]
    for client in clients:
        client.handshake()
    each = (sum(map(pss, workers)) - before) / len(clients)
    progress(f"figure: {each:.1f} KiB of proportional set size an idle session, over {len(clients)} of them")
    assert appliance.metric("porthole_sessions") == len(clients)
    for client in clients:
        client.close()


def test_sessions_opened_a_second(start_appliance: Callable[..., Appliance], hosts: Hosts, progress: Say) -> None:
    appliance = start_appliance(options=ANY_NUMBER)
    guest = hosts[0].start_guest("web-1")
    token = appliance.token(guest.uuid)

    def open_one(_number: int) -> None:
        client = RfbClient(appliance.upgrade(token))
        assert client.read(12) == b"RFB 003.008\n"
        client.close()

    open_one(0)
    with ThreadPoolExecutor(CLIENTS) as pool:
        started = time.perf_counter()
        list(pool.map(open_one, range(OPENED)))
        elapsed = time.perf_counter() - started
    progress(
        f"figure: {OPENED / elapsed:.0f} sessions a second opened to the first RFB bytes and closed, by {CLIENTS} "
        "threads of one Python client that shares the machine with service and guest"
    )
