"""One more compute: one file changes on the appliance, and no session ends."""

from __future__ import annotations

from pathlib import Path

from tests.molecule import guests
from tests.molecule.cloud import Cloud
from tests.molecule.site import Held, Site, works

LIST = "/etc/porthole/porthole.conf.d/50-computes.conf"
# Beside a generation's link is the play's own record of what it was started with, NUMBER.json.
FILES = (
    "find /etc/porthole /opt/porthole/current /opt/porthole/instances /etc/systemd/system"
    " -type f ! -path '/opt/porthole/instances/*.json' -o -type l"
    " | sort | xargs -d '\\n' sha256sum 2>/dev/null; readlink /opt/porthole/current"
)


def test_one_file_and_no_session(
    cloud: Cloud, site: Site, inventory: Path, tmp_path: Path, figures: dict[str, str]
) -> None:
    compute = cloud["compute2"]
    guests.start(compute, "held")
    held = Held(site.open("held"))
    nova = ("systemctl", "show", "-p", "InvocationID", "nova-compute")
    nova_before, unit = cloud["compute1"].output(*nova), site.unit()
    service = ("systemctl", "show", "-p", "InvocationID", "-p", "MainPID", unit)
    service_before = site.host.output(*service)
    before = set(site.host.output("sh", "-c", FILES).splitlines())

    more = tmp_path / "inventory.yml"
    more.write_text(inventory.read_text() + "    compute3:\n")
    run = cloud.playbook(more)
    assert run.status == 0, run.output

    figures["site.yml with one more compute"] = f"{run.seconds:.0f} s"
    changed = {line.split()[-1] for line in before ^ set(site.host.output("sh", "-c", FILES).splitlines())}
    assert changed == {LIST}
    assert site.unit() == unit
    assert site.host.output(*service) == service_before
    assert cloud["compute1"].output(*nova) == nova_before, "nova-compute was restarted for nothing"
    assert held.works(), "the session was dropped"
    held.close()

    guests.start(cloud["compute3"], "newcomer")
    client = site.open("newcomer")
    assert works(client)
    client.close()

    # Guests that run since before are named, until they are started anew.
    for name in ("before-compute1", "before-compute2", "before-compute3"):
        assert name in run.output
    # Molecule's own idempotence runs a second time; of a site that has grown check mode says that nothing is left.
    check = cloud.playbook(more, "--check", "--diff")
    assert check.status == 0, check.output
    assert not any(check.changed.values()), check.output
    assert diff_free(check.output)


def diff_free(output: str) -> bool:
    """Whether ``--diff`` showed nothing."""
    return not any(line.startswith(("--- before", "+++ after")) for line in output.splitlines())
