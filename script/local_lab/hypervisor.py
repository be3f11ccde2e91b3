"""A private libvirtd and its guests.

It is a session libvirtd with XDG folders of its own: unprivileged, without
cgroups, namespaces, security drivers and virtlogd, so that it runs in a plain
container too, and without a path in common with the machine's own libvirt.
"""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import libvirt

from local_lab import processes
from provision.progress import StepFailed

START_SECONDS = 60.0
"""Until libvirtd answers. It looks at QEMU first, which takes 13 s on a slow machine with a cold cache."""

GUEST_SECONDS = 60.0
"""Until one guest runs; the first one has libvirtd look at QEMU."""

QEMU_CONF = """\
stdio_handler = "file"
security_driver = "none"
cgroup_controllers = []
namespaces = []
"""

GUEST = """\
<domain type='qemu'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <memory unit='MiB'>16</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type><boot dev='fd'/></os>
  <features><acpi/></features>
  <devices>
    <disk type='file' device='floppy'>
      <driver name='qemu' type='raw'/><source file='{image}'/><target dev='fda' bus='fdc'/><readonly/>
    </disk>
    <serial type='file'><source path='{serial}'/></serial>
    <graphics type='vnc' socket='{screen}'/>
    <video><model type='vga'/></video>
    <memballoon model='none'/>
    <controller type='usb' model='none'/>
  </devices>
</domain>
"""


@dataclass(frozen=True, slots=True)
class Guest:
    """A running guest."""

    id: str
    name: str


class Hypervisor:
    """libvirtd in the lab's folder.

    :ivar uri: where it answers
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.uri = f"qemu+unix:///session?socket={folder}/run/libvirt/libvirt-sock"
        self._capabilities = folder / "cache" / "libvirt" / "qemu" / "cache" / "capabilities"
        self._warm = folder / "warm" / "capabilities"

    def start(self) -> processes.Service:
        """Start libvirtd with what earlier runs learnt of QEMU."""
        conf = self._folder / "config" / "libvirt"
        conf.mkdir()
        (conf / "qemu.conf").write_text(QEMU_CONF)
        (conf / "libvirtd.conf").write_text(f'host_uuid = "{uuid.uuid4()}"\n')
        with contextlib.suppress(OSError):  # a cold cache costs seconds and nothing else
            shutil.copytree(self._warm, self._capabilities)
        return processes.start("libvirtd", ["libvirtd"], self._folder / "libvirtd.log")

    def start_guests(self, names: Sequence[str], service: processes.Service) -> list[Guest]:
        """Start one guest a name.

        :raises StepFailed: libvirtd does not answer, or a guest does not start
        """
        work = _Guests(self.uri, self._folder, names)
        # A libvirt call cannot be interrupted: the work is a thread's, and this one stays free to be told to end.
        threading.Thread(target=work.run, daemon=True).start()
        allowed = START_SECONDS + GUEST_SECONDS + 2.0 * len(names)
        processes.wait_for(work.done.is_set, "The start of the guests", allowed, [service])
        if work.failure is not None:
            raise StepFailed(f"libvirt says: {work.failure}.", details=_log_tail(service.log))
        return work.guests

    def keep_capabilities(self) -> None:
        """Keep what libvirtd learnt of QEMU for the next run."""
        with contextlib.suppress(OSError):
            new = self._warm.with_name(f"{self._warm.name}.{uuid.uuid4().hex}")
            shutil.copytree(self._capabilities, new)
            shutil.rmtree(self._warm, ignore_errors=True)
            try:
                new.rename(self._warm)
            except OSError:  # another lab was faster
                shutil.rmtree(new)


def _log_tail(log: Path) -> list[str]:
    lines = [line for line in log.read_text(errors="replace").splitlines() if " error : " in line]
    return lines[-5:]


class _Guests:
    """The blocking half of :meth:`Hypervisor.start_guests`."""

    def __init__(self, uri: str, folder: Path, names: Sequence[str]) -> None:
        self._uri = uri
        self._folder = folder
        self._names = names
        self.guests: list[Guest] = []
        self.failure: str | None = None
        self.done = threading.Event()

    def run(self) -> None:
        libvirt.registerErrorHandler(lambda *_: None, None)  # it would print; the exception says it
        try:
            connection = self._connect()
            try:
                for name in self._names:
                    self.guests.append(self._start(connection, name))
            finally:
                connection.close()
        except libvirt.libvirtError as error:
            self.failure = str(error)
        finally:
            self.done.set()

    def _connect(self) -> libvirt.virConnect:
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                return libvirt.open(self._uri)
            except libvirt.libvirtError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)

    def _start(self, connection: libvirt.virConnect, name: str) -> Guest:
        guest = Guest(str(uuid.uuid4()), name)
        connection.createXML(
            GUEST.format(
                name=name,
                uuid=guest.id,
                image=self._folder / "boot.img",
                serial=self._folder / f"{name}.serial",
                # Nobody else on this machine can open the screens, as they could on ports of 127.0.0.1.
                screen=self._folder / f"{name}.vnc",
            ),
            0,
        )
        return guest
