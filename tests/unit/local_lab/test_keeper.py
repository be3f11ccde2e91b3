"""The keeper leaves nothing of its service behind, with real processes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[3] / "script"

# Starts a process that detaches itself as a daemon does, says its id, and waits for ever, ignoring SIGTERM if asked to.
SERVICE = """
import os, signal, sys, time
if sys.argv[1] == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
out, into = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    os.write(into, str(os.getpid()).encode())
    os.close(into)
    time.sleep(1000)
os.close(into)
os.wait()
print(os.read(out, 20).decode(), os.getpid(), flush=True)
if sys.argv[1] == "ends":
    sys.exit(7)
time.sleep(1000)
"""


def _running(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


class Kept:
    """A keeper with :data:`SERVICE`, and the process ids in it."""

    def __init__(self, behaviour: str) -> None:
        self.keeper = subprocess.Popen(
            [sys.executable, "-m", "local_lab.keeper", sys.executable, "-c", SERVICE, behaviour],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
        )
        assert self.keeper.stdout is not None
        self.daemon, self.service = map(int, self.keeper.stdout.readline().split())
        self.keeper.stdout.close()

    def left(self) -> list[int]:
        """Those that still run; a moment is given to the kernel."""
        end = time.monotonic() + 10
        while (left := [pid for pid in (self.daemon, self.service) if _running(pid)]) and time.monotonic() < end:
            time.sleep(0.01)
        return left


@pytest.fixture
def kept(request: pytest.FixtureRequest) -> Iterator[Kept]:
    it = Kept(request.param)
    yield it
    it.keeper.kill()
    it.keeper.wait()


@pytest.mark.parametrize("kept", ["ends"], indirect=True)
def test_when_the_service_ends_its_daemons_end_and_the_status_is_handed_on(kept: Kept) -> None:
    assert kept.keeper.wait(10) == 7
    assert kept.left() == []


@pytest.mark.parametrize("kept", ["waits", "stubborn"], indirect=True)
def test_when_it_is_told_to_end_everything_ends(kept: Kept) -> None:
    kept.keeper.terminate()
    assert kept.keeper.wait(20) >= 128
    assert kept.left() == []


@pytest.mark.parametrize("kept", ["waits"], indirect=True)
def test_a_signal_that_ends_the_service_is_told_as_a_shell_does(kept: Kept) -> None:
    os.kill(kept.service, signal.SIGKILL)
    assert kept.keeper.wait(10) == 128 + signal.SIGKILL
    assert kept.left() == []
