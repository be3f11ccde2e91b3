"""playbooks/nova_console.yml on the files of a real Nova, whose own loader says what counts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.openstack.environment import program, run_python

ROOT = Path(__file__).resolve().parents[2]
URL = "https://consoles.example.org/vnc_auto.html"
DEFAULT = "http://127.0.0.1:6080/vnc_auto.html"

MAIN = """\
[DEFAULT]
my_ip = 10.0.0.5

# The proxy of before.
[vnc]
enabled = true
novncproxy_base_url = http://10.0.0.1:6080/vnc_lite.html
[libvirt]
virt_type = kvm"""
"""Without a newline at its end, which has to stay so."""

SYSTEMCTL = """\
#!/bin/sh
case "$*" in
  *"-p ExecStart"*) echo "ExecStart={{ path=nova-compute ; argv[]={words} ; ignore_errors=no ; pid=0 }}" ;;
  *"-p LoadState"*) echo loaded ;;
  *show*) printf 'LoadState=loaded\\nActiveState=active\\n' ;;
  *) echo "$@" >>{restarts} ;;
esac
"""
"""Tells of units that run, and notes what is done to them."""

SECOND = "[vnc]\nnovncproxy_base_url=http://10.0.0.2:6080/vnc_lite.html\n"


class Compute:
    """nova.conf and nova-compute.conf, in the order in which Debian has them read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.main, self.second = folder / "nova.conf", folder / "nova-compute.conf"
        self.main.write_text(MAIN)
        self.second.write_text("[DEFAULT]\ncompute_driver=libvirt.LibvirtDriver\n")
        self.named = [str(self.main), str(self.second)]
        self.restarts = folder / "restarts"

    def has_units(self) -> None:
        """From now on nova-compute and nova-novncproxy are units that run, by the word of a stand-in for systemctl."""
        programs = self.folder / "bin"
        programs.mkdir()
        started = programs / "nova-compute"
        started.write_text(f"#!{program('python')}\n")
        words = " ".join([str(started), *(f"--config-file {path}" for path in self.named)])
        systemctl = programs / "systemctl"
        systemctl.write_text(SYSTEMCTL.format(words=words, restarts=self.restarts))
        systemctl.chmod(0o755)
        self.named = []

    def restarted(self) -> set[str]:
        """The units that were restarted since the last time this was asked."""
        text = self.restarts.read_text() if self.restarts.exists() else ""
        self.restarts.unlink(missing_ok=True)
        return {line.split()[-1] for line in text.splitlines()}

    def play(self, state: str = "present", *arguments: str, check: bool = True, **more: Any) -> Any:
        """Run the role; the play's figures of this host, and what was said."""
        variables = {
            "nova_console_state": state,
            "nova_console_base_url": URL,
            "nova_console_config_files": self.named,
            "nova_console_python": program("python"),
            "nova_console_state_file": str(self.folder / "state.json"),
            "ansible_python_interpreter": sys.executable,
            **more,
        }
        inventory = self.folder / "hosts"
        inventory.write_text("[computes]\ncompute-1 ansible_connection=local ansible_become=false\n")
        environment = {
            **os.environ, "ANSIBLE_ROLES_PATH": str(ROOT / "roles"), "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_LOCAL_TEMP": str(self.folder / "tmp"),
            "PATH": os.pathsep.join([str(self.folder / "bin"), os.environ.get("PATH", os.defpath)]),
        }  # fmt: skip
        done = subprocess.run(
            [
                str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(inventory),
                "-e", json.dumps(variables), *arguments, str(ROOT / "playbooks" / "nova_console.yml"),
            ],
            cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300,
            check=False,
        )  # fmt: skip
        assert (done.returncode == 0) is check, done.stdout + done.stderr
        return json.loads(done.stdout)["stats"]["compute-1"]["changed"] if check else done.stdout

    def reads(self) -> dict[str, Any]:
        """What Nova's own loader makes of the files."""
        code = (
            "import json, sys, nova.conf; C = nova.conf.CONF; C(sys.argv[1:], project='nova', prog='nova-compute');"
            "print(json.dumps([C.vnc.novncproxy_base_url, C.console.allowed_origins, C.vnc.enabled]))"
        )
        files = [word for path in (self.main, self.second) for word in ("--config-file", str(path))]
        done = run_python("-W", "ignore", "-c", code, *files, home=self.folder)
        assert done.returncode == 0, done.stderr
        url, origins, enabled = json.loads(done.stdout.splitlines()[-1])
        return {"url": url, "origins": origins, "enabled": enabled}

    def texts(self) -> tuple[str, str]:
        return self.main.read_text(), self.second.read_text()


