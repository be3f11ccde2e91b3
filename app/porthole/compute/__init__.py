"""Step 3, and again in step 7: find the instance's VNC server by asking libvirt.

:class:`Computes` is all that other packages use, with the words of ``model`` and
the errors of ``errors``. Below it, one room a concern::

    computes   all hosts: find, connect_info, listing
    host       one host: stays connected, keeps its instances current
    link       one connection, seen from gevent's hub
    native     the same connection, on native threads: the calls of libvirt
    threads    native threads, counted and bounded
    events     libvirt's event loop and its way to the hub
    probe      is there a libvirt at that address?
    xml        what a domain's XML says; owner and details have the parts of it that Nova writes
"""

from __future__ import annotations

from porthole.compute.computes import Computes
from porthole.compute.errors import (
    ComputeError,
    ComputeUnavailable,
    ConsoleTypeUnavailable,
    InstanceAmbiguous,
    InstanceNotFound,
    InstanceNotRunning,
)
from porthole.compute.model import ConnectInfo, Instance, Listing, PowerState

__all__ = [
    "ComputeError",
    "ComputeUnavailable",
    "Computes",
    "ConnectInfo",
    "ConsoleTypeUnavailable",
    "Instance",
    "InstanceAmbiguous",
    "InstanceNotFound",
    "InstanceNotRunning",
    "Listing",
    "PowerState",
]
