"""A libvirtd for Vagrant on a machine that has none, and its removal without a trace."""

from __future__ import annotations

import contextlib
import fcntl
import re
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

from local_lab import processes
from provision.progress import StepFailed, last_lines

SYSTEM_SOCKET = Path("/run/libvirt/libvirt-sock")
START_SECONDS = 60.0
PARENT = Path("/var/tmp")  # noqa: S108 - the names in it are new ones
PREFIX = "porthole-vagrant-"
NETWORKS = "10.78."
"""How the addresses of the lab's networks begin."""

FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")

QEMU_CONF = """\
stdio_handler = "file"
security_driver = "none"
cgroup_controllers = []
namespaces = []
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
"""

# $1 is the folder, $2 says whether to hide /dev/kvm, and the rest are the places of libvirt's files. libvirtd refuses
# to start without the user and group libvirt-qemu (of the package libvirt-daemon-system), even when qemu.conf names
# others. A /dev/kvm that does not work is hidden behind a read-only empty file: libvirt 9.0 would probe QEMU each time.
_SET_UP = """\
set -e
folder=$1 hide=$2
shift 2
for place; do
  mount --bind "$folder/$place" "/$place"
done
mount --bind "$folder/passwd" /etc/passwd
mount --bind "$folder/group" /etc/group
if [ -n "$hide" ] && [ -e /dev/kvm ]; then
  mount --bind "$folder/nokvm" /dev/kvm
  mount -o remount,bind,ro /dev/kvm
fi
exec libvirtd
"""

_PLACES = ("etc/libvirt", "var/lib/libvirt", "var/cache/libvirt", "var/log/libvirt", "run/libvirt")

# libvirt's chains, by table, each with the chain of the kernel's that leads to it.
_CHAINS = (
    ("filter", "INPUT", "LIBVIRT_INP"),
    ("filter", "OUTPUT", "LIBVIRT_OUT"),
    ("filter", "FORWARD", "LIBVIRT_FWX"),
    ("filter", "FORWARD", "LIBVIRT_FWI"),
    ("filter", "FORWARD", "LIBVIRT_FWO"),
    ("nat", "POSTROUTING", "LIBVIRT_PRT"),
    ("mangle", "POSTROUTING", "LIBVIRT_PRT"),
)


def runs_already(environment: Mapping[str, str]) -> bool:
    """Whether Vagrant finds a libvirtd: the machine's, or one that the environment names."""
    return bool(environment.get("LIBVIRT_DEFAULT_URI")) or SYSTEM_SOCKET.exists()


@contextlib.contextmanager
def private(log: Path, *, kvm: bool) -> Iterator[str]:
    """Run a libvirtd as long as the block runs; its networks and guests end with it.

    :param log: gets what it prints
    :param kvm: whether its guests may have /dev/kvm
    :returns: its URI
    :raises StepFailed: it does not start
    """
    _remove_remains()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=PARENT))
    uri = f"qemu+unix:///system?socket={folder}/socket/libvirt-sock"
    with contextlib.ExitStack() as cleaning:
        cleaning.callback(shutil.rmtree, folder, ignore_errors=True)
        # Locked as long as this process runs: so a later run tells what is left from what is in use.
        fcntl.flock(cleaning.enter_context((folder / "lock").open("wb")), fcntl.LOCK_EX)
        cleaning.callback(_remove_chains, {table: _rules(table) for table in ("filter", "nat", "mangle")})
        cleaning.callback(FORWARDING.write_text, FORWARDING.read_text())
        _write_files(folder)
        for place in _PLACES:
            if not Path("/", place).exists():
                Path("/", place).mkdir(parents=True)
                cleaning.callback(Path("/", place).rmdir)
        service = processes.start(
            "libvirtd",
            ["unshare", "--mount", "--", "sh", "-c", _SET_UP, "sh", str(folder), "" if kvm else "hide", *_PLACES],
            log,
        )
        cleaning.callback(processes.end, [service])
        cleaning.callback(_end_networks, uri)
        processes.wait_for(lambda: _virsh(uri, "capabilities") is not None, "libvirtd", START_SECONDS, [service])
        yield uri


def _remove_remains() -> None:
    """Remove what a run that was killed has left: its folder, and the bridges of its networks."""
    for folder in PARENT.glob(f"{PREFIX}*"):
        try:
            with (folder / "lock").open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove_bridges(folder)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # a run that is at work has locked it, or has not got so far yet
            continue


def _remove_bridges(folder: Path) -> None:
    for conf in folder.glob("var/lib/libvirt/dnsmasq/*.conf"):
        for bridge in re.findall(r"^interface=(\w+)$", conf.read_text(), re.MULTILINE):
            shown = subprocess.run(
                ["ip", "-oneline", "-4", "address", "show", "dev", bridge],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            if f"inet {NETWORKS}" in shown.stdout:
                subprocess.run(["ip", "link", "delete", bridge], stdin=subprocess.DEVNULL, check=False)


def _write_files(folder: Path) -> None:
    folder.chmod(0o755)
    for place in (*_PLACES, "socket"):
        (folder / place).mkdir(parents=True)
    (folder / "nokvm").touch()
    for name, entry in (
        ("passwd", "libvirt-qemu:x:64055:64055::/var/lib/libvirt:/usr/sbin/nologin"),
        ("group", "libvirt-qemu:x:64055:"),
    ):
        table = Path("/etc", name).read_text()
        present = any(line.startswith("libvirt-qemu:") for line in table.splitlines())
        (folder / name).write_text(table if present else f"{table.rstrip()}\n{entry}\n")
    (folder / "etc/libvirt/qemu.conf").write_text(QEMU_CONF)
    (folder / "etc/libvirt/libvirtd.conf").write_text(
        f'unix_sock_dir = "{folder}/socket"\nunix_sock_group = "root"\nauth_unix_rw = "none"\n'
        f'host_uuid = "{uuid.uuid4()}"\n'
    )


def _virsh(uri: str, *words: str) -> str | None:
    """What virsh prints, or None when it fails."""
    try:
        done = subprocess.run(
            ["virsh", "--quiet", "--connect", uri, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
    return done.stdout if done.returncode == 0 else None


def _end_networks(uri: str) -> None:
    """Destroy what networks there still are: bridges live on without libvirtd."""
    for name in (_virsh(uri, "net-list", "--name") or "").split():
        _virsh(uri, "net-destroy", name)


def _rules(table: str) -> str:
    done = subprocess.run(
        ["iptables", "--table", table, "--list-rules"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise StepFailed(
            f"'iptables --table {table} --list-rules' failed; libvirt's networks need it.",
            details=last_lines(done.stderr.splitlines()),
            step="libvirtd",
        )
    return done.stdout


def _remove_chains(before: Mapping[str, str]) -> None:
    """Remove libvirt's chains where there were none before."""
    for table, parent, chain in _CHAINS:
        if f"-N {chain}\n" in before[table]:
            continue
        for words in (["--delete", parent, "--jump", chain], ["--flush", chain], ["--delete-chain", chain]):
            for tool in ("iptables", "ip6tables"):
                subprocess.run(
                    [tool, "--table", table, *words], stdin=subprocess.DEVNULL, capture_output=True, check=False
                )
