"""VNC over TLS between the appliance and real QEMUs: certificates on both sides, and each of them wrong once."""

from __future__ import annotations

import datetime
import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import websocket

from tests.certificates import make_certificate
from tests.hosts import ComputeHost, Guest, Network
from tests.hosts.screen import is_up
from tests.service import Appliance
from tests.service.pki import Pki
from tests.service.tap import DATA, HANDSHAKE, tap, tls_records

Hosts = tuple[ComputeHost, ComputeHost]
Eventually = Callable[[Callable[[], object]], None]
Start = Callable[..., Appliance]


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


def refusal(appliance: Appliance, guest: Guest) -> tuple[int, str, str]:
    """How an upgrade is refused: status, the code of the problem, and why by the log."""
    with pytest.raises(websocket.WebSocketBadStatusException) as caught:
        appliance.upgrade(appliance.token(guest.uuid))
    body = bytes(caught.value.resp_body or b"").decode()
    (line,) = appliance.log_lines("VNC server not secure")
    assert (line["instance"], line["compute"]) == (guest.uuid, guest.host.name)
    assert guest.host.ip not in body
    code = "screen-not-secure" if '"code":"screen-not-secure"' in body.replace(" ", "") else body
    return caught.value.status_code, code, line["why"]


class TestPicture:
    def test_picture_and_keys(
        self, start_appliance: Start, hosts: Hosts, pki: Pki, network: Network, eventually: Eventually
    ) -> None:
        hosts[0].use_vnc_tls(pki.compute("server", hosts[0].name))
        guest = hosts[0].start_guest("web-1")
        eventually(lambda: is_up(guest))
        gateway = network.private.gateway
        appliance = start_appliance(
            options={"vnc": pki.options(), f"compute:{hosts[0].name}": {"server_proxyclient_address": gateway}}
        )
        with tap((gateway, guest.port), (hosts[0].ip, guest.port)) as wire:
            client = appliance.open_console(guest.uuid)
            client.request_update()
            assert client.raw_update() == client.width * client.height * 4
            end = time.monotonic() + 30
            while "q" not in guest.serial_text():
                assert time.monotonic() < end
                client.key(ord("q"))
                time.sleep(0.2)
            client.close()
        assert client.name == "QEMU (web-1)"
        (line,) = appliance.log_lines("session admitted")
        assert line["vnc_security"] == "vencrypt"
        # What whoever sits in between sees: the choice of TLS, then TLS and nothing else.
        ours = b"RFB 003.008\n" + b"\x13" + b"\0\2" + struct.pack("!I", 260)
        theirs = b"RFB 003.008\n" + b"\1\x13" + b"\0\2" + b"\0\1" + struct.pack("!I", 260) + b"\1"
        assert wire.from_client.startswith(ours)
        assert wire.from_server.startswith(theirs)
        for data in (bytes(wire.from_client[len(ours) :]), bytes(wire.from_server[len(theirs) :])):
            kinds = tls_records(data)
            assert kinds[0] == HANDSHAKE
            assert kinds[-1] == DATA
        assert b"QEMU (web-1)" not in wire.from_server

    def test_tls_to_the_browser_too(
        self, start_appliance: Start, hosts: Hosts, pki: Pki, network: Network, tmp_path: Path
    ) -> None:
        hosts[0].use_vnc_tls(pki.compute("both", hosts[0].ip))
        guest = hosts[0].start_guest("web-1")
        appliance = start_appliance(
            options={"vnc": pki.options(), f"compute:{hosts[0].name}": {"tls_server_name": hosts[0].ip}},
            certificate=make_certificate(tmp_path, network.appliance_ip),
        )
        client = appliance.open_console(guest.uuid)
        for _ in range(5):
            client.request_update()
            assert client.raw_update() == client.width * client.height * 4
        client.close()

    def test_permissive_takes_guests_of_both_kinds_on_one_compute(
        self, start_appliance: Start, hosts: Hosts, pki: Pki
    ) -> None:
        old = hosts[0].start_guest("started-before-tls")
        hosts[0].use_vnc_tls(pki.compute("server", hosts[0].name))
        new = hosts[0].start_guest("started-after")
        # The other compute has no TLS at all, and insists on it.
        left_out = hosts[1].start_guest("left-out")
        permissive = {f"compute:{hosts[0].name}": {"auth_schemes": "vencrypt,none"}}
        appliance = start_appliance(options={"vnc": pki.options(), **permissive})
        for guest, security in ((old, "none"), (new, "vencrypt")):
            client = appliance.open_console(guest.uuid)
            client.request_update()
            assert client.raw_update() > 0
            client.close()
            assert appliance.log_lines("session admitted")[-1]["vnc_security"] == security
        status, code, why = refusal(appliance, left_out)
        assert (status, code) == (502, "screen-not-secure")
        assert "this VNC server is without TLS" in why


