"""Everything away again: the hosts look as before, byte for byte, and what ran goes on."""

from __future__ import annotations

import difflib
from pathlib import Path

from tests.molecule import guests
from tests.molecule.cloud import Cloud, wait_until
from tests.molecule.reset.appearance import WRITTEN_DOWN, look
from tests.molecule.site import Site, works

RESET = "playbooks/reset.yml"
COMPUTES = ("compute1", "compute2")


def test_nothing_happens_without_a_yes(cloud: Cloud, inventory: Path) -> None:
    before = {name: host.files() for name, host in cloud.hosts.items()}
    run = cloud.playbook(inventory, playbook=RESET)
    assert run.status != 0
    assert "Nothing was changed. Type yes, or give -e reset_confirmed=yes." in run.output
    assert {name: host.files() for name, host in cloud.hosts.items()} == before


def test_all_is_as_it_was(cloud: Cloud, inventory: Path, figures: dict[str, str]) -> None:
    pids = {name: cloud[name].output("pgrep", "-f", f"guest=before-{name}") for name in COMPUTES}
    run = cloud.playbook(inventory, "-e", "reset_confirmed=yes", playbook=RESET)
    assert run.status == 0, run.output
    assert "PRIVATE KEY" not in run.output
    figures[RESET] = f"{run.seconds:.0f} s"
    wait_until(lambda: cloud["compute1"].run("systemctl", "is-active", "nova-compute", check=False).returncode == 0)
    for name, host in cloud.hosts.items():
        before, after = host.read(WRITTEN_DOWN).splitlines(), look(host).splitlines()
        assert list(difflib.unified_diff(before, after, n=0, lineterm="")) == [], name
    assert {name: cloud[name].output("pgrep", "-f", f"guest=before-{name}") for name in COMPUTES} == pids


def test_a_second_reset_changes_nothing(cloud: Cloud, inventory: Path) -> None:
    run = cloud.playbook(inventory, "-e", "reset_confirmed=yes", playbook=RESET)
    assert run.status == 0, run.output
    assert not any(run.changed.values()), run.output


def test_it_can_be_set_up_again(cloud: Cloud, inventory: Path) -> None:
    run = cloud.playbook(inventory)
    assert run.status == 0, run.output
    again = Site(cloud["console1"])
    for name in COMPUTES:
        guests.start(cloud[name], f"again-{name}", cloud[name].v4)
        client = again.open(f"again-{name}")
        assert works(client)
        client.close()
