"""The networks of the tests: network namespaces joined by two bridges.

::

    browser ──┐                             ┌── compute host 1
              ├─ public bridge              ├─ private bridge
    appliance ┴──── (no forwarding) ────────┴── compute host 2

The tests' own process has an address on each bridge. All names end in a random
suffix with the run's process id and the subnets are chosen free of clashes, so
that several runs go side by side and leftovers can be told (:func:`sweep`). Needs root, iproute2 and util-linux.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import random
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .shell import CommandFailed, quietly, sh

ATTEMPTS = 20
FOLDER_PREFIX = "porthole-"
"""Of the compute hosts' folders, before their namespace's name."""

_POOL = ipaddress.IPv4Network("10.64.0.0/10")


class Namespace:
    """A network namespace.

    :ivar name: its name, as ``ip netns`` lists it
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._processes: list[subprocess.Popen[Any]] = []
        self._links: list[str] = []
        sh("ip", "netns", "add", name)
        sh("ip", "-n", name, "link", "set", "lo", "up")

    def attach(self, bridge: str, interface: str, address: str) -> str:
        """Give the namespace a leg: an interface with an address on a bridge.

        :param interface: its name inside the namespace
        :param address: with prefix length, ``10.64.1.11/24``
        :returns: the name of the leg's other end, which sits on the bridge
        """
        outer = f"{self.name}{interface[-1]}"
        sh("ip", "link", "add", outer, "type", "veth", "peer", "name", interface, "netns", self.name)
        self._links.append(outer)
        sh("ip", "link", "set", outer, "master", bridge, "up")
        sh("ip", "-n", self.name, "addr", "add", address, "dev", interface)
        sh("ip", "-n", self.name, "link", "set", interface, "up")
        return outer

    def command(self, command: Sequence[str]) -> list[str]:
        """The command line that runs a command in this namespace; it keeps its process id through the exec."""
        return ["nsenter", f"--net=/run/netns/{self.name}", "--", *command]

    def run(self, command: Sequence[str], **options: Any) -> subprocess.CompletedProcess[Any]:
        """``subprocess.run`` inside the namespace."""
        check = options.pop("check", False)
        return subprocess.run(self.command(command), check=check, **options)

    def popen(self, command: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """``subprocess.Popen`` inside the namespace. What still runs at :meth:`close` is ended then."""
        process: subprocess.Popen[Any] = subprocess.Popen(self.command(command), **options)
        self._processes.append(process)
        return process

    def pids(self) -> list[int]:
        """Ids of the processes that run in the namespace."""
        done = subprocess.run(["ip", "netns", "pids", self.name], capture_output=True, text=True, check=False)
        return [int(pid) for pid in done.stdout.split()]

    def close(self) -> None:
        """End the processes in it (nobody else's can be there) and remove it."""
        end = time.monotonic() + 10
        while (pids := self.pids()) and time.monotonic() < end:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for process in self._processes:
                process.poll()
            time.sleep(0.02)
        for process in self._processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1)
        for link in self._links:
            quietly("ip", "link", "del", link)
        quietly("ip", "netns", "del", self.name)


class Subnet:
    """A /24 with its bridge.

    :ivar bridge: the bridge's name
    :ivar gateway: the address of the tests' own process on it
    """

    def __init__(self, bridge: str) -> None:
        self.bridge = bridge
        self._net = _free_subnet()
        self.gateway = self.ip(1)
        sh("ip", "link", "add", bridge, "type", "bridge")
        try:
            sh("ip", "addr", "add", self.cidr(1), "dev", bridge)
            sh("ip", "link", "set", bridge, "up")
        except CommandFailed:
            self.close()
            raise

    def ip(self, host: int) -> str:
        """Its ``host``-th address."""
        return str(self._net[host])

    def cidr(self, host: int) -> str:
        """The same with the prefix length."""
        return f"{self._net[host]}/{self._net.prefixlen}"

    def close(self) -> None:
        """Remove the bridge."""
        quietly("ip", "link", "del", self.bridge)