class TestRefused:
    """Each before the 101, with a sentence in the log that says why."""

    @pytest.fixture
    def secure(self, hosts: Hosts) -> Callable[[Path], Guest]:
        """Starts a guest whose VNC server has the certificate of that folder."""

        def start(folder: Path) -> Guest:
            hosts[0].use_vnc_tls(folder)
            return hosts[0].start_guest("web-1")

        return start

    def test_the_certificate_of_another_authority(
        self, start_appliance: Start, secure: Callable[[Path], Guest], hosts: Hosts, pki: Pki
    ) -> None:
        guest = secure(pki.compute("foreign", hosts[0].name, issuer=pki.stranger))
        status, code, why = refusal(start_appliance(options={"vnc": pki.options()}), guest)
        assert (status, code) == (502, "screen-not-secure")
        assert "its certificate is not accepted: unable to get local issuer certificate" in why

    def test_the_certificate_of_another_compute(
        self, start_appliance: Start, secure: Callable[[Path], Guest], hosts: Hosts, pki: Pki
    ) -> None:
        guest = secure(pki.compute("neighbour", hosts[1].name, hosts[1].ip))
        status, code, why = refusal(start_appliance(options={"vnc": pki.options()}), guest)
        assert (status, code) == (502, "screen-not-secure")
        assert f"Hostname mismatch, certificate is not valid for '{hosts[0].name}'" in why

    def test_a_certificate_that_has_expired(self, start_appliance: Start, hosts: Hosts, pki: Pki) -> None:
        appliance = start_appliance(options={"vnc": pki.options()})
        hosts[0].use_vnc_tls(pki.compute("expired", hosts[0].name))
        # QEMU does not start with an expired certificate. One that runs goes on with it.
        good_for = datetime.timedelta(seconds=5)
        pki.compute("expired", hosts[0].name, good_for=good_for)
        guest = hosts[0].start_guest("web-1")
        time.sleep(good_for.total_seconds() + 1)
        status, code, why = refusal(appliance, guest)
        assert (status, code) == (502, "screen-not-secure")
        assert "its certificate is not accepted: certificate has expired" in why

    @pytest.mark.parametrize("whose", ["nobody's", "a stranger's"])
    def test_a_client_certificate_that_qemu_does_not_accept(
        self, start_appliance: Start, secure: Callable[[Path], Guest], hosts: Hosts, pki: Pki, whose: str
    ) -> None:
        guest = secure(pki.compute("server", hosts[0].name))
        options = pki.options(client=pki.stranger_client)
        if whose == "nobody's":
            del options["vencrypt_client_cert"], options["vencrypt_client_key"]
        status, code, why = refusal(start_appliance(options={"vnc": options}), guest)
        assert (status, code) == (502, "screen-not-secure")
        assert "does not accept our certificate" in why or "TLS failed" in why

    def test_tls_where_none_is_wanted(
        self, start_appliance: Start, secure: Callable[[Path], Guest], hosts: Hosts, pki: Pki
    ) -> None:
        guest = secure(pki.compute("server", hosts[0].name))
        status, code, why = refusal(start_appliance(), guest)
        assert (status, code) == (502, "screen-not-secure")
        assert "offers VENCRYPT (19), and auth_schemes of the compute is none: put vencrypt into auth_schemes" in why
