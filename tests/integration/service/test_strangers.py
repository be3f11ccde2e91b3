"""VNC clients that come past the appliance, as libvirt sees them: recorded once. The appliance's own never are."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import websocket

from tests.hosts import ComputeHost, Guest, Network
from tests.service import Appliance
from tests.service.direct import DirectClient

Hosts = tuple[ComputeHost, ComputeHost]
Eventually = Callable[..., None]
StartAppliance = Callable[..., Appliance]

TOTAL = "porthole_strangers_total"
OWN = 100


def recorded(appliance: Appliance, guest: Guest) -> list[dict[str, Any]]:
    """What the audit log says of strangers at a guest's screen."""
    path = Path(appliance.folder) / "audit.log"
    path = path if path.exists() else appliance.folder / "state" / "audit.log"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [line for line in lines if line["event"] == "stranger-on-screen" and line["instance"] == guest.uuid]


def files_of_workers(appliance: Appliance) -> list[int]:
    """Open files of each worker; a session has two at least."""
    return [len(os.listdir(f"/proc/{pid}/fd")) for pid in appliance.pids()[1:]]


def test_a_client_that_came_past_the_appliance_is_recorded_once_with_its_address(
    appliance: Appliance, hosts: Hosts, eventually: Eventually
) -> None:
    guest = hosts[0].start_guest("web-1")
    before = appliance.metric(TOTAL)
    with DirectClient(hosts[0].ip, guest.port) as stranger:
        stranger.open()
        eventually(lambda: recorded(appliance, guest))
        # A second one is judged after the first, so whatever there is of the first is there with it.
        with DirectClient(hosts[0].ip, guest.port) as other:
            eventually(lambda: len(recorded(appliance, guest)) > 1)
    first, second = recorded(appliance, guest)
    assert (first["client"], first["details"]["client_port"]) == (stranger.address[0], str(stranger.address[1]))
    assert (first["who"]["user"], first["compute"]) == ("", hosts[0].name)
    assert (first["result"], first["reason"]) == ("success", "has the screen")
    assert first["details"]["vnc_server"] == f"{hosts[0].ip} port {guest.port}"
    assert (second["details"]["client_port"], second["result"]) == (str(other.address[1]), "failed")
    assert second["reason"] == "connected"
    assert appliance.metric(TOTAL) == before + 2
    warned = [line for line in appliance.log_lines("stranger at a screen") if line["instance"] == guest.uuid]
    assert [line["level"] for line in warned] == ["warning", "warning"]


def test_one_that_takes_its_time_is_recorded_again_when_it_has_the_screen(
    appliance: Appliance, hosts: Hosts, eventually: Eventually
) -> None:
    guest = hosts[0].start_guest("web-1")
    with DirectClient(hosts[0].ip, guest.port) as stranger:
        eventually(lambda: recorded(appliance, guest))
        stranger.open()
        eventually(lambda: len(recorded(appliance, guest)) > 1)
    assert [line["reason"] for line in recorded(appliance, guest)] == ["connected", "has the screen"]


def test_a_hundred_own_connections_of_two_processes_are_none_and_a_stranger_is_told_of_by_one_of_them(
    start_appliance: StartAppliance, hosts: Hosts, eventually: Eventually, tmp_path: Path
) -> None:
    guest = hosts[0].start_guest("web-1")
    services = [
        start_appliance(
            options={
                "DEFAULT": {"state_path": tmp_path / "shared"},
                "audit": {"path": tmp_path / f"appliance620{number}" / "audit.log"},
                "proxy": {"connect_timeout": "1.5"},
            }
        )
        for number in (0, 1)
    ]
    lasting = services[0].open_console(guest.uuid)
    # Those that fail in the opening: QEMU goes on only when they were given up, and libvirt tells of them then.
    token = services[0].token(guest.uuid)
    os.kill(guest.pid, signal.SIGSTOP)
    with pytest.raises(websocket.WebSocketBadStatusException, match="503"):
        services[0].upgrade(token)
    os.kill(guest.pid, signal.SIGCONT)
    for number in range(OWN):
        services[number % 2].open_console(guest.uuid).close()

    # What was seen first is judged first.
    with DirectClient(hosts[0].ip, guest.port) as stranger:
        stranger.open()
        eventually(lambda: any(recorded(service, guest) for service in services))
        with DirectClient(hosts[0].ip, guest.port) as other:
            other.open()
            eventually(lambda: sum(len(recorded(service, guest)) for service in services) > 1)
    found = [line["details"]["client_port"] for service in services for line in recorded(service, guest)]
    assert sorted(found) == sorted(str(client.address[1]) for client in (stranger, other))
    assert sum(service.metric(TOTAL) for service in services) == 2
    lasting.request_update()
    assert lasting.raw_update() > 0
    lasting.close()


def test_own_connections_of_two_workers_are_none_and_a_stranger_is_told_of_by_one_of_them(
    start_appliance: StartAppliance, hosts: Hosts, eventually: Eventually
) -> None:
    guest = hosts[0].start_guest("web-1")
    appliance = start_appliance(options={"DEFAULT": {"workers": 2}})
    before = files_of_workers(appliance)
    lasting = [appliance.open_console(guest.uuid) for _ in range(8)]
    assert all(now > then for now, then in zip(files_of_workers(appliance), before, strict=True)), "both have some"
    for _ in range(OWN):
        appliance.open_console(guest.uuid).close()

    with DirectClient(hosts[0].ip, guest.port) as stranger:
        stranger.open()
        eventually(lambda: recorded(appliance, guest))
        with DirectClient(hosts[0].ip, guest.port) as other:
            other.open()
            eventually(lambda: len(recorded(appliance, guest)) > 1)
    found = [line["details"]["client_port"] for line in recorded(appliance, guest)]
    assert sorted(found) == sorted(str(client.address[1]) for client in (stranger, other))
    assert appliance.metric(TOTAL) == 2
    for session in lasting:
        session.close()


def test_libvirtd_is_started_anew_and_strangers_are_seen_as_before(
    appliance: Appliance, hosts: Hosts, eventually: Eventually
) -> None:
    guest = hosts[0].start_guest("web-1")
    session = appliance.open_console(guest.uuid)
    hosts[0].stop()
    hosts[0].start()

    def connected() -> bool:
        return not appliance.call("GET", "/v1/instances", "ann").json()["unreachable_computes"]

    eventually(lambda: appliance.call("POST", "/v1/consoles", json={"instance": guest.uuid}).status_code == 201)
    eventually(connected)
    with DirectClient(hosts[0].ip, guest.port) as stranger:
        stranger.open()
        eventually(lambda: recorded(appliance, guest))
    (line,) = recorded(appliance, guest)
    assert line["details"]["client_port"] == str(stranger.address[1])
    session.close()


def test_a_known_client_is_none(
    start_appliance: StartAppliance, network: Network, hosts: Hosts, eventually: Eventually
) -> None:
    guest = hosts[0].start_guest("web-1")
    appliance = start_appliance(options={"vnc": {"known_clients": network.private.gateway}})
    with DirectClient(hosts[0].ip, guest.port) as known:
        assert known.address[0] == network.private.gateway
        known.open()
        # One that is not known is judged after it.
        connect = f"import socket; socket.create_connection(('{hosts[0].ip}', {guest.port}), 10).recv(12)"
        hosts[1].namespace.run([sys.executable, "-c", connect], check=True, timeout=30)
        eventually(lambda: recorded(appliance, guest))
    assert [line["client"] for line in recorded(appliance, guest)] == [hosts[1].ip]
