"""One host: a systemd-nspawn container with a tree, addresses and a cgroup of its own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from provision.progress import StepFailed, last_lines
from systemd_hosts import paths
from systemd_hosts.network import Net

UP_SECONDS = 60.0
DOWN_SECONDS = 20.0
MEMORY_LIMIT = 2 << 30
"""Bytes that a host may use, where the machine has cgroup v1's memory controller."""

# systemd-nspawn ends with 133 when the host reboots. Each has a /run/systemd/nspawn of its own: they share nothing.
_KEEPER = """\
mkdir -p /run/systemd/nspawn
mount -t tmpfs tmpfs /run/systemd/nspawn
mkdir -p /run/systemd/nspawn/propagate
while :; do
  "$@" && exit
  status=$?
  [ "$status" = 133 ] || exit "$status"
done
"""


@dataclass(frozen=True, slots=True)
class Host:
    """A host that is to be made, or that was made.

    :ivar number: the last part of its addresses
    :ivar tree: the tree's name
    """

    net: Net
    name: str
    number: int
    tree: str

    @property
    def folder(self) -> Path:
        """Its files."""
        return paths.NETS / str(self.net.number) / self.name

    @property
    def root(self) -> Path:
        """Its file system, while it is mounted."""
        return self.folder / "root"

    @property
    def machine(self) -> str:
        """The name that systemd-nspawn and the cgroups know it by."""
        return f"ph{self.net.number}-{self.name}"

    @property
    def v4(self) -> str:
        """Its IPv4 address."""
        return str(self.net.v4[self.number])

    @property
    def v6(self) -> str:
        """Its IPv6 address."""
        # Its last part reads as that of the IPv4 address does.
        return str(self.net.v6[int(str(self.number), 16)])

    def save(self) -> None:
        """Write down what it is."""
        self.folder.mkdir(parents=True)
        (self.folder / "host.json").write_text(json.dumps({"number": self.number, "tree": self.tree}))

    def boot(self, layers: list[Path]) -> None:
        """Mount its file system and start it; :meth:`wait` until it answers.

        :raises StepFailed: it cannot be mounted
        """
        for name in ("up", "work", "root"):
            (self.folder / name).mkdir()
        (self.folder / "up").chmod(0o755)
        lower = ":".join(str(one) for one in reversed(layers))
        options = f"lowerdir={lower},upperdir={self.folder / 'up'},workdir={self.folder / 'work'}"
        done = subprocess.run(
            ["mount", "-t", "overlay", "overlay", "-o", options, str(self.root)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise StepFailed(f"{self.name}: its file system cannot be mounted: {done.stderr.strip()}")
        self._write_files()
        groups = self._cgroups(make=True)
        nspawn = ["systemd-nspawn", "--quiet", "--boot", f"--directory={self.root}", f"--machine={self.machine}"]
        nspawn += [f"--hostname={self.name}", f"--network-bridge={self.net.bridge}", "--register=no", "--keep-unit"]
        nspawn += ["--capability=all", "--resolv-conf=off", "--timezone=off", "--link-journal=no", "--console=pipe"]
        if Path("/dev/net/tun").exists():
            nspawn.append("--bind=/dev/net/tun")
        join = "".join(f"echo $$ >{group}/cgroup.procs\n" for group in groups)
        with (self.folder / "log").open("wb") as log:
            keeper = subprocess.Popen(
                ["unshare", "--mount", "sh", "-c", join + _KEEPER, "sh", *nspawn],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd="/",
                env={"PATH": os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin", "LC_ALL": "C.UTF-8"},
            )
        (self.folder / "pid").write_text(str(keeper.pid))

    def wait(self) -> None:
        """Until it can be logged in to and has started what does not wait for others.

        :raises StepFailed: it cannot within a minute
        """
        end = time.monotonic() + UP_SECONDS
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                done = subprocess.run(
                    [*self.ssh(), "systemctl", "is-active", "--quiet", "basic.target", "dbus.service", "ssh.service"],
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    timeout=5,
                    check=False,
                )
                if done.returncode == 0:
                    return
            if time.monotonic() > end or not self.pids():
                log = (self.folder / "log").read_text(errors="replace").splitlines()
                raise StepFailed(f"{self.name} did not start.", details=last_lines(log))
            time.sleep(0.1)

    def ssh(self) -> list[str]:
        """The command that logs in to it."""
        options = ["BatchMode=yes", "ConnectTimeout=2", f"UserKnownHostsFile={self.folder.parent / 'known_hosts'}"]
        return ["ssh", "-F", "/dev/null", "-i", str(paths.KEY), *(f"-o{one}" for one in options), f"root@{self.v4}"]

    def pids(self) -> list[int]:
        """Its keeper, systemd-nspawn and its init, as far as they run."""
        try:
            pids = [int((self.folder / "pid").read_text())]
        except (OSError, ValueError):
            return []
        # Numbers are given out again: it is the keeper only if it was started to keep this host.
        with contextlib.suppress(OSError):
            if f"--machine={self.machine}".encode() not in Path(f"/proc/{pids[0]}/cmdline").read_bytes().split(b"\0"):
                return []
        if not Path(f"/proc/{pids[0]}").exists():
            return []
        for _ in range(2):
            children = Path(f"/proc/{pids[-1]}/task/{pids[-1]}/children")
            try:
                pids.append(int(children.read_text().split()[0]))
            except (OSError, IndexError):
                break
        return pids

    def remove(self) -> None:
        """Power it off and remove its files."""
        pids = self.pids()
        if len(pids) == 3:
            os.kill(pids[2], signal.SIGRTMIN + 4)
        end = time.monotonic() + (DOWN_SECONDS if len(pids) == 3 else 0)
        while self.pids() and time.monotonic() < end:
            time.sleep(0.05)
        for pid in reversed(self.pids()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for group in self._cgroups(make=False):
            _remove_cgroup(group)
        subprocess.run(["umount", "--lazy", str(self.root)], capture_output=True, check=False)
        if os.path.ismount(self.root):
            raise StepFailed(f"{self.name}: {self.root} cannot be unmounted.")
        shutil.rmtree(self.folder)

    def _write_files(self) -> None:
        etc = self.root / "etc"
        (etc / "machine-id").write_text("")
        (etc / "hostname").write_text(f"{self.name}\n")
        (etc / "hosts").write_text(
            f"127.0.0.1 localhost\n::1 localhost\n{self.v4} {self.name}\n{self.v6} {self.name}\n"
        )
        (etc / "systemd/network").mkdir(parents=True, exist_ok=True)
        (etc / "systemd/network/20-host0.network").write_text(
            "[Match]\nName=host0\n"
            "[Network]\nIPv6AcceptRA=no\nLinkLocalAddressing=ipv6\n"
            f"Gateway={self.net.v4[1]}\nGateway={self.net.v6[1]}\n"
            f"[Address]\nAddress={self.v4}/24\n"
            f"[Address]\nAddress={self.v6}/64\nDuplicateAddressDetection=none\n"
        )
        ssh = self.root / "root/.ssh"
        ssh.mkdir(mode=0o700, exist_ok=True)
        shutil.copy(f"{paths.KEY}.pub", ssh / "authorized_keys")
        key = etc / "ssh/ssh_host_ed25519_key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", self.name, "-f", str(key)], check=True)
        algorithm, public, _ = key.with_suffix(".pub").read_text().split(" ", 2)
        (self.folder / "known_hosts").write_text(f"{self.v4},{self.v6} {algorithm} {public}\n")

    def _cgroups(self, *, make: bool) -> list[Path]:
        """Its cgroups, in all of the machine's hierarchies that systemd in it uses, and the one of memory."""
        top = Path("/sys/fs/cgroup")
        if (top / "cgroup.controllers").exists():
            groups = [top / self.machine]
        else:
            groups = [top / one / self.machine for one in ("systemd", "unified", "memory") if (top / one).is_dir()]
        if make:
            for group in groups:
                group.mkdir(exist_ok=True)
                with contextlib.suppress(OSError):  # a controller that this machine does not have
                    limit = "memory.limit_in_bytes" if group.parent.name == "memory" else "memory.max"
                    (group / limit).write_text(str(MEMORY_LIMIT))
        return [group for group in groups if group.is_dir()]


def _remove_cgroup(group: Path) -> None:
    for folder, _, _ in os.walk(group, topdown=False):
        for _ in range(20):
            try:
                os.rmdir(folder)
                break
            except FileNotFoundError:
                break
            except OSError:  # its last processes are just about to end
                time.sleep(0.05)


def load(net: Net) -> list[Host]:
    """The hosts that were made in a network."""
    found = []
    for file in sorted((paths.NETS / str(net.number)).glob("*/host.json")):
        about = json.loads(file.read_text())
        found.append(Host(net, file.parent.name, about["number"], about["tree"]))
    return found
