"""The guest's boot image and its domain XML."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from .shell import sh

SOURCE = Path(__file__).resolve().parents[2] / "script" / "local_lab" / "guest" / "boot.S"
ANIMATION = Path(__file__).with_name("animation.S")
BANNER = "VNC TEST GUEST READY"
NOVA = "http://openstack.org/xmlns/libvirt/nova/1.1"


def build_boot_image(target: Path, source: Path = SOURCE) -> Path:
    """Assemble a boot sector into ``target``, unless a newer one is there."""
    if target.exists() and target.stat().st_mtime > source.stat().st_mtime:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        obj, image = Path(folder, "boot.o"), Path(folder, "boot.img")
        sh("as", "--32", "-o", str(obj), str(source))
        sh("ld", "-m", "elf_i386", "-Ttext", "0x7c00", "--oformat", "binary", "-o", str(image), str(obj))
        shutil.move(image, target)
    return target


@dataclass(frozen=True)
class GuestSpec:
    """What :meth:`ComputeHost.start_guest` is asked for; see there."""

    name: str
    uuid: str
    image: Path
    listen: str
    port: int | None
    metadata_name: str | None
    serial: Path | None
    vnc: bool
    password: str | None = None
    vnc_socket: Path | None = None
    owner: tuple[str, str] | None = None

    def xml(self) -> str:
        """The domain XML for libvirt."""
        return f"""\
<domain type='qemu'>
  <name>{escape(self.name)}</name>
  <uuid>{self.uuid}</uuid>
  {self._metadata()}
  <memory unit='MiB'>16</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type><boot dev='fd'/></os>
  <features><acpi/></features>
  <devices>
    <disk type='file' device='floppy'>
      <driver name='qemu' type='raw'/>
      <source file={quoteattr(str(self.image))}/>
      <target dev='fda' bus='fdc'/>
      <readonly/>
    </disk>
    {self._graphics()}
    <video><model type='vga'/></video>
    {self._serial()}
    <memballoon model='none'/>
    <controller type='usb' model='none'/>
  </devices>
</domain>"""

    def _metadata(self) -> str:
        if self.metadata_name is None and self.owner is None:
            return ""
        name = "" if self.metadata_name is None else f"<nova:name>{escape(self.metadata_name)}</nova:name>"
        owner = ""
        if self.owner is not None:
            project, user = map(quoteattr, self.owner)
            owner = f"<nova:owner><nova:user uuid={user}/><nova:project uuid={project}/></nova:owner>"
        return f"<metadata><nova:instance xmlns:nova='{NOVA}'>{name}{owner}</nova:instance></metadata>"

    def _graphics(self) -> str:
        if not self.vnc:
            return ""
        password = "" if self.password is None else f"passwd={quoteattr(self.password)}"
        if self.vnc_socket is not None:
            return f"<graphics type='vnc' socket={quoteattr(str(self.vnc_socket))} {password}/>"
        port = "autoport='yes'" if self.port is None else f"autoport='no' port='{self.port}'"
        return f"<graphics type='vnc' {port} listen='{self.listen}' {password}/>"

    def _serial(self) -> str:
        if self.serial is None:
            return ""
        return f"<serial type='file'><source path={quoteattr(str(self.serial))}/><target port='0'/></serial>"
