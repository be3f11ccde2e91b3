"""A guest without TLS migrates live to another compute, through its firewall and libvirt's TLS, and has TLS there."""

from __future__ import annotations

from tests.molecule import guests
from tests.molecule.cloud import Cloud, wait_until
from tests.molecule.site import Site, works
from tests.molecule.stages.looks import without_tls

GUEST = "moving"


def test_a_live_migration(cloud: Cloud, site: Site) -> None:
    source, target = cloud["compute2"], cloud["compute1"]
    guests.start(source, GUEST)
    assert without_tls(cloud["proxy1"], source, GUEST) == f"sees QEMU ({GUEST})"
    # As Nova does it: the source's libvirt connects to the target's with its own certificate.
    source.run(
        *("virsh", "migrate", "--live", "--p2p", "--persistent", "--undefinesource", GUEST),
        *(f"qemu+tls://{target.v4}/system", f"tcp://{target.v4}"),
    )
    assert source.run("virsh", "domstate", GUEST, check=False).returncode != 0
    assert target.output("virsh", "domstate", GUEST) == "running"
    assert guests.vnc(target, GUEST)[0] == target.v4
    assert without_tls(cloud["console1"], target, GUEST) == "security types 19"
    wait_until(lambda: compute_of(site, GUEST) == "compute1")
    client = site.open(GUEST)
    assert works(client)
    client.close()
    guests.remove(target, GUEST)


def compute_of(site: Site, name: str) -> str:
    """Where the service says that an instance is."""
    return {one["name"]: str(one["compute"]) for one in site.api.instances()}.get(name, "")
