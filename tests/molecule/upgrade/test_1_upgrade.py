"""A newer release beside the running one: sessions stay, and new consoles are the newer one's."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import zipfile
from pathlib import Path

from bundling import archive, wheels
from tests.molecule.cloud import CHECKOUT, Cloud, wait_until
from tests.molecule.generations import Generations
from tests.molecule.site import Held, Site, works

OLDER, BROKEN = "0.0.9", "0.1.1"
DIST = CHECKOUT / "dist"
CONFIGURATION = "/etc/porthole/porthole.conf"
NEW_OPTION = "ping_interval = 19"

# At the end of the module, so that it counts instead of what is above.
BREAKAGE = """
def _serve(options: argparse.Namespace) -> None:
    raise SystemExit("This release was broken on purpose.")
"""


def test_sessions_outlive_the_upgrade(
    cloud: Cloud,
    site: Site,
    generations: Generations,
    newer: Path,
    held: Held,
    guest: str,
    older_configuration: str,
    figures: dict[str, str],
) -> None:
    assert NEW_OPTION not in older_configuration
    assert (generations.running(), generations.release()) == ([1], OLDER)
    url = site.api.console_url(guest)

    run = cloud.playbook(newer, playbook="playbooks/upgrade.yml")
    assert run.status == 0, run.output
    figures["playbooks/upgrade.yml"] = f"{run.seconds:.0f} s"
    assert "Draining, until their sessions have ended: 1." in run.output
    assert generations.release() == generations.release_of(2) != OLDER
    assert generations.release_of(1) == OLDER
    assert generations.running() == [1, 2]
    assert generations.at_boot() == [2]
    assert NEW_OPTION in site.host.read(CONFIGURATION), "the configuration is written for the release"

    assert generations.sessions() == {1: 1}
    assert held.works()
    opened = [site.open(guest) for _ in range(3)] + [site.open_url(url)]
    assert generations.sessions() == {1: 1, 2: len(opened)}
    assert all(map(works, opened))
    for client in opened:
        client.close()
    assert held.works()

    held.close()
    wait_until(lambda: generations.running() == [2])
    wait_until(lambda: generations.ended_well(1))


def test_a_second_upgrade_changes_nothing(cloud: Cloud, generations: Generations, newer: Path) -> None:
    run = cloud.playbook(newer, playbook="playbooks/upgrade.yml")
    assert run.status == 0, run.output
    assert not any(run.changed.values()), run.output
    assert generations.running() == [2]


def test_a_release_that_does_not_start(
    cloud: Cloud, site: Site, generations: Generations, newer: Path, held: Held, guest: str, tmp_path: Path
) -> None:
    release, configuration = generations.release(), site.host.read(CONFIGURATION)
    given = (
        *("-e", '{"appliance_options": {"proxy": {"ping_interval": 18}}}'),
        *("-e", f"appliance_release={BROKEN}"),
        *("-e", f"appliance_bundle_dir={broken_bundle(release, tmp_path).parent}"),
    )
    run = cloud.playbook(newer, *given, playbook="playbooks/upgrade.yml")
    assert run.status != 0
    said = re.sub(r"\s+", " ", run.output)
    assert "Generation 3 of the service did not start. Generation 2 runs as before." in said, run.output
    assert "This release was broken on purpose." in said, run.output

    assert generations.running() == generations.at_boot() == [2]
    assert (generations.release(), generations.release_of(2)) == (release, release)
    assert site.host.read(CONFIGURATION) == configuration, "should it be started again, it reads what it knows"
    assert "3" not in site.host.output("ls", "/opt/porthole/instances").split()
    assert held.works()
    client = site.open(guest)
    assert works(client)
    client.close()


def broken_bundle(release: str, folder: Path) -> Path:
    """The bundle of a release, under another label and with a service that ends as soon as it is started."""
    (good,) = DIST.glob(f"porthole-{release}-*.tar.gz")
    shutil.unpack_archive(good, folder)
    top = (folder / good.name.removesuffix(".tar.gz")).rename(
        folder / good.name.removesuffix(".tar.gz").replace(f"-{release}-", f"-{BROKEN}-", 1)
    )
    (wheel,) = top.glob("wheels/porthole-*.whl")
    with zipfile.ZipFile(wheel) as packed:
        files = {entry.filename: packed.read(entry) for entry in packed.infolist()}
    files["porthole/cli.py"] += BREAKAGE.encode()
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    (top / "requirements.txt").write_text(wheels.hashed_requirements(sorted(wheel.parent.glob("*.whl"))))
    manifest = json.loads((top / "manifest.json").read_text())
    manifest["release"] = BROKEN
    manifest["wheels"][wheel.name] = hashlib.sha256(wheel.read_bytes()).hexdigest()
    (top / "manifest.json").write_text(json.dumps(manifest))
    bundle = folder / f"{top.name}.tar.gz"
    archive.write(top, bundle)
    return bundle
