"""The service's generations on the appliance: which run, which start at boot, and which one has which session."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from tests.molecule.cloud import Host

# A session's connection to a guest belongs to a process of the unit that relays it.
SESSIONS = """\
import re, subprocess, sys
listed = subprocess.check_output(["ss", "-Htnp", "state", "established"], text=True)
for line in listed.splitlines():
    port, process = re.search(r":(\\d+)\\s+users:", line), re.search(r"pid=(\\d+)", line)
    if port and process and 5900 <= int(port[1]) <= int(sys.argv[1]):
        unit = re.search(r"porthole@(\\d+)[.]service", open(f"/proc/{process[1]}/cgroup").read())
        if unit:
            print(unit[1])
"""
VNC_PORT_MAX = 5999


@dataclass(frozen=True, slots=True)
class Generations:
    """What one may ask about them.

    :ivar host: the appliance
    """

    host: Host

    def sessions(self) -> dict[int, int]:
        """Generation → how many consoles it relays."""
        return dict(Counter(map(int, self.host.python(SESSIONS, str(VNC_PORT_MAX)).split())))

    def running(self) -> list[int]:
        """Those that run, the older ones first."""
        argv = ("systemctl", "list-units", "--plain", "--no-legend", "--state=active", "porthole@*.service")
        return sorted(int(number) for number in re.findall(r"porthole@(\d+)\.service", self.host.output(*argv)))

    def at_boot(self) -> list[int]:
        """Those that a start of the host starts."""
        listing = self.host.output("ls", "/etc/systemd/system/multi-user.target.wants")
        return sorted(int(number) for number in re.findall(r"porthole@(\d+)\.service", listing))

    def release(self) -> str:
        """The release that the link ``current`` leads to."""
        return self.host.output("readlink", "/opt/porthole/current").removeprefix("releases/")

    def release_of(self, number: int) -> str:
        """The release that a generation was started with."""
        return self.host.output("readlink", f"/opt/porthole/instances/{number}").removeprefix("../releases/")

    def ended_well(self, number: int) -> bool:
        """Whether a generation has come to its end by itself, with status 0; systemd says so in the journal."""
        unit = f"porthole@{number}.service"
        argv = ("journalctl", "--quiet", "--no-pager", "--output=cat", "--lines=5", f"--unit={unit}")
        return f"{unit}: Deactivated successfully." in self.host.output(*argv)
