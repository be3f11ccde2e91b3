"""Tokens and passwords appear in no log, error, metric or process list."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Callable
from pathlib import Path

import libvirt_qemu
import websocket

from tests.hosts import ComputeHost
from tests.service import Appliance

Hosts = tuple[ComputeHost, ComputeHost]

LOOK_UP = {"OpenStack-API-Version": "compute 2.31"}


def test_a_day_in_the_services_life_leaves_no_secret_behind(appliance: Appliance, hosts: Hosts) -> None:
    guest = hosts[0].start_guest("web-1")
    token = appliance.token(guest.uuid)
    appliance.open_console(guest.uuid).close()
    answers = [
        appliance.call("POST", "/v1/session", None, json={"username": "max", "password": appliance.passwords["max"]}),
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
    secrets += [base64.b64encode(f"{name}:{secret}".encode()).decode() for name, secret in appliance.passwords.items()]
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
