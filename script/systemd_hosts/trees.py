"""The file trees that hosts run on: Debian in layers, each built once.

A layer holds what it adds to the one below. A host mounts its tree's layers
read-only and writes to a layer of its own. Trees have the release of the
machine they are built on, so that what is built here runs there.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from provision import debian
from provision.progress import Progress, StepFailed, run
from systemd_hosts import paths

NEEDS = (
    debian.program("mmdebstrap", "mmdebstrap"),
    debian.program("systemd-container", "systemd-nspawn"),
    debian.program("openssh-client", "ssh", "ssh-keygen"),
    debian.program("iproute2", "ip"),
    debian.program("util-linux", "unshare", "mount"),
)
RELEASES = ("bookworm", "trixie")
STAMP = ".complete"
FILES = Path(__file__).with_name("files")
RECIPE = 1
"""Counted up when something below changes that is not in a layer's description."""


@dataclass(frozen=True, slots=True)
class Layer:
    """What a layer adds.

    :ivar below: the name of the layer it builds on, or None
    :ivar packages: Debian packages
    :ivar commands: shell commands that are run in the tree afterwards; ``files/NAME`` has been copied into it by then
    """

    name: str
    below: str | None
    packages: tuple[str, ...]
    commands: tuple[str, ...] = ()


LAYERS = {
    layer.name: layer
    for layer in (
        Layer(
            "appliance",
            None,
            (
                *("systemd", "systemd-sysv", "dbus", "libpam-systemd", "openssh-server", "sudo", "ca-certificates"),
                *("iproute2", "procps", "kmod", "nftables", "logrotate"),
                *("python3", "python3-apt", "python3-cryptography", "libvirt0"),
            ),
            (
                # Every host makes its own.
                "rm -f /etc/ssh/ssh_host_*",
                "touch /etc/default/locale",
                "systemctl enable systemd-networkd.service",
                # Nothing reaches a package mirror from a host: these would only fail.
                "systemctl mask apt-daily.timer apt-daily-upgrade.timer systemd-networkd-wait-online.service",
                "mkdir -p /etc/systemd/journald.conf.d",
                r"printf '[Journal]\nStorage=persistent\nSystemMaxUse=64M\n' "
                ">/etc/systemd/journald.conf.d/50-bounded.conf",
            ),
        ),
        Layer(
            "compute",
            "appliance",
            ("libvirt-daemon-system", "libvirt-clients", "qemu-system-x86", "python3-libvirt", "python3-lxml"),
            (
                # The controllers are read-only in a container.
                "echo 'cgroup_controllers = []' >>/etc/libvirt/qemu.conf",
                # What libvirt learns about QEMU takes it 10 s; every host starts with it.
                "virtlogd -d && libvirtd -d && virsh domcapabilities --virttype qemu >/dev/null",
            ),
        ),
        # Nova's own nova-compute, and beside it what it waits for before it says that it has started.
        Layer(
            "nova",
            "compute",
            ("nova-compute", "nova-compute-qemu", "nova-conductor", "rabbitmq-server"),
            (
                # The package asks for it, and guesses: it got the address of the machine the tree was built on.
                "sed -i 's|^my_ip *=.*|#my_ip = <host_ipv4>|' /etc/nova/nova.conf",
                "sed -i 's|^#*transport_url *=.*|transport_url = rabbit://guest:guest@127.0.0.1/|' /etc/nova/nova.conf",
                r"sed -i '/^\[conductor\]/a workers = 1' /etc/nova/nova.conf",
                r"sed -i '/^\[placement\]/,/^\[privsep\]/s|^auth_type *=.*|auth_type = none|' /etc/nova/nova.conf",
                r"sed -i '/^\[placement\]/a endpoint = http://127.0.0.1:8778' /etc/nova/nova.conf",
                "su -s /bin/sh nova -c 'nova-manage db sync --local_cell'",
                "systemctl enable stand-in-placement.service",
            ),
        ),
    )
}


def chain(name: str) -> list[Layer]:
    """The tree's layers, the lowest first."""
    layer = LAYERS[name]
    return [*(chain(layer.below) if layer.below else []), layer]


def ensure(names: set[str], progress: Progress) -> dict[str, list[Path]]:
    """Build the trees unless they are there; each one's folders, the lowest first.

    :raises StepFailed: the machine cannot do it, or a command failed
    """
    paths.prepare()
    debian.ensure(NEEDS, paths.LOG, progress)
    release, sources = _sources(progress)
    trees = {}
    with _alone(progress):
        for name in sorted(names, key=list(LAYERS).index):
            below: list[Path] = []
            for layer in chain(name):
                below.append(_layer(layer, below, release, sources, progress))
            trees[name] = below
        _forget_others(release, sources)
    return trees


@contextlib.contextmanager
def _alone(progress: Progress) -> Iterator[None]:
    """One build at a time."""
    with (paths.CACHE / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with progress.step("Waiting for another build of the trees"):
                fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _sources(progress: Progress) -> tuple[str, list[str]]:
    """The release's name, and the lines of sources.list with which this machine gets Debian's own packages."""
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line).get(
        "VERSION_CODENAME", ""
    )
    if release not in RELEASES:
        raise StepFailed(
            f"hosts have the release of the machine they run on, which has to be Debian {' or '.join(RELEASES)}.",
            step="Hosts with systemd",
        )
    lines = _index_targets()
    if not lines:
        with progress.step("Debian's package lists"):
            run(["apt-get", "-q", "-o", "DPkg::Lock::Timeout=120", "update"], paths.LOG)
        lines = _index_targets()
    if not lines:
        raise StepFailed("apt has no source of Debian's packages.", step="Hosts with systemd")
    return release, lines


