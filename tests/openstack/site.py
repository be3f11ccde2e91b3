"""A cloud with a Keystone of its own and little else in its catalogue, in which a page of the documents is followed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.documents import replaced
from tests.hosts import ComputeHost
from tests.hosts.network import Network
from tests.openstack.cloud import give_to
from tests.openstack.environment import VENV, OpenStackClient, at_a_terminal, environment
from tests.openstack.keystone import REGION, Keystone
from tests.service import Appliance

CHECKOUT = Path(__file__).resolve().parents[2]
KEYSTONE, CONSOLES = "https://keystone.example.org:5000/v3", "https://consoles.example.org:6080"
"""The addresses in the page."""

USER, PROJECT = "alice", "web"
TIMEOUT = 300


class Site:
    """Who follows the page: at home in a folder, with a checkout, and with ``porthole`` as on the service's machine.

    :ivar home: the home folder; ``checkout`` in it has this one's playbooks, and inventories of its own
    :ivar service: the service, with users of its own until the page is followed
    """

    def __init__(self, folder: Path, network: Network, computes: Sequence[ComputeHost], port: int) -> None:
        self.network = network
        self.keystone = Keystone(folder / "keystone", network.public.gateway)
        self.service = Appliance(folder / "service", network.appliance, network.appliance_ip, computes, port=port)
        self.home = folder / "home"
        self.checkout = self.home / "checkout"
        self.inventory = self.checkout / "inventories" / "production"
        self.inventory.mkdir(parents=True)
        for name in ("ansible.cfg", "playbooks", "roles"):
            (self.checkout / name).symlink_to(CHECKOUT / name)
        self._make_porthole()

    def start(self) -> None:
        """Start both; there is an administrator, and a member of the project."""
        self.keystone.start()
        self.keystone.add_user(USER, PROJECT, "member")
        cloud = {"auth": self._auth("admin", "admin"), "region_name": REGION}
        self.write_clouds("clouds.yaml", {"admin": cloud})
        self.service.start()

    def stop(self) -> None:
        """End both."""
        self.service.stop()
        self.keystone.stop()

    def addressed(self, text: str, *addresses: str) -> str:
        """A text of the page with the addresses of this place, each of which has to be there."""
        ours = {KEYSTONE: self.keystone.url, CONSOLES: self.service.url}
        return replaced(text, {address: ours[address] for address in addresses})

    def shell(self, commands: str, user: str | None = USER, answers: Sequence[str] = (), **more: str) -> str:
        """What commands of the page print; each of them has to succeed.

        :param user: who is signed in by variables, None for nobody
        :param answers: passwords that are typed when they are asked for
        :param more: further variables
        """
        command = self.network.browser.command(["bash", "-euc", f"cd {self.checkout}\n{commands}"])
        return at_a_terminal(command, self._variables(user, more), answers, TIMEOUT)

    def client(self, clouds_yaml: Path, cloud: str) -> OpenStackClient:
        """The openstack client of the project's member, with nothing but a clouds.yaml."""
        return OpenStackClient.of_cloud(clouds_yaml, cloud, self.keystone.passwords[USER])

    def start_guest(self, host: ComputeHost, name: str) -> None:
        """A guest of the project."""
        guest = host.start_guest(name)
        give_to(host, guest, self.keystone.add_user(USER, PROJECT), self.keystone.add_project(PROJECT))

    def write_clouds(self, name: str, clouds: Mapping[str, Any]) -> Path:
        """A file where clients look for one."""
        path = self.home / ".config" / "openstack" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump({"clouds": dict(clouds)}))
        return path

    def play(self, playbook: str, **variables: Any) -> None:
        """Run a playbook's text with this machine as the appliance."""
        (self.home / "play.yml").write_text(playbook)
        (self.home / "hosts").write_text("[appliance]\nconsole1 ansible_connection=local\n")
        (self.home / "variables.yml").write_text(yaml.safe_dump(variables))
        done = subprocess.run(
            ["ansible-playbook", "-i", "hosts", "-e", "@variables.yml", "play.yml"],
            cwd=self.home, env=self._variables(None, {"ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg")}),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr

    def _variables(self, user: str | None, more: Mapping[str, str]) -> dict[str, str]:
        project = "admin" if user == "admin" else PROJECT
        signed_in = self.keystone.variables(user, project) if user else {}
        made = environment(self.home, {**signed_in, "ANSIBLE_HOME": str(self.home / "ansible"), **more})
        ours = (self.home / "bin", VENV / "bin", Path(sys.executable).parent, made["PATH"])
        return {**made, "PATH": os.pathsep.join(str(place) for place in ours)}

    def _auth(self, user: str, project: str) -> dict[str, str]:
        return {
            "auth_url": self.keystone.url, "username": user, "password": self.keystone.passwords[user],
            "project_name": project, "user_domain_id": "default", "project_domain_id": "default",
        }  # fmt: skip

    def _make_porthole(self) -> None:
        program = self.home / "bin" / "porthole"
        program.parent.mkdir()
        program.write_text(
            f"#!/bin/sh\nPYTHONPATH={self.service.environment['PYTHONPATH']} exec {' '.join(self.service.command)} "
            f'"$@" --config-file {self.service.folder}/porthole.conf\n'
        )
        program.chmod(0o755)
