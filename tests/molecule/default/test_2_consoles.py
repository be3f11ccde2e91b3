"""A console from end to end: the API over its TLS, a WebSocket, the guest on another host, VeNCrypt in between."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import pytest

from tests.molecule import guests
from tests.molecule.cloud import CONNECT, Cloud
from tests.molecule.site import PORT, Site, works
from tests.molecule.wire import Wire, back, tls_records

COMPUTES = ("compute1", "compute2")
HANDSHAKE = 22


@pytest.fixture(scope="module", autouse=True)
def running(cloud: Cloud) -> Iterator[None]:
    """A guest on each compute that was started after it had been set up."""
    # Nova writes its server_listen into the guest's XML; on plain libvirt qemu.conf says it.
    for name, listen in (("compute1", cloud["compute1"].v4), ("compute2", "")):
        guests.start(cloud[name], f"after-{name}", listen)
    yield
    for name in COMPUTES:
        guests.remove(cloud[name], f"after-{name}")


@pytest.mark.parametrize("compute", COMPUTES)
def test_a_console_shows_the_guest(cloud: Cloud, site: Site, compute: str) -> None:
    client = site.open(f"after-{compute}")
    assert client.name == f"QEMU (after-{compute})"
    assert (client.width, client.height) == (720, 400)
    assert works(client)
    client.close()


@pytest.mark.parametrize("compute", COMPUTES)
def test_between_appliance_and_compute_there_is_tls(cloud: Cloud, site: Site, compute: str) -> None:
    name = f"after-{compute}"
    address, port = guests.vnc(cloud[compute], name)
    assert address == cloud[compute].v4
    with Wire(cloud.net.bridge) as wire:
        client = site.open(name)
        assert works(client)
        client.close()
    (connection,) = wire.connections(site.host.v4, address, port)
    asked, answered = wire.sent(connection), wire.sent(back(connection))
    # RFC 6143 7.1, then VeNCrypt: the only security type is 19, version 0.2, the only subtype is 260, X509None.
    assert answered.startswith(
        b"RFB 003.008\n" + b"\x01\x13" + b"\x00\x02" + b"\x00" + b"\x01\x00\x00\x01\x04" + b"\x01"
    )
    assert asked.startswith(b"RFB 003.008\n" + b"\x13" + b"\x00\x02" + b"\x00\x00\x01\x04")
    assert tls_records(asked[19:])[0] == HANDSHAKE
    records = tls_records(answered[23:])
    assert records[0] == HANDSHAKE
    assert len(records) > 3
    assert len(answered) > 10_000  # the screen went through it
    assert name.encode() not in answered


def test_the_api_is_refused_by_who_does_not_know_the_authority(site: Site) -> None:
    stranger = Site.__new__(Site)
    stranger.host, stranger.tls = site.host, ssl.create_default_context()
    with pytest.raises(ssl.SSLCertVerificationError):
        stranger.get("/healthz")


def test_ipv6(cloud: Cloud, site: Site) -> None:
    client = site.open("after-compute2", address=site.host.v6)
    assert works(client)
    client.close()


def test_metrics_are_not_for_the_public(cloud: Cloud, site: Site) -> None:
    status, _ = site.get("/metrics")
    assert status == 404
    fetch = "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:9464/metrics').read().decode())"
    assert "porthole_" in site.host.python(fetch)
    assert not reaches(cloud, "other1", site.host.v4, 9464)
    assert reaches(cloud, "other1", site.host.v4, PORT)


def reaches(cloud: Cloud, source: str, address: str, port: int) -> bool:
    """Whether a TCP connection can be opened."""
    return cloud[source].python(CONNECT, address, str(port)) == "open"
