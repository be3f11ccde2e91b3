"""The service on its host: the sandbox, what is secret, and that nothing of it needs the internet."""

from __future__ import annotations

import re
import socket

import pytest

from tests.molecule.cloud import CONNECT, Cloud
from tests.molecule.site import Site


def test_exposure(site: Site, figures: dict[str, str]) -> None:
    unit = site.unit()
    report = site.host.output("systemd-analyze", "security", "--no-pager", "--threshold=20", unit)
    found = re.search(r"Overall exposure level for .*: ([0-9.]+)", report)
    assert found, report
    figures["exposure level of the service"] = found[1]
    assert float(found[1]) <= 2.0


def test_secrets_are_roots_alone(site: Site) -> None:
    listing = site.host.output("find", "/etc/porthole/secrets", "-printf", "%m %u:%g %y %f\n")
    for line in listing.splitlines():
        mode, owner, kind, _ = line.split(" ", 3)
        assert owner == "root:root", listing
        assert mode == ("700" if kind == "d" else "600"), listing


def test_the_key_that_the_service_reads_again_is_for_nobody_else(site: Site) -> None:
    listing = site.host.output("find", "/etc/porthole/tls", "-printf", "%m %u:%g %y %f\n")
    assert sorted(listing.splitlines()) == ["640 root:porthole f tls.key", "750 root:porthole d tls"]


def test_it_is_not_root(site: Site) -> None:
    pid = site.host.output("systemctl", "show", "--value", "-p", "MainPID", site.unit())
    assert site.host.output("ps", "-o", "user=", "-p", pid) == "porthole"


def test_logs_are_in_the_journal(site: Site) -> None:
    assert "{" in site.host.output("journalctl", "--no-pager", "-q", "-n", "20", "-o", "cat", "-u", site.unit())


def test_there_is_no_way_out(cloud: Cloud) -> None:
    """So the installation has used nothing but the bundle."""
    try:
        mirror = socket.gethostbyname("deb.debian.org")
    except OSError:
        pytest.skip("this machine has no way out either")
    for name, host in cloud.hosts.items():
        assert host.python(CONNECT, mirror, "80") == "shut", name
