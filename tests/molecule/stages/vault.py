"""An operator's secrets: ``python -m tests.molecule.stages.vault SCENARIO`` writes an encrypted group_vars file."""

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

from tests.certificates import Authority

AUTHORITY_NAME = "Example Corp Consoles CA"
USER = "alice"


@dataclass(frozen=True, slots=True)
class Secrets:
    """What only the operator knows.

    :ivar password: of the user :data:`USER`
    :ivar authority: the authority's certificate in PEM
    :ivar authority_key: its private key in PEM
    """

    password: str
    authority: str
    authority_key: str


def write(scenario: Path) -> None:
    """Make new secrets and encrypt them."""
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority(Path(folder), AUTHORITY_NAME, datetime.timedelta(days=3 * 365))
        variables = {
            "pki_given_ca_certificate": authority.certificate.read_text(),
            "pki_given_ca_private_key": authority.key.read_text(),
            "appliance_users": [{"name": USER, "password": secrets.token_urlsafe(18), "role": "member"}],
        }
    file = _file(scenario)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    _vault(scenario, "encrypt", "--output", str(file), "-", stdin=json.dumps(variables))


def read(scenario: Path) -> Secrets:
    """The secrets that the hosts were set up with."""
    variables = json.loads(_vault(scenario, "view", str(_file(scenario))))
    return Secrets(
        variables["appliance_users"][0]["password"],
        variables["pki_given_ca_certificate"],
        variables["pki_given_ca_private_key"],
    )


def _file(scenario: Path) -> Path:
    return scenario / "inventory" / "group_vars" / "all" / "vault.yml"


def _vault(scenario: Path, *arguments: str, stdin: str = "") -> str:
    """Run ansible-vault with the scenario's password."""
    program = str(Path(sys.executable).with_name("ansible-vault"))
    argv = [program, *arguments, "--vault-password-file", str(scenario / "vault_password")]
    # An id of the environment's password file besides would leave open which is meant.
    env = {name: value for name, value in os.environ.items() if name != "ANSIBLE_VAULT_PASSWORD_FILE"}
    return subprocess.run(argv, input=stdin, env=env, stdout=subprocess.PIPE, text=True, check=True).stdout


if __name__ == "__main__":
    write(Path(sys.argv[1]))
