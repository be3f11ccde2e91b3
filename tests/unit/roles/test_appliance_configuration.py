"""Role appliance: each release keeps its configuration, which is put back by a rollback and after a failed start."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[3]
PLAY = """\
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - ansible.builtin.include_role: {name: appliance, tasks_from: "{{ what }}", rolespec_validate: false}
"""


@dataclass(frozen=True)
class Appliance:
    """The folders of an appliance on which release 1 runs."""

    folder: Path

    @property
    def configuration(self) -> Path:
        return self.folder / "etc" / "porthole.conf"

    def kept(self, release: str) -> Path:
        return self.folder / "releases" / release / "porthole.conf.kept"

    def run(self, tasks: str, **variables: str) -> None:
        """Run a file of the role's tasks."""
        play = self.folder / "play.yml"
        play.write_text(PLAY)
        given = {
            "what": tasks, "appliance_root": str(self.folder), "appliance_config_dir": str(self.folder / "etc"),
            "appliance_service_user": "root", "ansible_python_interpreter": sys.executable, **variables,
        }  # fmt: skip
        done = subprocess.run(
            [
                str(Path(sys.executable).with_name("ansible-playbook")), "-i", "localhost,", str(play),
                *(word for name, value in given.items() for word in ("-e", f"{name}={value}")),
            ],
            cwd=CHECKOUT, capture_output=True, text=True, timeout=120, check=False,
            env={**os.environ, "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"), "ANSIBLE_HOME": str(self.folder)},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def appliance(tmp_path: Path) -> Appliance:
    if os.geteuid() != 0:
        pytest.skip("the role gives files to root")
    for name in ("etc", "releases/1", "releases/2"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "current").symlink_to("releases/1")
    appliance = Appliance(tmp_path)
    appliance.configuration.write_text("of release 1\n")
    return appliance


def test_the_running_release_keeps_its_configuration_before_another_is_written(appliance: Appliance) -> None:
    appliance.run("keep_configuration")
    assert appliance.kept("1").read_text() == "of release 1\n"
    assert appliance.kept("1").stat().st_mode & 0o777 == 0o640

    # A run that was interrupted after the file was written is run again.
    appliance.configuration.write_text("of release 2\n")
    appliance.run("keep_configuration")
    assert appliance.kept("1").read_text() == "of release 1\n"


def test_it_is_put_back_and_without_a_copy_nothing_changes(appliance: Appliance) -> None:
    appliance.kept("1").write_text("of release 1\n")
    appliance.configuration.write_text("of release 2\n")
    appliance.run("put_back", appliance_put_back_release="2")
    assert appliance.configuration.read_text() == "of release 2\n"
    appliance.run("put_back", appliance_put_back_release="1")
    assert appliance.configuration.read_text() == "of release 1\n"
