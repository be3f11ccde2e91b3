"""Guests on the scenario's computes: ``python -m tests.molecule.guests COMPUTE NAME [LISTEN]`` starts one."""

from __future__ import annotations

import re
import sys
import uuid
from pathlib import Path

from tests.hosts.guest import GuestSpec, build_boot_image
from tests.molecule.cloud import CHECKOUT, Cloud, Host

IMAGE = "/var/lib/libvirt/images/guest.img"


def start(host: Host, name: str, listen: str = "") -> str:
    """Start a guest that stays defined; its UUID.

    :param listen: where its VNC server listens, as Nova writes it into a guest's XML; "" leaves that to qemu.conf
    """
    image = build_boot_image(CHECKOUT / ".cache" / "hosts" / "boot.img").read_bytes()
    host.python(f"open({IMAGE!r}, 'wb').write({image!r})")
    uid = str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{name}.{host.name}"))
    spec = GuestSpec(name, uid, Path(IMAGE), listen, port=None, metadata_name=name, serial=None, vnc=True)
    host.run("virsh", "define", "/dev/stdin", stdin=spec.xml())
    host.run("virsh", "start", name)
    return uid


def remove(host: Host, name: str) -> None:
    """Destroy and undefine a guest."""
    host.run("virsh", "destroy", name, check=False)
    host.run("virsh", "undefine", name, check=False)


def vnc(host: Host, name: str) -> tuple[str, int]:
    """Where the running guest's VNC server listens: address and port."""
    xml = host.output("virsh", "dumpxml", name)
    found = re.search(r"<graphics type='vnc' port='(\d+)'[^>]* listen='([^']*)'", xml)
    assert found, xml
    return found[2], int(found[1])


def main() -> int:
    """The command."""
    start(Cloud()[sys.argv[1]], *sys.argv[2:])
    return 0


if __name__ == "__main__":
    sys.exit(main())
