"""What was set up is there again after a reboot."""

from __future__ import annotations

from tests.molecule import guests
from tests.molecule.cloud import Cloud, Host, wait_until
from tests.molecule.site import Site, works


def test_everything_comes_back(cloud: Cloud, site: Site) -> None:
    for name in ("compute2", "console1"):
        reboot(cloud[name])
    wait_until(site.api.is_ready)
    assert cloud["compute2"].output("systemctl", "is-active", "porthole-firewall.service") == "active"
    guests.start(cloud["compute2"], "rebooted")
    wait_until(lambda: any(one["name"] == "rebooted" for one in site.api.instances()))
    client = site.open("rebooted")
    assert works(client)
    client.close()


def reboot(host: Host) -> None:
    """Reboot it and wait until it answers again."""
    boot = host.output("systemctl", "show", "--value", "-p", "UserspaceTimestampMonotonic")
    host.run("systemctl", "reboot", check=False)

    def answers() -> bool:
        done = host.run("systemctl", "show", "--value", "-p", "UserspaceTimestampMonotonic", check=False)
        return done.returncode == 0 and done.stdout.strip() != boot

    wait_until(answers)
