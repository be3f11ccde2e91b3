"""What is wrong with an inventory is said in a sentence, and no host is touched.

The hosts here are two that have not been set up, so that anything done would show.
"""

from __future__ import annotations

import datetime
import re
from pathlib import Path

import pytest

from tests.certificates import Authority
from tests.molecule.cloud import Cloud, Run

GROUPS = """\
appliance: {hosts: {other1: }}
computes: {hosts: {compute3: }}
"""


def refused(cloud: Cloud, folder: Path, text: str) -> Run:
    """Run site.yml with an inventory; it has to fail without a change on any host."""
    inventory = folder / "inventory.yml"
    inventory.write_text(text)
    before = {name: cloud[name].files() for name in ("other1", "compute3")}
    run = cloud.playbook(inventory)
    assert run.status != 0, run.output
    assert not any(run.changed.values()), run.output
    assert {name: cloud[name].files() for name in before} == before
    return run


def sentence(run: Run) -> str:
    """The messages of the tasks that failed, on one line."""
    return re.sub(r"\s+", " ", run.output)


def test_no_appliance(cloud: Cloud, tmp_path: Path) -> None:
    run = refused(cloud, tmp_path, "computes: {hosts: {compute3: }}\n")
    assert 'The inventory\'s group "appliance" has 0 hosts; it has to have exactly one.' in sentence(run)


def test_two_appliances(cloud: Cloud, tmp_path: Path) -> None:
    run = refused(cloud, tmp_path, "appliance: {hosts: {other1: , console1: }}\ncomputes: {hosts: {compute3: }}\n")
    assert 'group "appliance" has 2 hosts' in sentence(run)
    assert "a store that they share" in sentence(run)


def test_no_computes(cloud: Cloud, tmp_path: Path) -> None:
    run = refused(cloud, tmp_path, "appliance: {hosts: {other1: }}\n")
    assert 'The inventory\'s group "computes" is missing or empty.' in sentence(run)


@pytest.mark.parametrize("variable", ["appliance_novncproxy_port", "compute_vnc_remote_display_port_max", "pki_days"])
def test_a_variable_of_the_wrong_type(cloud: Cloud, tmp_path: Path, variable: str) -> None:
    run = refused(cloud, tmp_path, f"{GROUPS}all: {{vars: {{{variable}: many}}}}\n")
    assert re.search(rf"{variable}\b.*\bint", sentence(run)), run.output


def test_an_expired_certificate(cloud: Cloud, tmp_path: Path) -> None:
    certificate, key = Authority(tmp_path / "ca").issue(
        "console", "console.example.org", good_for=-datetime.timedelta(days=1)
    )
    variables = (
        f"appliance_tls_certificate: \"{{{{ lookup('file', '{certificate}') }}}}\"\n"
        f"    appliance_tls_key: \"{{{{ lookup('file', '{key}') }}}}\"\n"
        "    appliance_novncproxy_base_url: https://console.example.org:6080/vnc_auto.html\n"
    )
    run = refused(cloud, tmp_path, f"{GROUPS}all:\n  vars:\n    {variables}")
    assert "expired" in sentence(run), run.output
    assert key.read_text().splitlines()[1] not in run.output
