"""All certificates come from the operator's own authority, and nothing of the vault shows."""

from __future__ import annotations

import pytest
from cryptography import x509

from local_lab.client import Api
from tests.molecule.cloud import Cloud
from tests.molecule.site import PORT, Site
from tests.molecule.stages import vault
from tests.molecule.stages.conftest import LOG

ISSUED = [
    ("compute1", "/etc/pki/libvirt/servercert.pem"),
    ("compute1", "/etc/pki/libvirt/clientcert.pem"),
    ("compute1", "/etc/pki/libvirt-vnc/server-cert.pem"),
    ("compute2", "/etc/pki/libvirt-vnc/server-cert.pem"),
    ("console1", "/etc/porthole/pki/clientcert.pem"),
    ("console1", "/etc/porthole/pki/tls.crt"),
]


@pytest.mark.parametrize(("host", "path"), ISSUED)
def test_the_operators_authority_signed(cloud: Cloud, operator: vault.Secrets, host: str, path: str) -> None:
    authority = x509.load_pem_x509_certificate(operator.authority.encode())
    issued = x509.load_pem_x509_certificate(cloud[host].read(path).encode())
    issued.verify_directly_issued_by(authority)


def test_certificates_that_were_given_are_used(cloud: Cloud, operator: vault.Secrets) -> None:
    assert cloud[vault.APPLIANCE].read("/etc/porthole/pki/tls.crt").strip() == operator.public.strip()
    assert cloud[vault.GIVEN_TO].read("/etc/pki/libvirt-vnc/server-cert.pem").strip() == operator.given.strip()
    assert cloud["compute1"].read("/etc/pki/libvirt-vnc/server-cert.pem").strip() != operator.given.strip()


def test_its_key_is_on_one_host_for_root_alone(cloud: Cloud, operator: vault.Secrets) -> None:
    line = operator.authority_key.splitlines()[1]
    places = {
        name: host.run("grep", "-rlsF", line, "/etc", "/opt", "/root", "/var/lib", "/run", "/tmp", check=False).stdout
        for name, host in cloud.hosts.items()
    }
    assert {name: found.split() for name, found in places.items() if found} == {
        "console1": ["/etc/porthole/ca/ca-key.pem"]
    }
    assert cloud["console1"].output("stat", "-c", "%a %U", "/etc/porthole/ca/ca-key.pem") == "600 root"
    assert cloud["console1"].output("stat", "-c", "%a %U", "/etc/porthole/ca") == "700 root"


def test_the_user_of_the_vault_signs_in(site: Site, operator: vault.Secrets) -> None:
    user = Api(f"https://{site.host.v4}:{PORT}", vault.USER, operator.password, site.tls)
    assert {one["name"] for one in user.instances()} >= {"old-compute1", "old-compute2"}


def test_no_secret_is_in_what_the_runs_printed(operator: vault.Secrets) -> None:
    log = LOG.read_text(errors="replace")
    assert "Put the given authority's key in its place" in log, "the log of another run"
    assert operator.password not in log
    assert operator.authority_key.splitlines()[1] not in log
