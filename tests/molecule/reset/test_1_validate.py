"""What has drifted is found, each with what to do about it, and nothing is changed.

Clocks that are apart are not among it: the hosts share this machine's.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.certificates import Authority
from tests.molecule import guests
from tests.molecule.cloud import Cloud, Run
from tests.molecule.site import Site

NOVA_CONF = "/etc/nova/nova.conf"
KEPT = "/root/nova.conf.managed"


def validate(cloud: Cloud, inventory: Path) -> tuple[Run, list[str]]:
    """Run the playbook, which has to change nothing; what it found, on one line each."""
    run = cloud.playbook(inventory, playbook="playbooks/validate.yml")
    assert not any(run.changed.values()), run.output
    assert run.status != 0, "guests that ran before are to be found in any case"
    report = run.output.split("TASK [validate : Say what was found]")[1].split("TASK [")[0]
    text = re.sub(r"\s+", " ", report).replace("''", "'")
    found = [it.strip(" '\"") for it in re.split(r" - (?=['\"]?(?:compute|console)\d: )", text)[1:]]
    assert f"Findings: {len(found)}." in run.output, run.output
    return run, found


def test_only_guests_from_before(cloud: Cloud, inventory: Path, figures: dict[str, str]) -> None:
    run, found = validate(cloud, inventory)
    figures["playbooks/validate.yml"] = f"{run.seconds:.0f} s"
    assert [it for it in found if "The guest before-compute" not in it] == []
    assert {it.split(":")[0] for it in found} == {"compute1", "compute2"}


@pytest.fixture
def wide_open(cloud: Cloud) -> Iterator[int]:
    """A guest whose screen is on all addresses of compute1, without the firewall; its port."""
    compute = cloud["compute1"]
    compute.run("systemctl", "stop", "porthole-firewall.service")
    compute.run("cp", "--archive", NOVA_CONF, KEPT)
    compute.run("sed", "-i", "s/^server_listen *=.*/server_listen = 0.0.0.0/", NOVA_CONF)
    guests.start(compute, "wide", "0.0.0.0")
    yield guests.vnc(compute, "wide")[1]
    guests.remove(compute, "wide")
    compute.run("mv", KEPT, NOVA_CONF)


def test_what_is_broken_is_found(cloud: Cloud, site: Site, inventory: Path, wide_open: int, tmp_path: Path) -> None:
    compute = cloud["compute2"]
    authority = Authority(tmp_path)
    for path, days in (("/etc/pki/libvirt/clientcert.pem", 5), ("/etc/pki/libvirt-vnc/server-cert.pem", -1)):
        certificate, _ = authority.issue("compute2", "compute2", good_for=datetime.timedelta(days=days))
        compute.run("dd", f"of={path}", stdin=certificate.read_text())
    compute.run("rm", "/etc/pki/libvirt/servercert.pem")
    compute.run("systemctl", "stop", "libvirtd-tls.socket", "libvirtd.service")
    site.host.run("systemctl", "stop", site.unit())

    _, found = validate(cloud, inventory)
    for begin, advice in (
        (f"compute1: VNC listens on all addresses (port {wide_open}) and the firewall is not loaded.", "Run site.yml"),
        (f"compute1: The VNC port {wide_open} can be reached from the controller.", "look at the firewall"),
        ("compute1: Nova reads vnc.server_listen = 0.0.0.0 instead of", "Run site.yml"),
        ("compute1: The guest wide ", "start"),
        ("compute2: /etc/pki/libvirt/clientcert.pem ends within 30 days", "Run site.yml"),
        ("compute2: /etc/pki/libvirt-vnc/server-cert.pem has expired", "Run site.yml"),
        ("compute2: /etc/pki/libvirt/servercert.pem cannot be read as a certificate.", "Run site.yml"),
        ("console1: The compute compute2 cannot be reached", "libvirtd-tls.socket"),
        ("console1: The service does not answer.", "journalctl"),
    ):
        assert any(it.startswith(begin) and advice in it for it in found), (begin, found)
