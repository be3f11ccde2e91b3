"""A renewed certificate: the running generation takes it. A new key: a new generation. Sessions stay as they may."""

from __future__ import annotations

import ssl
from pathlib import Path

from tests.molecule.cloud import Cloud, wait_until
from tests.molecule.generations import Generations
from tests.molecule.site import PORT, Held, Site, works

CERTIFICATE = "/etc/porthole/pki/tls.crt"
SECONDS = 4
GOING_AWAY = 1001


def test_a_certificate_and_a_key(
    cloud: Cloud,
    site: Site,
    generations: Generations,
    inventory: Path,
    held: Held,
    guest: str,
    figures: dict[str, str],
) -> None:
    (first,) = generations.running()
    certificate = site.host.read(CERTIFICATE)
    site.host.run("rm", CERTIFICATE)
    alone = cloud.playbook(inventory, playbook="playbooks/appliance.yml")
    assert alone.status == 0, alone.output
    renewed = site.host.read(CERTIFICATE)
    assert renewed != certificate
    assert generations.running() == [first], "nothing but the certificate has changed"
    wait_until(lambda: ssl.get_server_certificate((site.host.v4, PORT)).strip() == renewed.strip())
    # From this generation on, sessions are kept for a few seconds only.
    renewal = cloud.playbook(
        inventory, "-e", f"appliance_graceful_shutdown_timeout={SECONDS}", playbook="playbooks/appliance.yml"
    )
    assert renewal.status == 0, renewal.output
    assert generations.running() == [first, first + 1]
    assert held.works()
    url, short = site.api.console_url(guest), Held(site.open(guest))
    assert generations.sessions() == {first: 1, first + 1: 1}

    rotation = cloud.playbook(inventory, playbook="playbooks/rotate_keys.yml")
    assert rotation.status == 0, rotation.output
    figures["playbooks/rotate_keys.yml"] = f"{rotation.seconds:.0f} s"
    assert short.wait_for_close().code == GOING_AWAY
    wait_until(lambda: generations.running() == [first, first + 2])
    wait_until(lambda: generations.ended_well(first + 1))
    assert generations.at_boot() == [first + 2]
    client = site.open_url(url)
    assert generations.sessions() == {first: 1, first + 2: 1}
    assert works(client)
    assert held.works()
    client.close()
    held.close()
    wait_until(lambda: generations.running() == [first + 2])
    wait_until(lambda: generations.ended_well(first))
