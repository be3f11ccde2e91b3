"""The networks that hosts are on: a bridge each, reached from this machine, with no way to anywhere else."""

from __future__ import annotations

import ipaddress
import subprocess
from dataclasses import dataclass
from pathlib import Path

from provision.progress import StepFailed

FIRST_HOST = 11


@dataclass(frozen=True, slots=True)
class Net:
    """Network *number*: 10.77.NUMBER.0/24 and fd77:NUMBER::/64. This machine is .1 and ::1 in it."""

    number: int

    @property
    def bridge(self) -> str:
        """The bridge's name."""
        return f"ph-hosts{self.number}"

    @property
    def v4(self) -> ipaddress.IPv4Network:
        """The IPv4 network."""
        return ipaddress.IPv4Network(f"10.77.{self.number}.0/24")

    @property
    def v6(self) -> ipaddress.IPv6Network:
        """The IPv6 network."""
        return ipaddress.IPv6Network(f"fd77:{self.number}::/64")

    def up(self) -> None:
        """Make the bridge unless it is there.

        :raises StepFailed: it cannot be made
        """
        if Path("/sys/class/net", self.bridge).exists():
            return
        _ip("link", "add", self.bridge, "type", "bridge")
        _ip("addr", "add", f"{self.v4[1]}/24", "dev", self.bridge)
        _ip("-6", "addr", "add", f"{self.v6[1]}/64", "dev", self.bridge, "nodad")
        # What comes from a host is never passed on.
        Path(f"/proc/sys/net/ipv4/conf/{self.bridge}/forwarding").write_text("0")
        _ip("link", "set", self.bridge, "up")

    def down(self) -> None:
        """Remove the bridge."""
        subprocess.run(["ip", "link", "del", self.bridge], capture_output=True, check=False)


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise StepFailed(f"'ip {' '.join(words)}' failed: {done.stderr.strip()}", step="Network of the hosts")
