"""Role appliance: each release keeps its configuration, which is put back by a rollback and after a failed start.

And the service's own passwords are in files of their own, which the configuration names.
"""

from __future__ import annotations

import configparser
import json
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
    - ansible.builtin.include_role: {name: appliance, tasks_from: "{{ what }}", rolespec_validate: false, public: true}
"""
CONFIGURATION = """\
    - ansible.builtin.template:
        src: "{{ checkout }}/roles/appliance/templates/porthole.conf.j2"
        dest: "{{ appliance_config_dir }}/porthole.conf"
    - ansible.builtin.copy:
        content: "{{ appliance_files_read_at_start | join('\\n') }}"
        dest: "{{ appliance_config_dir }}/read_at_start"
"""
"""What the role writes, without the release that would check it."""


@dataclass(frozen=True)
class Appliance:
    """The folders of an appliance on which release 1 runs."""

    folder: Path

    @property
    def configuration(self) -> Path:
        return self.folder / "etc" / "porthole.conf"

    def kept(self, release: str) -> Path:
        return self.folder / "releases" / release / "porthole.conf.kept"

    def run(self, tasks: str, then: str = "", **variables: str) -> str:
        """Run a file of the role's tasks, and more; what was said."""
        play = self.folder / "play.yml"
        play.write_text(PLAY + then)
        given = {
            "what": tasks, "checkout": str(CHECKOUT), "appliance_root": str(self.folder),
            "appliance_config_dir": str(self.folder / "etc"), "appliance_service_user": "root",
            "appliance_my_ip": "10.0.0.5", "ansible_python_interpreter": sys.executable, **variables,
        }  # fmt: skip
        done = subprocess.run(
            [
                str(Path(sys.executable).with_name("ansible-playbook")), "-i", "localhost,", "-vv", "--diff", str(play),
                "-e", json.dumps(given),
            ],
            cwd=CHECKOUT, capture_output=True, text=True, timeout=120, check=False,
            env={**os.environ, "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"), "ANSIBLE_HOME": str(self.folder)},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr


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


@pytest.mark.parametrize(("whose", "group"), [("keystone", "keystone_authtoken"), ("nova", "nova")])
def test_a_password_of_the_service_is_in_a_file_of_its_own(appliance: Appliance, whose: str, group: str) -> None:
    secret = "correct {horse} $battery"
    file = appliance.folder / "etc" / f"{whose}.password"
    said = appliance.run("passwords", CONFIGURATION, **{f"appliance_{whose}_password": secret})
    assert file.read_text() == f"{secret}\n"
    assert file.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in (appliance.folder / "etc").glob("*.password")] == [file.name]
    written = configparser.ConfigParser(interpolation=None)
    written.read_string(appliance.configuration.read_text())
    assert written[group]["password_file"] == str(file)
    assert secret not in said + appliance.configuration.read_text()
    read_at_start = appliance.folder / "etc" / "read_at_start"
    assert str(file) in read_at_start.read_text().splitlines()


def test_without_passwords_there_are_no_such_files(appliance: Appliance) -> None:
    appliance.run("passwords", CONFIGURATION)
    assert list((appliance.folder / "etc").glob("*.password")) == []
    assert "password_file" not in appliance.configuration.read_text()
    assert ".password" not in (appliance.folder / "etc" / "read_at_start").read_text()
