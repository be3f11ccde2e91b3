"""Whether KVM works: /dev/kvm may be there, and yet no kernel gets beyond its first instructions."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import tempfile
import time
from pathlib import Path

SECONDS = 10.0
KERNEL = "vmlinuz"


def works(box: Path) -> bool:
    """Start the kernel of a box under KVM and see whether it prints its version."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with tarfile.open(box) as archive, (folder / KERNEL).open("wb") as kernel:
            member = archive.extractfile(KERNEL)
            if member is None:
                return False
            shutil.copyfileobj(member, kernel)
        serial = folder / "serial"
        serial.touch()
        qemu = subprocess.Popen(
            ["qemu-system-x86_64", "-accel", "kvm", "-m", "256", "-nodefaults", "-display", "none", "-no-reboot",
             "-serial", f"file:{serial}", "-kernel", str(folder / KERNEL), "-append", "console=ttyS0 panic=-1"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            end = time.monotonic() + SECONDS
            while time.monotonic() < end and qemu.poll() is None:
                if b"Linux version" in serial.read_bytes():
                    return True
                time.sleep(0.1)
            return b"Linux version" in serial.read_bytes()
        finally:
            qemu.kill()
            qemu.wait()
