"""Clients that nobody here wrote: vncdotool on the relay, through a WebSocket."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from tests.hosts import ComputeHost
from tests.hosts.screen import is_up
from tests.service import Appliance
from tests.service.tunnel import tunnel

Hosts = tuple[ComputeHost, ComputeHost]


def vncdo(port: int, *commands: str) -> None:
    """Run vncdotool's commands on a VNC server at 127.0.0.1."""
    subprocess.run([sys.executable, "-m", "vncdotool.command", "-s", f"127.0.0.1::{port}", *commands],
                   check=True, timeout=60, capture_output=True)  # fmt: skip


def test_vncdotool_types_and_sees_the_screen(
    appliance: Appliance, hosts: Hosts, tmp_path: Path, eventually: Callable[[Callable[[], object]], None]
) -> None:
    guest = hosts[0].start_guest("web-1")
    picture = tmp_path / "screen.png"
    eventually(lambda: is_up(guest))
    end = time.monotonic() + 30
    while "q" not in guest.serial_text():
        assert time.monotonic() < end
        with tunnel(lambda: appliance.upgrade(appliance.token("web-1"))) as port:
            vncdo(port, "key", "q", "pause", "0.3")
    with tunnel(lambda: appliance.upgrade(appliance.token("web-1"))) as port:
        vncdo(port, "capture", str(picture))
    with Image.open(picture) as image:
        # The guest's text on black: more than one colour, and mostly black.
        colours = image.convert("RGB").getcolors(1 << 20) or []
    assert len(colours) > 1
    assert max(colours)[1] == (0, 0, 0)
