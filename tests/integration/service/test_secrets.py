"""The files that hold secrets are private, and VNC passwords go nowhere.

Where tokens and the users' passwords do not get to is in tests/attacks/test_regressions.py.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import libvirt_qemu
import websocket

from tests.hosts import ComputeHost
from tests.service import Appliance

Hosts = tuple[ComputeHost, ComputeHost]

LOOK_UP = {"OpenStack-API-Version": "compute 2.31"}


def test_files_it_makes_are_private(appliance: Appliance) -> None:
    keys = [appliance.folder / name for name in ("token.keys", "audit.keys")]
    for path in [*keys, *(appliance.folder / "state").iterdir()]:
        assert path.stat().st_mode & 0o007 == 0, path


def test_a_vnc_password_goes_nowhere(start_appliance: Callable[..., Appliance], hosts: Hosts) -> None:
    secret, wrong = "s3cret-1", "wr0ng-pw"
    guests = [hosts[0].start_guest(f"web-{number}", password=secret) for number in (1, 2)]
    guests[1].set_vnc_password(wrong)
    set_by_hand = '{"execute": "set_password", "arguments": {"protocol": "vnc", "password": "another"}}'
    libvirt_qemu.qemuMonitorCommand(guests[1].domain, set_by_hand, 0)
    appliance = start_appliance(options={"DEFAULT": {"debug": "true"}, "vnc": {"auth_schemes": "vnc"}})
    client = appliance.open_console(guests[0].uuid)
    with contextlib.suppress(websocket.WebSocketBadStatusException):
        appliance.upgrade(appliance.token(guests[1].uuid)).close()
    token = appliance.token(guests[0].uuid)
    answers = [
        appliance.call("GET", "/v1/instances", "ann"),
        appliance.call("GET", f"/v1/instances/{guests[0].uuid}", "ann"),
        appliance.call("GET", "/v1/sessions", "ann"),
        appliance.call("POST", "/v1/consoles/check", None, json={"token": token}),
        appliance.call("GET", "/v2.1/servers/detail", "ann"),
        appliance.call("GET", f"/v2.1/os-console-auth-tokens/{token}", "ann", headers=LOOK_UP),
    ]
    assert answers[-1].status_code == 200
    seen = [appliance.log(), appliance.metrics(), *(answer.text + str(answer.headers) for answer in answers)]
    files = [path.read_bytes() for path in (appliance.folder / "state").iterdir() if path.is_file()]
    for pid in appliance.pids():
        files += [Path(f"/proc/{pid}/cmdline").read_bytes(), Path(f"/proc/{pid}/environ").read_bytes()]
    client.close()
    assert appliance.log_lines("VNC password not accepted")
    for password in (secret, wrong):
        assert not [text for text in seen if password in text]
        assert not [data for data in files if password.encode() in data]
