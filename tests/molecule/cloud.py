"""The hosts of a scenario, and Ansible's runs against them."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from systemd_hosts import hosts as systemd_hosts
from systemd_hosts import paths
from systemd_hosts.network import Net

CHECKOUT = Path(__file__).resolve().parents[2]
RUN_SECONDS = 600.0
WAIT_SECONDS = 60.0

CONNECT = """\
import concurrent.futures, socket, sys
def attempt(port):
    try:
        socket.create_connection((sys.argv[1], int(port)), 2).close()
        return "open"
    except OSError:
        return "shut"
with concurrent.futures.ThreadPoolExecutor() as pool:
    print(*pool.map(attempt, sys.argv[2:]))
"""
"""A program for :meth:`Host.python`: an address and ports → whether each can be connected to."""


class Host:
    """A host that Molecule made.

    :ivar name: its name in the inventory
    :ivar v4: its IPv4 address
    :ivar v6: its IPv6 address
    """

    def __init__(self, host: systemd_hosts.Host) -> None:
        self._host = host
        self.name = host.name
        self.v4 = host.v4
        self.v6 = host.v6

    def run(self, *argv: str, stdin: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command there as root.

        :raises AssertionError: it failed, and ``check`` is set
        """
        done = subprocess.run(
            [*self._host.ssh(), shlex.join(argv)], input=stdin, capture_output=True, text=True, timeout=60, check=False
        )
        assert not check or done.returncode == 0, f"{self.name}: {shlex.join(argv)}: {done.stderr or done.stdout}"
        return done

    def output(self, *argv: str, stdin: str = "") -> str:
        """What a command prints there, without the white space around it."""
        return self.run(*argv, stdin=stdin).stdout.strip()

    def read(self, path: str) -> str:
        """A file's text."""
        return self.run("cat", path).stdout

    def python(self, program: str, *arguments: str) -> str:
        """Run a program with the host's own Python; what it prints."""
        return self.output("python3", "-", *arguments, stdin=program)

    def files(self) -> str:
        """A digest of which files there are, with size, mode and time, wherever a role would put something."""
        return self.output(
            "sh",
            "-c",
            "find /etc /opt /usr/local /var/lib/porthole /var/lib/libvirt /root -path /root/.ansible -prune -o"
            " -printf '%p %s %m %u %g %T@\\n' 2>/dev/null | sort | sha256sum",
        )


@dataclass(frozen=True, slots=True)
class Run:
    """A run of ansible-playbook.

    :ivar status: its exit status
    :ivar output: all it printed
    :ivar changed: host → how many tasks changed something there
    :ivar skipped: how many tasks were skipped
    :ivar seconds: how long it took
    """

    status: int
    output: str
    changed: dict[str, int]
    skipped: int
    seconds: float


class Cloud:
    """All hosts of the scenario that runs."""

    def __init__(self) -> None:
        self.net = Net(int(os.environ["PORTHOLE_HOSTS_NET"]))
        self.hosts = {host.name: Host(host) for host in systemd_hosts.load(self.net)}
        self.reached_by = paths.NETS / str(self.net.number) / "inventory.yml"

    def __getitem__(self, name: str) -> Host:
        return self.hosts[name]

    def playbook(self, inventory: Path, *arguments: str, playbook: str = "site.yml") -> Run:
        """Run a playbook as an operator does."""
        argv = [
            str(Path(sys.executable).with_name("ansible-playbook")),
            "-i",
            str(self.reached_by),
            "-i",
            str(inventory),
        ]
        env = {**os.environ, "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
        env.pop("ANSIBLE_FORCE_COLOR", None)
        env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env["PATH"]])
        started = time.monotonic()
        done = subprocess.run(
            [*argv, *arguments, playbook],
            cwd=CHECKOUT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )
        recap = re.findall(r"^(\S+)\s*: ok=\d+\s+changed=(\d+)", done.stdout, re.MULTILINE)
        changed = {name: int(count) for name, count in recap}
        skipped = sum(int(count) for count in re.findall(r"\bskipped=(\d+)", done.stdout))
        return Run(done.returncode, done.stdout, changed, skipped, time.monotonic() - started)


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until something is so, a minute at most.

    :raises AssertionError: it is not so
    """
    end = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.2)
