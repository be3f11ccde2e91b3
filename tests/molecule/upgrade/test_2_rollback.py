"""Back to the release that ran before."""

from __future__ import annotations

from pathlib import Path

from tests.molecule.cloud import Cloud, wait_until
from tests.molecule.generations import Generations
from tests.molecule.site import Held, Site, works

OLDER = "0.0.9"
CONFIGURATION = "/etc/porthole/porthole.conf"


def test_sessions_outlive_the_way_back(
    cloud: Cloud, site: Site, generations: Generations, newer: Path, held: Held, guest: str, older_configuration: str
) -> None:
    (before,) = generations.running()
    newest = generations.release()

    run = cloud.playbook(newer, playbook="playbooks/rollback.yml")
    assert run.status == 0, run.output
    assert f"Set appliance_release to {OLDER} in the inventory" in run.output
    after = before + 1
    assert generations.release() == generations.release_of(after) == OLDER
    assert generations.release_of(before) == newest
    assert generations.running() == [before, after]
    assert generations.at_boot() == [after]
    assert site.host.read(CONFIGURATION) == older_configuration, "an older release may not know newer options"

    client = site.open(guest)
    assert generations.sessions() == {before: 1, after: 1}
    assert works(client)
    client.close()
    assert held.works()
    held.close()
    wait_until(lambda: generations.running() == [after])