class Network:
    """Both bridges, with the browser's and the appliance's namespaces.

    :ivar suffix: part of all names of this run
    :ivar public: the subnet of browsers
    :ivar private: the subnet of the compute hosts
    :ivar browser: namespace with one leg, ``public``; its default route is the appliance
    :ivar appliance: namespace with a leg in each, which forwards nothing
    :ivar browser_ip: address of ``browser``
    :ivar appliance_ip: public address of ``appliance``
    :ivar appliance_private_ip: private address of ``appliance``
    """

    def __init__(self) -> None:
        self.suffix = f"{os.getpid():06x}{secrets.token_hex(1)}"
        self._stack = contextlib.ExitStack()
        with contextlib.ExitStack() as stack:
            self.private = Subnet(f"phr{self.suffix}")
            stack.callback(self.private.close)
            self.public = Subnet(f"phu{self.suffix}")
            stack.callback(self.public.close)
            self.browser = Namespace(f"phb{self.suffix}")
            stack.callback(self.browser.close)
            self.appliance = Namespace(f"pha{self.suffix}")
            stack.callback(self.appliance.close)
            self.browser_ip, self.appliance_ip = self.public.ip(3), self.public.ip(2)
            self.appliance_private_ip = self.private.ip(2)
            self.appliance.attach(self.public.bridge, "eth0", self.public.cidr(2))
            self.appliance.attach(self.private.bridge, "eth1", self.private.cidr(2))
            self.browser.attach(self.public.bridge, "eth0", self.public.cidr(3))
            # The strongest attacker: whatever is not on the browser's network is sent to the appliance.
            sh("ip", "-n", self.browser.name, "route", "add", "default", "via", self.appliance_ip)
            self.appliance.run(["sh", "-c", "echo 0 > /proc/sys/net/ipv4/ip_forward"], check=True)
            self._stack = stack.pop_all()

    def host_namespace(self, number: int) -> tuple[Namespace, str, str]:
        """A namespace on the private network.

        :returns: it, its address, and the outer end of its link
        """
        namespace = Namespace(f"phc{self.suffix}{number}")
        self._stack.callback(namespace.close)
        outer = namespace.attach(self.private.bridge, "eth0", self.private.cidr(10 + number))
        return namespace, self.private.ip(10 + number), outer

    def close(self) -> None:
        """Remove everything, host namespaces too."""
        self._stack.close()


def _free_subnet() -> ipaddress.IPv4Network:
    taken = [
        ipaddress.ip_network(route["dst"], strict=False)
        for route in json.loads(sh("ip", "-j", "-4", "route", "show", "table", "all") or "[]")
        if route["dst"] != "default"
    ]
    choices = list(_POOL.subnets(new_prefix=24))
    for _ in range(ATTEMPTS):
        net = random.choice(choices)  # noqa: S311 - no secret
        if not any(net.overlaps(other) for other in taken if isinstance(other, ipaddress.IPv4Network)):
            return net
    raise CommandFailed(f"no free /24 in {_POOL} after {ATTEMPTS} attempts")


def sweep() -> None:
    """Remove what earlier runs left behind whose process was killed. Their processes have ended with them."""
    interfaces = [link["ifname"] for link in json.loads(sh("ip", "-j", "link", "show", "type", "bridge") or "[]")]
    namespaces = [entry["name"] for entry in json.loads(sh("ip", "-j", "netns", "list") or "[]")]
    for name in namespaces:
        if _is_left_over(name):
            quietly("ip", "netns", "del", name)
    for name in interfaces:
        if _is_left_over(name):
            quietly("ip", "link", "del", name)
    for folder in Path(tempfile.gettempdir()).glob(f"{FOLDER_PREFIX}ph*"):
        if _is_left_over(folder.name.removeprefix(FOLDER_PREFIX)):
            shutil.rmtree(folder, ignore_errors=True)


def _is_left_over(name: str) -> bool:
    """Whether it has a name of ours, whose process is gone."""
    match = re.match(r"ph[abcru]([0-9a-f]{6})[0-9a-f]{2}", name)
    return match is not None and not Path(f"/proc/{int(match[1], 16)}").exists()


def needs() -> list[str]:
    """What this machine lacks for compute hosts in namespaces, as sentences; empty when nothing."""
    lacking = []
    if os.geteuid() != 0:
        lacking.append("Network namespaces need root.")
    tools = ("ip", "nsenter", "unshare", "libvirtd", "qemu-system-x86_64", "as", "ld")
    paths = [Path(p) for p in os.environ.get("PATH", "").split(":")] + [Path("/usr/sbin"), Path("/sbin")]
    lacking += [f"The command {tool} is missing." for tool in tools if not any((p / tool).exists() for p in paths)]
    return lacking
