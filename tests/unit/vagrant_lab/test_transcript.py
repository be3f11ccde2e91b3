"""What of Vagrant's and Ansible's output is shown."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from provision.progress import Progress
from vagrant_lab.transcript import Transcript


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("==> compute1: Creating domain with the following settings...", True),
        ("==> compute1:  -- Memory:            768M", False),
        ("==> console1: Running provisioner: site (ansible)...", True),
        ("    compute1: Unpacking gettext-base (0.21-12) ...", False),
        ("PLAY [Set up the computes] ***********************************", True),
        ("TASK [compute_vnc : Read the configuration] ******************", False),
        ("compute1                   : ok=40   changed=21   unreachable=0", True),
        ("fatal: [compute1]: FAILED! => {}", True),
        ("==> console1: Destroying VM...", False),
        ("[ERROR]: Task failed: Module failed: no such package", True),
        ("failed: [compute1] (item=/etc/pki) =>", True),
        ("==> console1: Removing domain...", True),
    ],
)
def test_lines_that_say_how_far_it_is(tmp_path: Path, line: str, shown: bool) -> None:
    screen = io.StringIO()
    transcript = Transcript(tmp_path / "output", tmp_path / "log", Progress(screen))

    transcript.take(f"{line}\n")

    text = line.removeprefix("==> ").rstrip("* ")
    assert (text in screen.getvalue()) is shown
    assert (text in transcript.output.read_text()) is shown
    assert text in transcript.log.read_text()
