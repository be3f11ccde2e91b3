"""A compute host: a real libvirtd with real QEMU guests in namespaces of their own."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import libvirt

from .guest import ANIMATION, NOVA, GuestSpec, build_boot_image
from .network import FOLDER_PREFIX, Namespace, Network
from .shell import CommandFailed, sh

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "hosts"
"""What may stay between runs: the boot image and libvirt's knowledge of QEMU (8 to 13 s to gather)."""

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

_VNC_TLS = """\
vnc_tls = 1
vnc_tls_x509_verify = 1
vnc_tls_x509_cert_dir = "{folder}"
"""

# The folders are private: nothing of the machine's own libvirt is seen or changed. libvirtd refuses to start without
# the user and group libvirt-qemu (of the package libvirt-daemon-system), even when qemu.conf names others.
# /dev/kvm is hidden behind a read-only empty file: libvirt 9.0 probes QEMU at each call when it cannot be used.
_SET_UP = """\
set -e
hostname "$1"
for place in run var/lib var/cache var/log; do
  mount --bind "$2/$place" "/$place"
done
mount --bind "$2/libvirt" /etc/libvirt
mount --bind "$2/passwd" /etc/passwd
mount --bind "$2/group" /etc/group
if [ -e /dev/kvm ]; then
  mount --bind "$2/nokvm" /dev/kvm
  mount -o remount,bind,ro /dev/kvm
fi
exec "$3" "$4" "$2"
"""


class Guest:
    """A running (or defined) guest.

    :ivar name: libvirt's ``<name>``
    :ivar uuid: libvirt's ``<uuid>``
    :ivar host: the compute host it was started on
    :ivar serial_path: file that COM1 writes to, or None
    """

    def __init__(self, host: ComputeHost, spec: GuestSpec) -> None:
        self.host = host
        self.name = spec.name
        self.uuid = spec.uuid
        self.serial_path = spec.serial

    @property
    def domain(self) -> libvirt.virDomain:
        """The domain, looked up now."""
        return self.host.conn.lookupByUUIDString(self.uuid)

    @property
    def port(self) -> int:
        """The TCP port of its VNC server now.

        :raises ValueError: it has none
        """
        match = re.search(r"<graphics type='vnc' port='(\d+)'", self.domain.XMLDesc())
        if match is None:
            raise ValueError(f"guest {self.name} has no VNC port")
        return int(match[1])

    def serial_text(self) -> str:
        """What the guest has written to COM1: each key it got."""
        if self.serial_path is None or not self.serial_path.exists():
            return ""
        return self.serial_path.read_text(encoding="latin-1")

    @property
    def pid(self) -> int:
        """The process id of its QEMU, as the tests see it.

        :raises ProcessLookupError: it has none
        """
        for pid in self.host.namespace.pids():
            with contextlib.suppress(OSError):
                command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if b"qemu" in command[0] and self.uuid.encode() in command:
                    return pid
        raise ProcessLookupError(f"guest {self.name} has no QEMU")

    def destroy(self) -> None:
        """Pull the plug."""
        self.domain.destroy()

    def shutdown(self) -> None:
        """Press the power button until the guest has turned itself off. It does not see the button before it is up.

        :raises TimeoutError: it has not within 30 s
        """
        end = time.monotonic() + 30
        try:
            while self.domain.isActive():
                if time.monotonic() > end:
                    raise TimeoutError(f"guest {self.name} does not turn itself off")
                self.domain.shutdown()
                time.sleep(0.05)
        except libvirt.libvirtError as error:
            # Off, between two calls; and one that is not persistent is gone then.
            if error.get_error_code() not in (libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_OPERATION_INVALID):
                raise

    def pause(self) -> None:
        """Stop its processor."""
        self.domain.suspend()

    def resume(self) -> None:
        """Let it run again."""
        self.domain.resume()

    def start(self) -> None:
        """Start a persistent guest that is off."""
        self.domain.create()

    def set_vnc_password(self, password: str, valid_to: str | None = None) -> None:
        """Have libvirt change the VNC password of the running guest.

        :param valid_to: until when it is valid, in UTC, as in ``2030-01-02T03:04:05``; default: for ever
        """
        xml = self.domain.XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE)
        graphics = ElementTree.fromstring(xml).find("devices/graphics")  # noqa: S314 - libvirt's own
        assert graphics is not None
        graphics.set("passwd", password)
        if valid_to is not None:
            graphics.set("passwdValidTo", valid_to)
        self.domain.updateDeviceFlags(ElementTree.tostring(graphics, "unicode"), libvirt.VIR_DOMAIN_AFFECT_LIVE)

    def set_metadata_name(self, name: str) -> None:
        """Change Nova's display name of the running guest, as Nova does when a server is renamed."""
        self.domain.setMetadata(
            libvirt.VIR_DOMAIN_METADATA_ELEMENT,
            f"<instance><name>{escape(name)}</name></instance>",
            "nova",
            NOVA,
            libvirt.VIR_DOMAIN_AFFECT_LIVE,
        )


