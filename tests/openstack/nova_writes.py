"""The metadata that Nova's libvirt driver writes into a domain: a program for the venv with OpenStack's packages.

It prints the XML of ``nova:instance`` for an instance that is always the same, by Nova's own classes.
"""

from __future__ import annotations

from types import SimpleNamespace

from nova.virt.libvirt import config

IMAGE = "155d900f-4e14-4e4c-a73d-069cbf4541e6"


def metadata() -> str:
    """nova/virt/libvirt/driver.py ``_get_guest_config_meta``."""
    meta = config.LibvirtConfigGuestMetaNovaInstance()
    meta.package, meta.name, meta.creationTime = "34.0.0", "Shop <&> 1", 1795888800
    meta.flavor = config.LibvirtConfigGuestMetaNovaFlavor()
    meta.flavor.name, meta.flavor.id = "m1.small", "2"
    meta.flavor.memory, meta.flavor.disk, meta.flavor.swap = 2048, 20, 512
    meta.flavor.ephemeral, meta.flavor.vcpus = 5, 1
    meta.flavor.extra_specs = {"hw:cpu_policy": "shared", "quota:vif": "1"}
    meta.image = config.LibvirtConfigGuestMetaImage()
    meta.image.uuid = IMAGE
    meta.image.image_meta = SimpleNamespace(
        container_format="bare", disk_format="qcow2", min_disk="1", min_ram="0", properties={"hw_disk_bus": "virtio"}
    )
    meta.owner = config.LibvirtConfigGuestMetaNovaOwner()
    meta.owner.userid, meta.owner.username = "7c8d", "alice"
    meta.owner.projectid, meta.owner.projectname = "5b1e", "web"
    meta.roottype, meta.rootid = "image", IMAGE
    written: str = meta.to_xml()
    return written


if __name__ == "__main__":
    print(metadata())
