"""The Vagrantfile, its README and what script/test asks for a console have the same machines and addresses."""

from __future__ import annotations

import re
from pathlib import Path

from vagrant_lab.__main__ import APPLIANCE, COMPUTES

VAGRANT = Path(__file__).resolve().parents[3] / "vagrant"


def test_the_appliance_is_asked_where_it_is() -> None:
    vagrantfile = (VAGRANT / "Vagrantfile").read_text()
    (network,) = re.findall(r': "(10[.\d]+)"\)$', vagrantfile, re.MULTILINE)
    machines = dict(re.findall(r'"(\w+)" => "#\{NETWORK\}\.(\d+)"', vagrantfile))

    assert f"https://{network}.{machines.pop('console1')}:6080" == APPLIANCE
    assert tuple(machines) == COMPUTES


def test_the_readme_says_where_the_appliance_is() -> None:
    assert f"<{APPLIANCE}/>" in (VAGRANT / "README.md").read_text()
