"""A host that is no appliance: the firewall refuses it, and without the firewall TLS does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.certificates import Authority
from tests.molecule import guests
from tests.molecule.cloud import CONNECT, Cloud, Host

COMPUTES = ("compute1", "compute2")
LIBVIRT, LIBVIRT_PLAIN = 16514, 16509

# Up to the first byte that only somebody who was accepted gets: RFB's SecurityResult, or libvirt's 1.
TALK = """\
import socket, ssl, sys
address, port, vnc, certificate, key = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "vnc", *sys.argv[4:6]
connection = socket.create_connection((address, port), 5)
connection.settimeout(5)
if vnc:
    received = b""
    def read(count):
        got = b""
        while len(got) < count:
            more = connection.recv(count - len(got))
            if not more:
                sys.exit("closed before TLS")
            got += more
        return got
    read(12); connection.sendall(b"RFB 003.008\\n")
    types = read(read(1)[0])
    if list(types) != [19]:
        sys.exit(f"security types {list(types)}")
    connection.sendall(b"\\x13")
    read(2); connection.sendall(b"\\x00\\x02"); read(1)
    subtypes = read(4 * read(1)[0])
    connection.sendall(subtypes[:4]); read(1)
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
if certificate:
    context.load_cert_chain(certificate, key)
try:
    tls = context.wrap_socket(connection)
    print("accepted" if tls.recv(1) else "refused")
except OSError as error:
    print("refused")
"""


@pytest.fixture(scope="module", params=COMPUTES)
def compute(cloud: Cloud, request: pytest.FixtureRequest) -> Iterator[Host]:
    """A compute with a guest."""
    host = cloud[request.param]
    guests.start(host, "target", host.v4)
    yield host
    guests.remove(host, "target")


@pytest.fixture
def no_firewall(compute: Host) -> Iterator[None]:
    """The compute lets everybody in for a moment."""
    compute.run("nft", "delete", "table", "inet", "porthole_compute")
    yield
    compute.run("systemctl", "restart", "porthole-firewall.service")


def test_the_firewall_lets_only_the_appliance_in(cloud: Cloud, compute: Host) -> None:
    _, port = guests.vnc(compute, "target")
    ports = [str(one) for one in (port, LIBVIRT, LIBVIRT_PLAIN)]
    assert cloud["other1"].python(CONNECT, compute.v4, *ports).split() == ["shut", "shut", "shut"]
    assert cloud["other1"].python(CONNECT, compute.v6, *ports).split() == ["shut", "shut", "shut"]
    assert cloud["console1"].python(CONNECT, compute.v4, *ports).split() == ["open", "open", "shut"]


def test_computes_reach_libvirt_and_no_screens(cloud: Cloud, compute: Host) -> None:
    _, port = guests.vnc(compute, "target")
    (other,) = (cloud[name] for name in COMPUTES if name != compute.name)
    assert other.python(CONNECT, compute.v4, str(port), str(LIBVIRT)).split() == ["shut", "open"]


def test_the_firewall_outlives_a_reload_of_nftables(cloud: Cloud, compute: Host) -> None:
    compute.run("systemctl", "restart", "nftables.service")
    assert cloud["other1"].python(CONNECT, compute.v4, str(LIBVIRT)) == "shut"
    assert cloud["console1"].python(CONNECT, compute.v4, str(LIBVIRT)) == "open"


@pytest.mark.usefixtures("no_firewall")
@pytest.mark.parametrize("service", ["vnc", "libvirt"])
def test_without_the_firewall_tls_refuses(cloud: Cloud, compute: Host, service: str, tmp_path: Path) -> None:
    port = guests.vnc(compute, "target")[1] if service == "vnc" else LIBVIRT
    stranger = cloud["other1"]
    assert stranger.python(CONNECT, compute.v4, str(port)) == "open"
    assert stranger.python(TALK, compute.v4, str(port), service, "", "") == "refused"
    certificate, key = Authority(tmp_path).issue(
        "porthole-appliance", "console1", usage=ExtendedKeyUsageOID.CLIENT_AUTH
    )
    for file, source in (("/run/stranger.crt", certificate), ("/run/stranger.key", key)):
        stranger.run("dd", f"of={file}", stdin=source.read_text())
    assert stranger.python(TALK, compute.v4, str(port), service, "/run/stranger.crt", "/run/stranger.key") == "refused"
    # The same with the appliance's own, so that a refusal here is not one of the test's making.
    own = ("/etc/porthole/pki/clientcert.pem", "/etc/porthole/secrets/clientkey.pem")
    assert cloud["console1"].python(TALK, compute.v4, str(port), service, *own) == "accepted"
