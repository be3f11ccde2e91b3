"""Locks of the machine's packages are taken as apt takes them, and not waited for without end."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from provision import locks
from provision.progress import Progress, StepFailed

HOLDER = """
import fcntl, sys
with open(sys.argv[1], "a") as file:
    fcntl.lockf(file, fcntl.LOCK_EX)
    print("held", flush=True)
    sys.stdin.read(1)
"""
"""Another process that locks a file until it is told to end."""


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "lock"


@pytest.fixture
def somebody_else(lock: Path) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process


def test_one_that_is_free_is_held_and_given_back(lock: Path) -> None:
    for _ in range(2):
        with locks.held(lock, Progress(), wait=0):
            assert lock.exists()


def test_one_that_another_process_holds_is_waited_for(
    lock: Path, somebody_else: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []

    def let_go(seconds: float) -> None:
        waited.append(seconds)
        somebody_else.communicate(b"x", timeout=30)

    # Not time.sleep itself, by which subprocess waits too.
    monkeypatch.setattr(locks, "time", SimpleNamespace(monotonic=time.monotonic, sleep=let_go))
    with locks.held(lock, Progress()):
        assert len(waited) == 1


def test_when_it_does_not_end_the_message_says_which_lock(lock: Path, somebody_else: subprocess.Popen[bytes]) -> None:
    with pytest.raises(StepFailed, match=f"{lock} has been locked for 0 s"), locks.held(lock, Progress(), wait=0.3):
        pass
    assert somebody_else.poll() is None


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "lock"
    with pytest.raises(StepFailed, match=f"{path} cannot be opened"), locks.held(path, Progress()):
        pass
