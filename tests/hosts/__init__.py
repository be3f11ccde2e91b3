"""Real compute hosts for the tests: libvirtd and QEMU guests in network namespaces.

Needs root and the Debian packages libvirt-daemon, libvirt-daemon-driver-qemu,
qemu-system-x86, binutils, iproute2 and util-linux.
"""

from __future__ import annotations

from .compute import ComputeHost, Guest
from .guest import BANNER
from .network import Namespace, Network

__all__ = ["BANNER", "ComputeHost", "Guest", "Namespace", "Network"]
