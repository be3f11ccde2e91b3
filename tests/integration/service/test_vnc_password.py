"""Guests with a VNC password: the appliance has it from libvirt and answers, and the browser is asked for nothing."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable

import libvirt_qemu
import pytest
import websocket

from porthole.proxy.rfb.password import VncPassword
from tests.hosts import ComputeHost, Guest, Network
from tests.service import Appliance
from tests.service.pki import Pki
from tests.service.rfb import RfbClient
from tests.service.tap import DATA, HANDSHAKE, tap, tls_records

Hosts = tuple[ComputeHost, ComputeHost]
Start = Callable[..., Appliance]

SECRET = "s3cret-1"
GREETING = b"RFB 003.008\n"


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


def refusal(appliance: Appliance, guest: Guest) -> tuple[int, str, str]:
    """How an upgrade is refused: status, the code of the problem, and why by the log."""
    with pytest.raises(websocket.WebSocketBadStatusException) as caught:
        appliance.upgrade(appliance.token(guest.uuid), header=["Accept: application/json"])
    problem = json.loads(caught.value.resp_body or b"")
    assert guest.host.ip not in str(problem)
    (line,) = appliance.log_lines("VNC password not accepted") or appliance.log_lines("VNC server not secure")
    assert (line["instance"], line["compute"]) == (guest.uuid, guest.host.name)
    assert SECRET not in appliance.log()
    return caught.value.status_code, problem["code"], line["why"]


def set_by_hand(guest: Guest, password: str) -> None:
    """Change the password through QEMU's monitor, of which libvirt learns nothing."""
    command = {"execute": "set_password", "arguments": {"protocol": "vnc", "password": password}}
    assert json.loads(libvirt_qemu.qemuMonitorCommand(guest.domain, json.dumps(command), 0))["return"] == {}


def sees_none(appliance: Appliance, guest: Guest) -> RfbClient:
    """Open a console byte by byte: the browser is offered security type None alone, and no challenge comes."""
    client = RfbClient(appliance.upgrade(appliance.token(guest.uuid)))
    assert client.read(12) == GREETING
    client.send(GREETING)
    assert client.read(2) == b"\1\1"
    client.send(b"\1")
    assert client.read(4) == bytes(4)
    client.send(b"\1")
    client.width, client.height = struct.unpack("!HH", client.read(4))
    client.read(16)
    assert client.read(struct.unpack("!I", client.read(4))[0]) == f"QEMU ({guest.name})".encode()
    client.request_update()
    assert client.raw_update() > 0
    return client


class TestWithoutTls:
    """``auth_schemes = vnc``."""

    def test_the_appliance_answers_and_the_browser_sees_none(
        self, start_appliance: Start, hosts: Hosts, network: Network
    ) -> None:
        guest = hosts[0].start_guest("web-1", password=SECRET)
        gateway = network.private.gateway
        appliance = start_appliance(
            options={
                "vnc": {"auth_schemes": "vnc"},
                f"compute:{hosts[0].name}": {"server_proxyclient_address": gateway},
            }
        )
        with tap((gateway, guest.port), (hosts[0].ip, guest.port)) as wire:
            sees_none(appliance, guest).close()
        assert appliance.log_lines("session admitted")[-1]["vnc_security"] == "vnc_auth"
        assert wire.from_server.startswith(GREETING + b"\1\2")
        challenge = bytes(wire.from_server[14:30])
        assert wire.from_client.startswith(GREETING + b"\2" + VncPassword(SECRET).answer(challenge) + b"\1")

    def test_one_that_was_changed_in_libvirt_is_used_at_the_next_connect(
        self, start_appliance: Start, hosts: Hosts
    ) -> None:
        guest = hosts[0].start_guest("web-1", password="before")
        appliance = start_appliance(options={"vnc": {"auth_schemes": "vnc"}})
        first = sees_none(appliance, guest)
        guest.set_vnc_password(SECRET)
        sees_none(appliance, guest).close()
        first.request_update()
        assert first.raw_update() > 0, "the one that was open goes on"
        first.close()

    def test_a_wrong_one_is_refused_in_words_before_the_101(self, start_appliance: Start, hosts: Hosts) -> None:
        guest = hosts[0].start_guest("web-1", password=SECRET)
        set_by_hand(guest, "another")
        status, code, why = refusal(start_appliance(options={"vnc": {"auth_schemes": "vnc"}}), guest)
        assert (status, code) == (502, "screen-locked")
        assert "it does not accept the VNC password that libvirt has for the guest, with the reason" in why

    def test_so_is_one_that_has_expired(self, start_appliance: Start, hosts: Hosts) -> None:
        guest = hosts[0].start_guest("web-1", password=SECRET)
        guest.set_vnc_password(SECRET, "2010-04-09T15:51:00")
        status, code, why = refusal(start_appliance(options={"vnc": {"auth_schemes": "vnc"}}), guest)
        assert (status, code) == (502, "screen-locked")
        assert "(valid until 2010-04-09T15:51:00 UTC)" in why

    def test_where_libvirt_has_none_the_person_is_asked(self, start_appliance: Start, hosts: Hosts) -> None:
        hosts[0].use_vnc_tls(None, password="byhand")
        guest = hosts[0].start_guest("web-1")
        appliance = start_appliance(options={"vnc": {"auth_schemes": "vnc"}})
        client = RfbClient(appliance.upgrade(appliance.token(guest.uuid)))
        assert client.read(12) == GREETING
        client.send(GREETING)
        assert client.read(2) == b"\1\2"
        client.send(b"\2")
        client.send(VncPassword("byhand").answer(client.read(16)))
        assert client.read(4) == bytes(4)
        client.send(b"\1")
        assert len(client.read(24)) == 24
        client.close()

    @pytest.mark.parametrize("schemes", ["none", "vencrypt,none"])
    def test_it_is_not_answered_where_the_operator_does_not_say_vnc(
        self, start_appliance: Start, hosts: Hosts, pki: Pki, schemes: str
    ) -> None:
        guest = hosts[0].start_guest("web-1", password=SECRET)
        status, code, why = refusal(start_appliance(options={"vnc": pki.options(schemes)}), guest)
        assert (status, code) == (502, "screen-not-secure")
        assert f"let auth_schemes = {schemes},vnc take it as it is" in why


