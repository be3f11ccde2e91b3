"""Enforced: guests without TLS have no console any more, with the reason; those with TLS go on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import websocket

from tests.molecule.cloud import Cloud, Run
from tests.molecule.site import Held, Site, works
from tests.molecule.stages.looks import without_tls

ENFORCED = ("-e", '{"compute_vnc_tls_stage": "enforced", "compute_vnc_novncproxy_hosts": []}')


@pytest.fixture(scope="module")
def held(cloud: Cloud, site: Site) -> Held:
    """A console of a guest of compute1 that has been started anew, open throughout the run."""
    start_anew(cloud, "old-compute1")
    return Held(site.open("old-compute1"))


@pytest.fixture(scope="module", autouse=True)
def run(cloud: Cloud, inventory: Path, held: Held) -> Run:
    """The inventory is changed and site.yml run once more."""
    run = cloud.playbook(inventory, *ENFORCED)
    assert run.status == 0, run.output
    return run


def test_the_guests_that_are_left_are_named(run: Run) -> None:
    text = re.sub(r"\s+", " ", run.output)
    for name in ("before-compute1", "before-compute2", "old-compute2"):
        assert re.search(rf"{name} \([-0-9a-f]+\) [^:]*has no TLS: start it anew", text), run.output
    assert "old-compute1 (" not in text


def test_an_open_console_went_on(held: Held) -> None:
    assert held.works()
    held.close()


def test_a_guest_without_tls_has_no_console(site: Site) -> None:
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        site.open("old-compute2")
    assert refused.value.status_code == 502
    assert b"screen-not-secure" in (refused.value.resp_body or b"")


def test_the_proxy_is_shut_out(cloud: Cloud) -> None:
    assert without_tls(cloud["proxy1"], cloud["compute2"], "old-compute2") == "shut"


def test_started_anew_they_have_one(cloud: Cloud, site: Site) -> None:
    for name in ("before-compute1", "before-compute2", "old-compute2"):
        start_anew(cloud, name)
        client = site.open(name)
        assert works(client)
        client.close()
    assert without_tls(cloud["console1"], cloud["compute2"], "old-compute2") == "security types 19"


def test_a_clock_that_is_apart_is_found_and_else_nothing_is(cloud: Cloud, inventory: Path) -> None:
    """Containers share this machine's clock, so the command that tells the time there is imitated: two minutes late."""
    late = "#!/bin/sh\nexec /usr/bin/date --date='120 seconds ago' \"$@\"\n"
    cloud["compute1"].run("install", "-m", "755", "/dev/stdin", "/usr/local/bin/date", stdin=late)
    found = cloud.playbook(inventory, *ENFORCED, playbook="playbooks/validate.yml")
    cloud["compute1"].run("rm", "/usr/local/bin/date")
    assert found.status != 0
    assert "Findings: 1." in found.output, found.output
    assert "compute1: The clock" in found.output, found.output
    clean = cloud.playbook(inventory, *ENFORCED, playbook="playbooks/validate.yml")
    assert clean.status == 0, clean.output


def start_anew(cloud: Cloud, guest: str) -> None:
    """Stop a guest and start it."""
    for verb in ("destroy", "start"):
        cloud[guest.split("-")[1]].run("virsh", verb, guest)
