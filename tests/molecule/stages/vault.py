"""An operator's secrets: ``python -m tests.molecule.stages.vault SCENARIO`` encrypts variables beside its inventory."""

from __future__ import annotations

import datetime
import json
import os
import secrets
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from systemd_hosts import hosts
from systemd_hosts.network import Net
from tests.certificates import Authority

AUTHORITY_NAME = "Example Corp Consoles CA"
USER = "alice"
GIVEN_TO = "compute2"
"""The host whose VNC certificate is given, too."""
APPLIANCE = "console1"

_OF_ALL = "inventory/group_vars/all/vault.yml"
_OF_ONE = f"inventory/host_vars/{GIVEN_TO}/vault.yml"


@dataclass(frozen=True, slots=True)
class Secrets:
    """What only the operator knows.

    :ivar password: of the user :data:`USER`
    :ivar authority: the authority's certificate in PEM
    :ivar authority_key: its private key in PEM
    :ivar given: the certificate of :data:`GIVEN_TO`'s VNC servers in PEM
    :ivar public: the one that browsers see
    """

    password: str
    authority: str
    authority_key: str
    given: str
    public: str


def write(scenario: Path) -> None:
    """Make new secrets and encrypt them."""
    host = {host.name: host for host in hosts.load(Net(int(os.environ["PORTHOLE_HOSTS_NET"])))}
    years = datetime.timedelta(days=3 * 365)
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority(Path(folder), AUTHORITY_NAME, years)
        certificate, key = authority.issue(GIVEN_TO, GIVEN_TO, host[GIVEN_TO].v4, good_for=years / 2)
        names = (APPLIANCE, host[APPLIANCE].v4, host[APPLIANCE].v6)
        public_certificate, public_key = authority.issue(APPLIANCE, *names, good_for=years / 2)
        of_all = {
            "pki_given_ca_certificate": authority.certificate.read_text(),
            "pki_given_ca_private_key": authority.key.read_text(),
            "appliance_users": [{"name": USER, "password": secrets.token_urlsafe(18), "role": "member"}],
            "appliance_tls_certificate": public_certificate.read_text(),
            "appliance_tls_key": public_key.read_text(),
        }
        given = {"certificate": certificate.read_text(), "private_key": key.read_text()}
    _encrypt(scenario, _OF_ALL, of_all)
    _encrypt(scenario, _OF_ONE, {"pki_given_certificates": {"vnc_server": given}})


def read(scenario: Path) -> Secrets:
    """The secrets that the hosts were set up with."""
    of_all, of_one = (json.loads(_vault(scenario, "view", str(scenario / file))) for file in (_OF_ALL, _OF_ONE))
    return Secrets(
        of_all["appliance_users"][0]["password"],
        of_all["pki_given_ca_certificate"],
        of_all["pki_given_ca_private_key"],
        of_one["pki_given_certificates"]["vnc_server"]["certificate"],
        of_all["appliance_tls_certificate"],
    )


def _encrypt(scenario: Path, name: str, variables: object) -> None:
    file = scenario / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    _vault(scenario, "encrypt", "--output", str(file), "-", stdin=json.dumps(variables))


def _vault(scenario: Path, *arguments: str, stdin: str = "") -> str:
    """Run ansible-vault with the scenario's password."""
    program = str(Path(sys.executable).with_name("ansible-vault"))
    argv = [program, *arguments, "--vault-password-file", str(scenario / "vault_password")]
    # An id of the environment's password file besides would leave open which is meant.
    env = {name: value for name, value in os.environ.items() if name != "ANSIBLE_VAULT_PASSWORD_FILE"}
    return subprocess.run(argv, input=stdin, env=env, stdout=subprocess.PIPE, text=True, check=True).stdout


if __name__ == "__main__":
    write(Path(sys.argv[1]))