class TestInsideTls:
    """VeNCrypt's X509Vnc, with the default ``auth_schemes = vencrypt``."""

    def test_the_challenge_is_answered_inside_of_tls(
        self, start_appliance: Start, hosts: Hosts, pki: Pki, network: Network
    ) -> None:
        hosts[0].use_vnc_tls(pki.compute("server", hosts[0].name))
        guest = hosts[0].start_guest("web-1", password=SECRET)
        gateway = network.private.gateway
        appliance = start_appliance(
            options={"vnc": pki.options(), f"compute:{hosts[0].name}": {"server_proxyclient_address": gateway}}
        )
        with tap((gateway, guest.port), (hosts[0].ip, guest.port)) as wire:
            sees_none(appliance, guest).close()
        ours = GREETING + b"\x13" + b"\0\2" + struct.pack("!I", 261)
        theirs = GREETING + b"\1\x13" + b"\0\2" + b"\0\1" + struct.pack("!I", 261) + b"\1"
        assert wire.from_client.startswith(ours)
        assert wire.from_server.startswith(theirs)
        for data in (bytes(wire.from_client[len(ours) :]), bytes(wire.from_server[len(theirs) :])):
            kinds = tls_records(data)
            assert (kinds[0], kinds[-1]) == (HANDSHAKE, DATA)
        # A wrong one is told in there, too.
        set_by_hand(guest, "another")
        with tap((gateway, guest.port), (hosts[0].ip, guest.port)):
            status, code, why = refusal(appliance, guest)
        assert (status, code) == (502, "screen-locked")
        assert "it does not accept the VNC password" in why

    def test_one_that_libvirt_does_not_know_is_not_asked_for(
        self, start_appliance: Start, hosts: Hosts, pki: Pki
    ) -> None:
        hosts[0].use_vnc_tls(pki.compute("server", hosts[0].name), password="byhand")
        status, code, why = refusal(start_appliance(options={"vnc": pki.options()}), hosts[0].start_guest("web-1"))
        assert (status, code) == (502, "screen-locked")
        assert "it wants a VNC password, and libvirt tells none" in why

    def test_a_certificate_of_another_name_gets_no_answer(self, start_appliance: Start, hosts: Hosts, pki: Pki) -> None:
        hosts[0].use_vnc_tls(pki.compute("neighbour", hosts[1].name, hosts[1].ip))
        guest = hosts[0].start_guest("web-1", password=SECRET)
        status, code, why = refusal(start_appliance(options={"vnc": pki.options()}), guest)
        assert (status, code) == (502, "screen-not-secure")
        assert f"certificate is not valid for '{hosts[0].name}'" in why


def test_who_sits_in_between_and_changes_what_is_said_before_tls_gains_nothing(
    start_appliance: Start, hosts: Hosts, pki: Pki, network: Network
) -> None:
    hosts[0].use_vnc_tls(pki.compute("server", hosts[0].name))
    guest = hosts[0].start_guest("web-1", password=SECRET)
    gateway = network.private.gateway
    options = {"server_proxyclient_address": gateway, "auth_schemes": "vencrypt,vnc,none"}
    appliance = start_appliance(options={"vnc": pki.options(), f"compute:{hosts[0].name}": options})

    def none_first(data: bytes) -> bytes:
        return b"\3\1\2\x13" if data == b"\1\x13" else data

    with tap((gateway, guest.port), (guest.host.ip, guest.port), none_first) as wire:
        sees_none(appliance, guest).close()
    assert wire.from_client.startswith(GREETING + b"\x13\0\2" + struct.pack("!I", 261))

    def without_certificates(data: bytes) -> bytes:
        return data.replace(struct.pack("!I", 261), struct.pack("!I", 258))

    with tap((gateway, guest.port), (guest.host.ip, guest.port), without_certificates) as wire:
        status, code, why = refusal(appliance, guest)
    assert (status, code) == (502, "screen-not-secure")
    assert "TLS_VNC (258)" in why
    assert bytes(wire.from_client) == GREETING + b"\x13\0\2"
