"""Debian packages: which are missing, and their installation.

A package counts as there when what we need of it is there, wherever it came
from: Node.js from its makers, say, or a compiler built by hand.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from provision import locks
from provision.progress import Progress, StepFailed, run

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where programs are looked for besides PATH: an ordinary user's has no sbin."""


POLICY = Path("/usr/sbin/policy-rc.d")
UPDATES = Path("/var/lib/dpkg/updates")
"""Files with numbers are what an interrupted dpkg has not put into its list yet; apt-get looks for them too."""

_NOTHING_STARTS = """\
#!/bin/sh
# Porthole's scripts put this here while they install packages; when none of them runs, it can be deleted.
exit 101
"""
_APT_GET = ("apt-get", "-q", "-o", "DPkg::Lock::Timeout=120")


@dataclass(frozen=True, slots=True)
class Need:
    """A package and how to see that what it brings is there."""

    package: str
    present: Callable[[], bool]


def program(package: str, *names: str) -> Need:
    """A package that brings these programs."""
    return Need(package, lambda: all(find_program(name) for name in names))


def file(package: str, pattern: str) -> Need:
    """A package that brings a file; *pattern* is a glob below /."""
    return Need(package, lambda: any(Path("/").glob(pattern.lstrip("/"))))


def find_program(name: str) -> str | None:
    """The program's full path, or None."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), PATH]))


PYTHON_NEEDS = (
    Need("python3-venv", lambda: importlib.util.find_spec("ensurepip") is not None),
    Need("python3-dev", lambda: Path(sysconfig.get_path("include"), "Python.h").is_file()),
    program("gcc", "gcc"),
    file("libc6-dev", "/usr/include/stdio.h"),
    program("pkg-config", "pkg-config"),
    file("libvirt-dev", "/usr/lib/*/pkgconfig/libvirt.pc"),
    file("ca-certificates", "/etc/ssl/certs/ca-certificates.crt"),
)
"""For a virtual environment with requirements.txt; PyPI has libvirt-python as source only."""

NODE_NEEDS = (program("npm", "npm"),)
"""For noVNC from npm."""

HYPERVISOR_NEEDS = (
    program("libvirt-daemon", "libvirtd"),
    file("libvirt-daemon-driver-qemu", "/usr/lib/*/libvirt/connection-driver/libvirt_driver_qemu.so"),
    program("qemu-system-x86", "qemu-system-x86_64"),
    program("binutils", "as", "ld"),
)
"""For real guests. libvirt-daemon brings no service: nothing is started by its installation."""


def ensure(needs: Iterable[Need], log: Path, progress: Progress) -> None:
    """Install what is missing; without root, say what to install. No service is started by it.

    That holds until the next boot: Debian's packages enable their services, and ``systemctl disable`` undoes it.

    :raises StepFailed: something is missing and this is not root, apt-get failed, or somebody else's installation
        does not end
    """
    needs = list(needs)
    missing = _missing(needs)
    if not missing:
        _tidy_up(progress)
        return
    _check_that_it_can_be_done(missing)
    with locks.held(locks.OURS, progress), _no_services_started():
        # What another checkout's run has installed meanwhile is there now.
        missing = _missing(needs)
        if missing:
            _install(missing, log, progress)


def _missing(needs: Iterable[Need]) -> list[str]:
    return [need.package for need in needs if not need.present()]


def _by_hand(packages: Iterable[str]) -> str:
    return f"apt-get update && apt-get install -y --no-install-recommends {' '.join(packages)}"


def _check_that_it_can_be_done(missing: list[str]) -> None:
    """Refuse without root or apt-get.

    :raises StepFailed: with what to do instead
    """
    if os.geteuid() != 0:
        advice = f"Run this as root first: {_by_hand(missing)}"
        raise StepFailed(f"not installed: {' '.join(missing)}.", step="Debian packages", advice=advice)
    if not find_program("apt-get"):
        raise StepFailed(
            f"not installed: {' '.join(missing)}, and there is no apt-get.",
            step="Debian packages",
            advice="This is made for Debian 12 and later. On another system install these packages' counterparts.",
        )


def _install(missing: list[str], log: Path, progress: Progress) -> None:
    advice = f"Try it by hand: {_by_hand(missing)}"
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "PATH": PATH}
    _finish_what_was_interrupted(log, progress, env)
    if locks.LISTS.parent.is_dir():  # apt-get makes it anew where an image goes without
        # apt-get waits for dpkg's lock and not for that of its own lists.
        with locks.held(locks.LISTS, progress):
            pass
    with progress.step("Debian's package lists"):
        run([*_APT_GET, "update"], log, advice=advice, env=env)
    with progress.step(f"Debian packages ({' '.join(missing)})"):
        run([*_APT_GET, "-y", "install", "--no-install-recommends", *missing], log, advice=advice, env=env)
        importlib.invalidate_caches()


def _finish_what_was_interrupted(log: Path, progress: Progress, env: dict[str, str]) -> None:
    """Configure what an installation left half done that was cut off; apt-get refuses to go on before.

    While somebody else installs, it looks the same: only who holds dpkg's lock knows. What dpkg cannot configure by
    itself, because something else is missing, apt-get then brings along.
    """
    if not _interrupted():
        return
    with locks.held(locks.DPKG, progress):
        if not _interrupted():
            return
        with progress.step("An interrupted installation of Debian packages"), contextlib.suppress(StepFailed):
            run(
                ["dpkg", "--force-confdef", "--force-confold", "--configure", "-a"],
                log,
                env={**env, "DPKG_FRONTEND_LOCKED": "1"},
            )
    advice = "Try it by hand: dpkg --configure -a && apt-get --fix-broken install"
    with progress.step("What that installation still lacks"):
        run([*_APT_GET, "-y", "--fix-broken", "install"], log, advice=advice, env=env)


def _interrupted() -> bool:
    return any(UPDATES.glob("[0-9]*"))


def _tidy_up(progress: Progress) -> None:
    """Remove what a run that was killed left behind; what belongs to one that is at work stays."""
    if os.geteuid() == 0 and _left_behind():
        with contextlib.suppress(StepFailed), locks.held(locks.OURS, progress, wait=0), _no_services_started():
            pass


def _left_behind() -> bool:
    """Whether a run of ours that was killed has left its policy-rc.d."""
    try:
        return POLICY.read_text() == _NOTHING_STARTS
    except (OSError, UnicodeDecodeError):
        return False


@contextlib.contextmanager
def _no_services_started() -> Iterator[None]:
    """Debian's packages of web servers start them; policy-rc.d keeps them from it until the next boot (invoke-rc.d(8)).

    One that is there already is left as it is, unless a run of ours that was killed left it behind.
    """
    if POLICY.exists() and not _left_behind():
        yield
        return
    # Whole or not there: a machine may not be left with half of one, for that would start nothing for ever.
    made = POLICY.with_name(f".{POLICY.name}.porthole")
    made.write_text(_NOTHING_STARTS)
    made.chmod(0o755)
    made.replace(POLICY)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)
