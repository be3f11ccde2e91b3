"""Other people's web sites, which the browser can reach too."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Site:
    """A web site with one empty page.

    :ivar origin: its origin, ``http://10.64.1.1:41234``
    """

    origin: str
    process: subprocess.Popen[str]

    @property
    def url(self) -> str:
        """The page."""
        return f"{self.origin}/page.html"

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.communicate()


def serve(folder: Path, ip: str, wrap: Sequence[str] = ()) -> Site:
    """Start a site at a free port of an address.

    :param wrap: begin of the command line, for a namespace
    """
    folder.mkdir()
    (folder / "page.html").write_text("<!DOCTYPE html><title>Win a prize</title><p>Hello.")
    server = [sys.executable, "-u", "-m", "http.server", "0", "--bind", ip, "--directory", str(folder)]
    process = subprocess.Popen(
        [*wrap, *server], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    port = re.search(r"port (\d+)", line)
    assert port is not None, line
    return Site(f"http://{ip}:{port[1]}", process)