def _index_targets() -> list[str]:
    form = "$(ORIGIN)|deb $(REPO_URI) $(RELEASE) $(COMPONENT)"
    done = subprocess.run(
        ["apt-get", "indextargets", "--format", form, "Identifier: Packages"],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line.removeprefix("Debian|") for line in done.stdout.splitlines() if line.startswith("Debian|")]
    return sorted({line for line in lines if line.endswith(" main")})


def _fingerprint(layer: Layer, release: str, sources: list[str]) -> str:
    parts = [str(RECIPE), release, *sources]
    for one in chain(layer.name):
        parts += [repr(one), *(file.read_text() for file in _files(one))]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def _folder(layer: Layer, release: str, sources: list[str]) -> Path:
    return paths.LAYERS / f"{layer.name}-{_fingerprint(layer, release, sources)}"


def _layer(layer: Layer, below: list[Path], release: str, sources: list[str], progress: Progress) -> Path:
    folder = _folder(layer, release, sources)
    if (folder / STAMP).exists():
        return folder / "tree"
    with progress.step(f"Debian tree for hosts: {layer.name}"):
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "tree").mkdir(parents=True)
        (folder / "tree").chmod(0o755)
        if below:
            (folder / "work").mkdir()
            _add(layer, below, folder)
        else:
            _bootstrap(layer, folder / "tree", release, sources)
        (folder / STAMP).touch()
    return folder / "tree"


def _forget_others(release: str, sources: list[str]) -> None:
    """Remove layers of older recipes that no host stands on."""
    wanted = {_folder(layer, release, sources) for layer in LAYERS.values()}
    mounts = Path("/proc/mounts").read_text()
    for folder in paths.LAYERS.iterdir():
        if folder not in wanted and f"{folder}/" not in mounts:
            shutil.rmtree(folder, ignore_errors=True)


def _bootstrap(layer: Layer, tree: Path, release: str, sources: list[str]) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".list") as file:
        file.write("".join(f"{line}\n" for line in sources))
        file.flush()
        argv = ["mmdebstrap", "--variant=minbase", "--mode=root", "--format=directory"]
        argv += [
            "--aptopt=APT::Install-Recommends false",
            "--dpkgopt=force-unsafe-io",
            f"--include={','.join(layer.packages)}",
        ]
        argv += [release, str(tree), file.name]
        run(argv, paths.LOG, env=_environment(), advice="Try it by hand: it needs a mirror of Debian.")
    with _inside(tree):
        _finish(layer, tree)


def _add(layer: Layer, below: list[Path], folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=paths.CACHE) as name:
        tree = Path(name)
        lower = ":".join(str(one) for one in reversed(below))
        options = f"lowerdir={lower},upperdir={folder / 'tree'},workdir={folder / 'work'}"
        run(["mount", "-t", "overlay", "overlay", "-o", options, str(tree)], paths.LOG)
        try:
            with _inside(tree):
                apt = [
                    "chroot",
                    str(tree),
                    "apt-get",
                    "-q",
                    "-y",
                    "-o",
                    "DPkg::Options::=--force-unsafe-io",
                    *_apt_options(),
                ]
                env = _environment()
                run([*apt, "update"], paths.LOG, env=env)
                run([*apt, "install", "--no-install-recommends", *layer.packages], paths.LOG, env=env)
                run([*apt, "clean"], paths.LOG, env=env)
                shutil.rmtree(tree / "var/lib/apt/lists")
                (tree / "var/lib/apt/lists").mkdir()
                _finish(layer, tree)
        finally:
            run(["umount", str(tree)], paths.LOG)


def _files(layer: Layer) -> list[Path]:
    return sorted(file for file in (FILES / layer.name).rglob("*") if file.is_file())


def _finish(layer: Layer, tree: Path) -> None:
    """Copy the layer's files and run its commands, where all processes that they leave behind end with them."""
    for file in _files(layer):
        target = tree / file.relative_to(FILES / layer.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    for command in layer.commands:
        own = ["unshare", "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child"]
        run(
            [*own, f"--mount-proc={tree}/proc", "chroot", str(tree), "sh", "-ec", command],
            paths.LOG,
            env=_environment(),
        )


@contextlib.contextmanager
def _inside(tree: Path) -> Iterator[None]:
    """The tree with what packages expect while they are installed; nothing of them is started."""
    policy, resolv = tree / "usr/sbin/policy-rc.d", tree / "etc/resolv.conf"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    resolv.unlink(missing_ok=True)
    resolv.write_bytes(Path("/etc/resolv.conf").read_bytes() if Path("/etc/resolv.conf").exists() else b"")
    mounts = [["-t", "proc", "proc", "proc"], ["-t", "sysfs", "-o", "ro", "sysfs", "sys"], ["--bind", "/dev", "dev"]]
    mounts += [["-t", "tmpfs", "tmpfs", "run"], ["-t", "tmpfs", "tmpfs", "tmp"]]
    done: list[Path] = []
    try:
        for options in mounts:
            place = tree / options[-1]
            run(["mount", *options[:-1], str(place)], paths.LOG)
            done.append(place)
        yield
    finally:
        for place in reversed(done):
            run(["umount", "--lazy", str(place)], paths.LOG)
        policy.unlink()
        resolv.unlink()


def _environment() -> dict[str, str]:
    kept = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
    env = {name: os.environ[name] for name in kept if name in os.environ}
    return {**env, "PATH": debian.PATH, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}


def _apt_options() -> list[str]:
    """How this machine's apt gets through a proxy."""
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=False).stdout
    options = [line.rstrip(";").replace('"', "").split(" ", 1) for line in dump.splitlines() if "::Proxy" in line]
    return [word for name, value in options if value for word in ("-o", f"{name}={value}")]
