"""``python -m vagrant_lab``."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import signal
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from local_lab import client
from provision.progress import Progress, StepFailed, run
from vagrant_lab import kvm, libvirtd
from vagrant_lab.transcript import Transcript
from vagrant_lab.vagrant import Vagrant

CHECKOUT = Path(__file__).resolve().parents[2]
CACHE = CHECKOUT / ".cache" / "vagrant"
BOX_NAME = "porthole/debian12"
BUILD_BOX = CHECKOUT / "vagrant" / "build_box"
HYPERVISOR = CHECKOUT / "vagrant" / "hypervisor.sh"

UP_SECONDS = 45 * 60.0
SHORT_SECONDS = 5 * 60.0

COMPUTES = ("compute1", "compute2")
APPLIANCE = "https://10.78.1.10:6080"


def main() -> int:
    """The exit status: 0 when a console of each compute was seen."""
    progress = Progress()
    CACHE.mkdir(parents=True, exist_ok=True)
    transcript = Transcript(CACHE / "output.txt", CACHE / "log", progress)
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
    try:
        _whole(transcript, progress)
    except StepFailed as failure:
        progress.say(f"The Vagrant lab: {failure}\nEverything that was printed is in {transcript.log}.")
        return 1
    except KeyboardInterrupt:
        progress.say("Interrupted; the machines are gone.")
        return 128 + signal.SIGINT
    progress.say(f"Kept in {transcript.output}; everything that was printed is in {transcript.log}.")
    return 0


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _whole(transcript: Transcript, progress: Progress) -> None:
    """From nothing to the end.

    :raises StepFailed: something did not work
    """
    if os.geteuid() != 0:
        raise StepFailed("it needs root: to build the box, and for libvirt's networks.", step="vagrant")
    box = _box(progress)
    with progress.step("Trying KVM"):
        has_kvm = kvm.works(box)
    transcript.say(f"{'with' if has_kvm else 'without'} KVM, on {os.cpu_count()} processors")
    environment = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},  # ours, not Ansible's
        "VAGRANT_HOME": str(CACHE / "home"),
        "VAGRANT_DOTFILE_PATH": str(CACHE / "machines"),
        "PORTHOLE_LAB_BOX": BOX_NAME,
        "PORTHOLE_LAB_DRIVER": "kvm" if has_kvm else "qemu",
    }
    with contextlib.ExitStack() as cleaning:
        if not libvirtd.runs_already(os.environ):
            # What an earlier run was not able to take down went with its libvirtd.
            shutil.rmtree(CACHE / "machines", ignore_errors=True)
            with progress.step("libvirtd"):
                log = CACHE / "libvirtd.log"
                log.unlink(missing_ok=True)
                environment["LIBVIRT_DEFAULT_URI"] = cleaning.enter_context(libvirtd.private(log, kvm=has_kvm))
        vagrant = Vagrant(CHECKOUT / "vagrant", environment)
        with progress.step("vagrant box add"):
            words = ["box", "add", "--force", "--provider", "libvirt", "--name", BOX_NAME, str(box)]
            vagrant.output(words, SHORT_SECONDS)
        with _machines(vagrant, transcript):
            _see_consoles(vagrant, transcript)
    transcript.say("the machines are gone")


def _box(progress: Progress) -> Path:
    """A box, built unless it is there. It has what computes need, for without KVM that takes minutes to install."""
    (packages,) = re.findall(r"^packages='(.+)'$", HYPERVISOR.read_text(), re.MULTILINE)
    key = hashlib.sha256(BUILD_BOX.read_bytes() + packages.encode()).hexdigest()[:12]
    box = CACHE / f"debian12-{key}.box"
    if not box.is_file():
        for old in CACHE.glob("debian12-*.box"):
            old.unlink()
        with progress.step("vagrant/build_box"):
            run([str(BUILD_BOX), str(box), *packages.split()], CACHE / "build_box.log")
    return box


@contextlib.contextmanager
def _machines(vagrant: Vagrant, transcript: Transcript) -> Iterator[None]:
    """The machines, up as long as the block runs."""
    try:
        transcript.say("$ vagrant up")
        vagrant.run(["up"], transcript.take, UP_SECONDS)
        yield
    except StepFailed as failure:
        transcript.say(f"FAILED: {failure}")
        raise
    finally:
        # A second Ctrl-C does not stop the taking down.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        transcript.say("$ vagrant destroy -f")
        vagrant.run(["destroy", "-f"], transcript.take, SHORT_SECONDS)


def _see_consoles(vagrant: Vagrant, transcript: Transcript) -> None:
    """Ask the appliance for a console of each compute's guest and open it, over TLS.

    :raises StepFailed: it did not work
    """
    authority = vagrant.output(["ssh", "console1", "-c", "sudo cat /etc/porthole/pki/cacert.pem"], SHORT_SECONDS)
    password = vagrant.output(["ssh", "console1", "-c", "sudo cat /etc/porthole/secrets/admin.password"], SHORT_SECONDS)
    tls = ssl.create_default_context(cadata=authority)
    api = client.Api(APPLIANCE, "admin", password.strip(), tls)
    for name in COMPUTES:
        screen = client.open_screen(api.console_url(f"demo-{name}"), tls)
        size = f"{screen.width} by {screen.height} pixels"
        transcript.say(f"console of demo-{name} by {APPLIANCE}: {size}, named {screen.name}")


if __name__ == "__main__":
    sys.exit(main())
