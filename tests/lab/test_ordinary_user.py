"""script/lab for somebody who is not root, from a first run to a second.

As root this makes a user for the purpose and gives it a copy of the checkout;
otherwise this user, with an empty home, will do.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.running import CHECKOUT, free_port

FIRST_RUN_SECONDS = 600


@pytest.fixture
def home() -> Iterator[Path]:
    """An empty home, with a copy of the checkout in it."""
    folder = Path(tempfile.mkdtemp(prefix="porthole-home-"))
    try:
        copy = folder / "checkout"
        for name in ("app", "script"):
            shutil.copytree(CHECKOUT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
        shutil.copy(CHECKOUT / "requirements.txt", copy)
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def become(home: Path) -> Iterator[list[str]]:
    """The start of a command line that runs the rest as somebody who is not root and owns *home*."""
    if os.geteuid() != 0:
        yield []
        return
    name = f"ph-{uuid.uuid4().hex[:8]}"
    subprocess.run(["useradd", "--no-create-home", "--home-dir", str(home), name], check=True)
    try:
        subprocess.run(["chown", "-R", f"{name}:", str(home)], check=True)
        yield ["setpriv", f"--reuid={name}", f"--regid={name}", "--clear-groups", "--no-new-privs"]
    finally:
        subprocess.run(["userdel", name], check=True)


def test_the_main_job_runs_for_an_ordinary_user(
    home: Path, become: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    env["HOME"] = str(home)
    env["PATH"] = "/usr/local/bin:/usr/bin:/bin"
    for which in ("first", "second"):
        began = time.monotonic()
        done = subprocess.run(
            [*become, str(home / "checkout" / "script" / "lab"), "--smoke", "--port", str(free_port())],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=FIRST_RUN_SECONDS,
            env=env,
            cwd=home,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["instance"] == "demo-1"
        with capsys.disabled():
            print(f"\nan ordinary user's {which} run took {time.monotonic() - began:.1f} s")
    assert (home / ".cache" / "porthole-lab" / "boot.img").is_file()
