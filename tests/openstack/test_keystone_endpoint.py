"""Role keystone_endpoint, by ansible-playbook, against a real Keystone that has other entries as well."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.openstack.keystone import REGION, Keystone

CHECKOUT = Path(__file__).resolve().parents[2]
URL = "https://consoles.example.org:6080/v2.1"
NAME = "porthole-of-the-role"
"""Like no other in the catalogue, where other tests may have theirs."""

TIMEOUT = 300


class Playbook:
    """The playbook with a clouds.yaml of the Keystone's administrator."""

    def __init__(self, folder: Path, keystone: Keystone) -> None:
        self._keystone = keystone
        auth = {
            "auth_url": keystone.url, "username": "admin", "password": keystone.passwords["admin"],
            "project_name": "admin", "user_domain_id": "default", "project_domain_id": "default",
        }  # fmt: skip
        clouds = {"clouds": {"operators": {"auth": auth, "region_name": REGION, "identity_api_version": "3"}}}
        (folder / "clouds.yaml").write_text(yaml.safe_dump(clouds))
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("OS_", "ANSIBLE_"))}
        self._environment = {
            **kept,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)]),
            "OS_CLIENT_CONFIG_FILE": str(folder / "clouds.yaml"),
            "OS_CLOUD": "operators",
            "ANSIBLE_HOME": str(folder / "ansible"),
            "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
            "ANSIBLE_ROLES_PATH": str(CHECKOUT / "roles"),
        }

    def run(self, *options: str, **variables: Any) -> subprocess.CompletedProcess[str]:
        """Run it with variables of the role, ``url`` for ``keystone_endpoint_url``."""
        given = {"service_name": NAME, "url": URL, "region": REGION, **variables}
        extra = json.dumps({f"keystone_endpoint_{name}": value for name, value in given.items()})
        return subprocess.run(
            ["ansible-playbook", "-i", "localhost,", *options, "-e", extra, "playbooks/keystone_endpoint.yml"],
            cwd=CHECKOUT, env=self._environment, capture_output=True, text=True, timeout=TIMEOUT, check=False,
        )  # fmt: skip

    def changed(self, *options: str, **variables: Any) -> int:
        """How many tasks changed something; all of them succeed."""
        done = self.run(*options, **variables)
        assert done.returncode == 0, done.stdout + done.stderr
        return int(json.loads(done.stdout)["stats"]["localhost"]["changed"])

    def entries(self) -> dict[str, Any]:
        """The catalogue as Keystone has it: of each service what it is, and the endpoints."""
        services = self._keystone.call("GET", "/services")["services"]
        endpoints = self._keystone.call("GET", "/endpoints")["endpoints"]
        return {
            service["id"]: (
                service["name"],
                service["type"],
                sorted((e["interface"], e["region"], e["url"]) for e in endpoints if e["service_id"] == service["id"]),
            )
            for service in services
        }


@pytest.fixture
def playbook(tmp_path: Path, keystone: Keystone) -> Playbook:
    return Playbook(tmp_path, keystone)


def test_the_entry_comes_stays_and_goes_and_others_are_not_touched(playbook: Playbook) -> None:
    before = playbook.entries()

    assert playbook.changed("--check") == 1, "it says what it would do"
    assert playbook.entries() == before

    assert playbook.changed() == 2
    (made,) = [entry for service, entry in playbook.entries().items() if service not in before]
    assert made == (NAME, "porthole", [("public", REGION, URL)])
    assert playbook.changed() == 0
    assert playbook.changed("--check") == 0

    elsewhere = URL.replace("6080", "443")
    assert playbook.changed(url=elsewhere, interfaces=["internal"]) == 1, "a loop is one task"
    (made,) = [entry for service, entry in playbook.entries().items() if service not in before]
    assert made[2] == [("internal", REGION, elsewhere)]

    assert playbook.changed("--check", state="absent") == 1
    assert playbook.changed(state="absent", url="") == 1
    assert playbook.entries() == before
    assert playbook.changed(state="absent", url="") == 0


def test_entries_of_one_name_and_two_types_have_each_its_own_endpoints(playbook: Playbook) -> None:
    before = playbook.entries()
    elsewhere = URL.replace("6080", "443")
    assert playbook.changed() == 2
    assert playbook.changed(service_type="compute", url=elsewhere) == 2
    made = sorted(entry for service, entry in playbook.entries().items() if service not in before)
    assert made == [
        (NAME, "compute", [("public", REGION, elsewhere)]),
        (NAME, "porthole", [("public", REGION, URL)]),
    ]
    assert playbook.changed(service_type="compute", url=elsewhere) == 0
    assert playbook.changed(service_type="compute", state="absent") == 1
    assert playbook.changed(state="absent") == 1
    assert playbook.entries() == before


@pytest.mark.parametrize("url", ["", "consoles.example.org/v2.1", "https://consoles.example.org:6080"])
def test_an_address_that_is_none_is_refused_before_anything_is_asked(playbook: Playbook, url: str) -> None:
    before = playbook.entries()
    done = playbook.run(url=url)
    assert done.returncode != 0
    assert "such as https://consoles.example.org:6080/v2.1" in done.stdout
    assert playbook.entries() == before
