"""The parts of the tests and what each needs."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass

from provision import debian
from provision.debian import Need, file, program
from systemd_hosts import trees


@dataclass(frozen=True, slots=True)
class Part:
    """One part.

    :ivar folder: its folder of pytest tests below the checkout, or None
    :ivar needs: Debian packages
    :ivar namespaces: whether it has to be root and make network and mount namespaces
    :ivar by_default: whether it runs when no part is named
    """

    name: str
    about: str
    folder: str | None
    needs: tuple[Need, ...]
    namespaces: bool = False
    by_default: bool = True


BROWSER = "tests/browser"
OPENSTACK = "tests/openstack"
"""The folder whose tests have a virtual environment of OpenStack's own packages."""

_HOSTS = (
    *debian.PYTHON_NEEDS,
    *debian.NODE_NEEDS,
    *debian.HYPERVISOR_NEEDS,
    program("libvirt-clients", "virsh"),
    program("iproute2", "ip", "ss"),
    program("util-linux", "unshare", "nsenter"),
    program("procps", "ps"),
    program("openssl", "openssl"),
    file("novnc", "/usr/share/novnc/vnc.html"),
)

_BROWSER = (
    program("chromium", "chromium"),
    file("fonts-dejavu-core", "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"),
)

_VAGRANT = (
    program("vagrant", "vagrant"),
    file("vagrant-libvirt", "/usr/share/rubygems-integration/all/gems/vagrant-libvirt-*"),
)

PARTS = (
    Part(
        "lint",
        "format, style, types, import rules, shell scripts, roles and playbooks, the Vagrantfile",
        None,
        (*debian.PYTHON_NEEDS, program("shellcheck", "shellcheck"), *_VAGRANT),
    ),
    Part("unit", "each package by itself, without libvirtd", "tests/unit", (*debian.PYTHON_NEEDS, *debian.NODE_NEEDS)),
    Part(
        "integration",
        "the service in front of real libvirtd and QEMU",
        "tests/integration",
        (*_HOSTS, program("nginx", "nginx"), program("haproxy", "haproxy"), program("curl", "curl")),
        namespaces=True,
    ),
    Part(
        "openstack",
        "OpenStack's own clients, Keystone and nova-api, from PyPI, with the service in front of real guests",
        OPENSTACK,
        (*_HOSTS, *_BROWSER, program("curl", "curl")),
        namespaces=True,
    ),
    Part(
        "attacks",
        "hostile VNC servers, browsers and clients against the service, by the names of what others got wrong",
        "tests/attacks",
        _HOSTS,
        namespaces=True,
    ),
    Part(
        "browser",
        "the pages in Chromium in front of real guests",
        BROWSER,
        (*_HOSTS, *_BROWSER),
        namespaces=True,
    ),
    Part(
        "lab",
        "script/lab itself, from its start to its end",
        "tests/lab",
        (*debian.PYTHON_NEEDS, *debian.NODE_NEEDS, *debian.HYPERVISOR_NEEDS),
    ),
    Part(
        "molecule",
        "site.yml and the other playbooks on real hosts with systemd, libvirt and Nova",
        None,
        (*debian.PYTHON_NEEDS, *debian.NODE_NEEDS, *trees.NEEDS, program("binutils", "as", "ld")),
        namespaces=True,
    ),
    Part(
        "vagrant",
        "the Vagrant lab, from 'vagrant up' over a console to 'vagrant destroy'; only when it is named (root)",
        None,
        (
            *debian.PYTHON_NEEDS,
            *debian.NODE_NEEDS,
            *debian.HYPERVISOR_NEEDS,
            *_VAGRANT,
            program("libvirt-clients", "virsh"),
            program("iproute2", "ip"),
            program("dnsmasq-base", "dnsmasq"),
            program("iptables", "iptables", "ip6tables"),
            program("openssh-client", "ssh"),
            program("util-linux", "unshare"),
            program("mmdebstrap", "mmdebstrap"),
            program("qemu-utils", "qemu-img"),
            program("e2fsprogs", "mkfs.ext4"),
            file("debian-archive-keyring", "/usr/share/keyrings/debian-archive-keyring.gpg"),
        ),
        by_default=False,
    ),
)


def why_no_namespaces() -> str | None:
    """Why this process cannot make the namespaces that compute hosts live in, or None when it can."""
    if os.geteuid() != 0:
        return "this is not root"
    unshare = debian.find_program("unshare") or "unshare"
    tried = subprocess.run(
        [unshare, "--mount", "--net", "--uts", "true"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return None if tried.returncode == 0 else f"this machine does not allow them ({tried.stderr.strip()})"