class ComputeHost:
    """A compute host.

    :ivar name: its name
    :ivar ip: its address on the private network, where its libvirt and its VNC servers listen
    :ivar uri: libvirt's URI of it
    :ivar namespace: its network namespace
    :ivar conn: a libvirt connection for the test's own use; new after :meth:`start`
    """

    conn: libvirt.virConnect

    def __init__(self, network: Network, number: int, progress: Callable[[str], None] = lambda text: None) -> None:
        self.name = f"compute{number}"
        self.namespace, self.ip, self._link = network.host_namespace(number)
        self.uri = f"qemu+tcp://{self.ip}/system"
        self._progress = progress
        self._folder = Path(tempfile.mkdtemp(prefix=f"{FOLDER_PREFIX}{self.namespace.name}-"))
        self._init: subprocess.Popen[str] | None = None
        self._kept: list[libvirt.virConnect] = []
        self._wanted = False  # whether libvirtd should be running
        try:
            self._write_files()
            self._init = self._start_init()
            self.start()
        except BaseException:
            self.close()
            raise

    # --- guests

    def start_guest(
        self,
        name: str,
        *,
        listen: str | None = None,
        port: int | None = None,
        metadata_name: str | None = None,
        serial: bool = True,
        persistent: bool = False,
        vnc: bool = True,
        uuid_: str | None = None,
        password: str | None = None,
        vnc_socket: Path | None = None,
        animated: bool = False,
        owner: tuple[str, str] | None = None,
    ) -> Guest:
        """Start a guest (script/local_lab/guest/boot.S).

        :param name: libvirt's ``<name>``
        :param listen: address its VNC server listens at, and the one its XML shows; default: the host's
        :param port: its VNC port; default: the first one that libvirt finds free from 5900
        :param metadata_name: Nova's display name; default: no metadata of Nova
        :param serial: whether COM1 is written to a file
        :param persistent: whether libvirt still knows it when it is off
        :param vnc: whether it has a VNC display
        :param uuid_: its UUID; default: a new one
        :param password: the VNC password that libvirt has for it; default: none
        :param vnc_socket: the UNIX socket where its VNC server listens instead of a port
        :param owner: ids of project and user that Nova's metadata name; default: none
        :param animated: one that draws without end instead (animation.S)
        """
        uid = uuid_ or str(uuid.uuid4())
        spec = GuestSpec(
            name=name,
            uuid=uid,
            image=self._folder / ("animation.img" if animated else "boot.img"),
            listen=listen or self.ip,
            port=port,
            metadata_name=metadata_name,
            serial=self._folder / f"{uid}.serial" if serial else None,
            vnc=vnc,
            password=password,
            vnc_socket=vnc_socket,
            owner=owner,
        )
        if persistent:
            self.conn.defineXML(spec.xml()).create()
        else:
            self.conn.createXML(spec.xml())
        return Guest(self, spec)

    def remove_guests(self) -> None:
        """Destroy and undefine all guests."""
        for domain in self.conn.listAllDomains():
            with contextlib.suppress(libvirt.libvirtError):
                if domain.isActive():
                    domain.destroy()
            with contextlib.suppress(libvirt.libvirtError):
                domain.undefine()

    # --- configuration

    @property
    def local_uri(self) -> str:
        """libvirt's URI for the service as if it ran on this host: over libvirt's UNIX socket."""
        return f"qemu+unix:///system?socket={self._folder}/run/libvirt/libvirt-sock"

    @property
    def folder(self) -> Path:
        """A folder of the host's that has the same path everywhere."""
        return self._folder

    def use_vnc_tls(self, folder: Path | None, password: str | None = None) -> None:
        """Have the VNC servers of guests that are started from now on take TLS alone, or no TLS again.

        libvirtd is started anew; guests go on as they are.

        :param folder: with ca-cert.pem, server-cert.pem and server-key.pem; clients have to show a certificate of that
            authority. None: no TLS
        :param password: the VNC password of guests that libvirt has none for (``vnc_password`` in qemu.conf)
        """
        more = "" if folder is None else _VNC_TLS.format(folder=folder)
        more += "" if password is None else f'vnc_password = "{password}"\n'
        conf = self._folder / "libvirt/qemu.conf"
        if conf.read_text() == QEMU_CONF + more:
            return
        conf.write_text(QEMU_CONF + more)
        self.stop()
        self.start()

    # --- trouble

    def link_down(self) -> None:
        """Take its network link down: what is sent to it vanishes."""
        sh("ip", "link", "set", self._link, "down")

    def link_up(self) -> None:
        """Take the link up again."""
        sh("ip", "link", "set", self._link, "up")

    def freeze(self) -> None:
        """Stop its libvirtd (SIGSTOP): it accepts connections and answers nothing. Guests go on."""
        self._command("freeze")

    def thaw(self) -> None:
        """Let it go on (SIGCONT)."""
        self._command("thaw")

    def stop(self) -> None:
        """End its libvirtd: its port refuses connections. Guests go on."""
        if not self._wanted:
            return
        self._wanted = False
        self._command("thaw")
        self._disconnect()
        self._command("stop")

    def kill(self) -> None:
        """End its libvirtd with SIGKILL, so that it puts nothing in order. Guests go on."""
        self._command("kill")
        self._wanted = False
        self._disconnect()

    def start(self) -> None:
        """Start its libvirtd and connect :attr:`conn`.

        :raises TimeoutError: it does not answer within 60 s; the message has what it printed
        """
        if self._wanted:
            return
        self._wanted = True
        self.conn = self._connect()
        self._save_capabilities()

    def recover(self) -> None:
        """Undo what was done to it, and connect :attr:`conn` anew."""
        self.link_up()
        self.thaw()
        self.start()
        self.use_vnc_tls(None)
        # After an outage TCP may take as long again before it goes on: a new connection does not wait for that.
        self._disconnect()
        self.conn = self._connect()

    def close(self) -> None:
        """End everything on the host and remove its folder. The namespace goes with the network."""
        self.link_up()
        if self._init is not None:
            # The end of its input ends the host's first process, and with it all others. That breaks the connection
            # while the network is still there to tell.
            self._init.communicate()
        self._disconnect()
        self.namespace.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    # --- inside

    def _write_files(self) -> None:
        self._folder.chmod(0o755)
        for place in ("run", "var/lib", "var/cache", "var/log", "libvirt"):
            (self._folder / place).mkdir(parents=True)
        (self._folder / "nokvm").touch()
        for file, entry in (("passwd", "libvirt-qemu:x:64055:64055::/var/lib/libvirt:/usr/sbin/nologin"),
                            ("group", "libvirt-qemu:x:64055:")):  # fmt: skip
            (self._folder / file).write_text(_with_entry(Path("/etc", file).read_text(), entry))
        shutil.copy(build_boot_image(CACHE / "boot.img"), self._folder / "boot.img")
        shutil.copy(build_boot_image(CACHE / "animation.img", ANIMATION), self._folder / "animation.img")
        (self._folder / "libvirt/qemu.conf").write_text(QEMU_CONF)
        (self._folder / "libvirt/libvirtd.conf").write_text(
            'listen_tls = 0\nlisten_tcp = 1\nlisten_addr = "0.0.0.0"\nauth_tcp = "none"\nauth_unix_rw = "none"\n'
            f'unix_sock_group = "root"\nhost_uuid = "{uuid.uuid4()}"\n'
        )
        if (CACHE / "capabilities").is_dir():
            shutil.copytree(CACHE / "capabilities", self._capabilities())

    def _capabilities(self) -> Path:
        return self._folder / "var/cache/libvirt/qemu/capabilities"

    def _save_capabilities(self) -> None:
        if (CACHE / "capabilities").exists() or not any(self._capabilities().glob("*")):
            return
        fresh = Path(tempfile.mkdtemp(dir=CACHE))
        shutil.copytree(self._capabilities(), fresh, dirs_exist_ok=True)
        try:
            fresh.rename(CACHE / "capabilities")
        except OSError:  # another run was faster
            shutil.rmtree(fresh)

    def _connect(self) -> libvirt.virConnect:
        started, shown = time.monotonic(), 0
        while True:
            # At each attempt: libvirtd 9.0 has been seen to crash (a jump to 0) when it is started and stopped quickly.
            self._command("start")
            try:
                conn = libvirt.open(self.uri)
                conn.getCapabilities()  # fills the cache, or takes long because it is cold
                return conn
            except libvirt.libvirtError as error:
                waited = int(time.monotonic() - started)
                if waited >= 60:
                    output = (self._folder / "libvirtd.out").read_text(errors="replace")
                    raise TimeoutError(f"{self.name}: libvirtd does not answer: {error}\n{output}") from None
                if waited > shown:
                    shown = waited
                    self._progress(f"{self.name}: waiting for libvirtd, {waited} s")
                time.sleep(0.05)

    def _disconnect(self) -> None:
        """Close :attr:`conn`, without waiting for a libvirtd that does not answer."""
        conn: libvirt.virConnect | None = self.__dict__.pop("conn", None)
        if conn is None:
            return

        def close() -> None:
            with contextlib.suppress(libvirt.libvirtError):
                conn.close()

        closing = threading.Thread(target=close, daemon=True)
        closing.start()
        closing.join(2)
        if closing.is_alive():
            self._kept.append(conn)  # to free it would wait as well

    def _start_init(self) -> subprocess.Popen[str]:
        own = ["unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]
        init = Path(__file__).with_name("init.py")
        return self.namespace.popen(
            [*own, "sh", "-c", _SET_UP, "sh", self.name, str(self._folder), sys.executable, str(init)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def _command(self, command: str) -> None:
        """Have the host's first process do something to libvirtd; see init.py."""
        assert self._init is not None
        assert self._init.stdin is not None
        assert self._init.stdout is not None
        self._init.stdin.write(f"{command}\n")
        self._init.stdin.flush()
        answer = self._init.stdout.readline().strip()
        if answer not in ("ok", "no libvirtd"):
            raise CommandFailed(f"{self.name}: {command}: {answer or 'the host has ended'}")


def _with_entry(table: str, entry: str) -> str:
    """A passwd or group table that has the entry, unless it has one of that name already."""
    name = entry.partition(":")[0]
    present = any(line.startswith(f"{name}:") for line in table.splitlines())
    return table if present else f"{table.rstrip()}\n{entry}\n"


__all__ = ["ComputeHost", "Guest", "Namespace"]