@pytest.fixture
def compute(tmp_path: Path) -> Compute:
    return Compute(tmp_path)


def test_nova_hands_out_the_appliance_and_then_what_it_did_before(compute: Compute) -> None:
    before = compute.texts()
    assert compute.play("present", "--check", "--diff") == 1
    assert compute.texts() == before
    assert compute.play() == 1
    assert compute.reads() == {"url": URL, "origins": [], "enabled": True}
    assert compute.play() == 0
    moved = "https://other.example.org/vnc_auto.html"
    assert compute.play(nova_console_base_url=moved) == 1
    assert compute.reads()["url"] == moved
    assert compute.play("absent", "--check") == 1
    assert compute.reads()["url"] == moved
    assert compute.play("absent") == 1
    assert compute.texts() == before
    assert not (compute.folder / "state.json").exists()
    assert compute.play("absent") == 0


def test_the_file_that_is_read_last_does_not_win(compute: Compute) -> None:
    compute.second.write_text(SECOND)
    before = compute.texts()
    compute.play()
    assert compute.reads()["url"] == URL
    compute.play("absent")
    assert compute.texts() == before


def test_where_nothing_was_set_nothing_stays(compute: Compute) -> None:
    compute.main.write_text("[DEFAULT]\n")
    before = compute.texts()
    compute.play(nova_console_allowed_origins=["dashboard.example.org", "other.example.org"])
    assert compute.reads() == {"url": URL, "origins": ["dashboard.example.org", "other.example.org"], "enabled": True}
    assert compute.play(nova_console_allowed_origins=["dashboard.example.org", "other.example.org"]) == 0
    compute.play()  # the option that is not wanted any more is brought back
    assert compute.reads()["origins"] == []
    compute.play("absent")
    assert compute.texts() == before
    assert compute.reads()["url"] == DEFAULT


def test_what_somebody_else_has_set_since_stays_and_is_told(compute: Compute) -> None:
    compute.play()
    compute.main.write_text(compute.main.read_text().replace(URL, "https://by-hand.example.org/vnc_auto.html"))
    compute.play("absent")
    assert compute.reads()["url"] == "https://by-hand.example.org/vnc_auto.html"


def test_nova_novncproxy_is_restarted_when_its_own_option_has_changed_and_only_then(compute: Compute) -> None:
    compute.has_units()
    proxies = {"nova-novncproxy.service", "openstack-nova-novncproxy.service"}
    moved = {"nova_console_base_url": "https://other.example.org/vnc_auto.html"}
    origins = {"nova_console_allowed_origins": ["dashboard.example.org"]}
    for state, variables, expected in (
        ("present", {}, {"nova-compute.service"}),
        ("present", origins, {"nova-compute.service", *proxies}),
        ("present", origins, set()),
        ("present", origins | moved, {"nova-compute.service"}),
        ("present", moved, {"nova-compute.service", *proxies}),  # the option is brought back
        ("present", origins | moved, {"nova-compute.service", *proxies}),
        ("absent", {}, {"nova-compute.service", *proxies}),
    ):
        compute.play(state, **variables)
        assert compute.restarted() == expected, (state, variables)


@pytest.mark.parametrize("url", ["", "consoles.example.org", f"{URL}?path=x", "https://a b/vnc_auto.html"])
def test_an_address_that_is_none_is_refused_before_anything_is_touched(compute: Compute, url: str) -> None:
    before = compute.texts()
    assert "without a query" in compute.play(check=False, nova_console_base_url=url)
    assert compute.texts() == before
