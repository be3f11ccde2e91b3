"""A display on a UNIX socket, of a libvirt on the appliance's own machine and of one elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from porthole.proxy.errors import CloseCode
from tests.hosts import ComputeHost, Guest
from tests.service import Appliance
from tests.service.pki import Pki

Hosts = tuple[ComputeHost, ComputeHost]
Eventually = Callable[[Callable[[], object]], None]
Start = Callable[..., Appliance]


@pytest.fixture
def local(start_appliance: Start, hosts: Hosts) -> Callable[..., Appliance]:
    """Starts a service whose libvirt is the first host's, over its UNIX socket."""

    def start(**vnc: object) -> Appliance:
        compute = {"connection_uri": hosts[0].local_uri, "server_proxyclient_address": "192.0.2.1"}
        return start_appliance(
            options={"libvirt": {"allow_plain_tcp": "true"}, "vnc": vnc, f"compute:{hosts[0].name}": compute}
        )

    return start


def start_guest(host: ComputeHost, password: str | None = None) -> tuple[Guest, Path]:
    """A guest whose display is on a socket, and the socket."""
    path = host.folder / "vnc.sock"
    path.unlink(missing_ok=True)
    return host.start_guest("web-1", vnc_socket=path, password=password), path


def test_it_works_end_to_end(local: Callable[..., Appliance], hosts: Hosts) -> None:
    guest, path = start_guest(hosts[0])
    assert path.is_socket()
    appliance = local(auth_schemes="none")
    client = appliance.open_console(guest.uuid)
    assert client.name == "QEMU (web-1)"
    client.request_update()
    assert client.raw_update() == client.width * client.height * 4
    end = time.monotonic() + 30
    while "q" not in guest.serial_text():
        assert time.monotonic() < end
        client.key(ord("q"))
        time.sleep(0.2)
    guest.destroy()
    assert client.wait_for_close().code == CloseCode.INSTANCE_STOPPED


def test_tls_and_password_are_as_elsewhere(local: Callable[..., Appliance], hosts: Hosts, tmp_path: Path) -> None:
    pki = Pki(tmp_path)
    hosts[0].use_vnc_tls(pki.compute("server", hosts[0].name))
    guest, _ = start_guest(hosts[0], password="s3cret-1")
    appliance = local(**pki.options())
    client = appliance.open_console(guest.uuid)
    client.request_update()
    assert client.raw_update() > 0
    client.close()
    assert appliance.log_lines("session admitted")[-1]["vnc_security"] == "vencrypt"


def test_one_of_another_machine_is_refused_with_a_sentence(appliance: Appliance, hosts: Hosts) -> None:
    guest, path = start_guest(hosts[0])
    answer = appliance.call("POST", "/v1/consoles", json={"instance": guest.uuid})
    assert answer.status_code == 400
    problem = answer.json()
    assert problem["code"] == "console-type-unavailable"
    assert problem["detail"] == (
        "Unavailable console type novnc. The instance's VNC display listens on a UNIX socket of its compute host, "
        "which is another machine. An administrator can give it a TCP port."
    )
    assert str(path) not in answer.text
