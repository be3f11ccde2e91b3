"""The domain's metadata as Nova's own classes write them, read by the service."""

from __future__ import annotations

from pathlib import Path

from porthole.compute.details import Details, Flavor, Image
from porthole.compute.owner import Owner
from porthole.compute.xml import parse
from tests.openstack.environment import run_python


def test_what_nova_writes_is_what_is_read(tmp_path: Path) -> None:
    done = run_python(str(Path(__file__).with_name("nova_writes.py")), home=tmp_path)
    assert done.returncode == 0, done.stderr
    domain = parse(
        "<domain><name>instance-00000001</name><uuid>7b1b4f4e-2a57-4d5b-9c39-0d9a1f3f8a10</uuid>"
        f"<metadata>{done.stdout}</metadata><memory>2097152</memory><vcpu>1</vcpu><devices/></domain>"
    )

    assert domain.display_name == "Shop <&> 1"
    assert domain.owner == Owner("5b1e", "7c8d")
    assert domain.details == Details(
        Flavor("2", "m1.small", 1, 2048, 20, 5, 512, (("hw:cpu_policy", "shared"), ("quota:vif", "1"))),
        Image("155d900f-4e14-4e4c-a73d-069cbf4541e6", (("hw_disk_bus", "virtio"),)),
        "2026-11-28T18:00:00Z",
    )
