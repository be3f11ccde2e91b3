"""The virtual environment with OpenStack's packages, which script/test makes."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

VENV = Path(__file__).resolve().parents[2] / ".cache" / "openstack" / "venv"
TIMEOUT = 120
"""Seconds for one command: far above what any machine needs."""


def program(name: str) -> str:
    """The full path of one of its programs, ``openstack`` or ``python`` for example."""
    path = VENV / "bin" / name
    if not path.exists():
        pytest.fail(f"{path} is missing; script/test openstack installs it.", pytrace=False)
    return str(path)


def environment(home: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables for its programs: nothing of the user's own clouds, passwords, proxies and Python.

    :param home: the home folder, where OpenStack's clients look for files, too
    :param more: further ones
    """
    ours = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OS_", "PYTHON", "XDG_")) and not name.lower().endswith("_proxy")
    }
    path = os.pathsep.join([str(VENV / "bin"), ours.get("PATH", os.defpath)])
    return {**ours, "PATH": path, "HOME": str(home), "LC_ALL": "C.UTF-8", **(more or {})}


def run_python(
    *arguments: str, home: Path, text: str | None = None, more: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run its Python, with nothing of this checkout in the way (``-P``); the result is looked at by the caller."""
    return subprocess.run(
        [program("python"), "-P", *arguments],
        input=text, env=environment(home, more), cwd=home, capture_output=True, text=True, timeout=TIMEOUT, check=False,
    )  # fmt: skip


def at_a_terminal(
    command: Sequence[str], variables: Mapping[str, str], answers: Sequence[str], timeout: float = TIMEOUT
) -> str:
    """What a command prints to somebody who types an answer each time ``Password:`` is asked; it has to succeed.

    :param variables: all those of its environment
    :param timeout: seconds until it has ended
    """
    controller, terminal = pty.openpty()
    with tempfile.TemporaryFile("w+") as printed:
        process = subprocess.Popen(
            command, env=dict(variables), stdin=terminal, stdout=printed, stderr=terminal, start_new_session=True
        )
        os.close(terminal)
        try:
            end, said, given = time.monotonic() + timeout, b"", 0
            while more := _read(controller, end, said):
                said += more
                if given < min(said.count(b"Password:"), len(answers)):
                    os.write(controller, f"{answers[given]}\n".encode())
                    given += 1
            assert process.wait(max(1, end - time.monotonic())) == 0, said.decode()
        finally:
            process.kill()
            process.wait()
            os.close(controller)
        printed.seek(0)
        return printed.read()


def _read(controller: int, end: float, said: bytes) -> bytes:
    """The next that is said at a terminal; nothing when all have left it."""
    assert select.select([controller], [], [], max(0, end - time.monotonic()))[0], f"it only said {said.decode()!r}"
    try:
        return os.read(controller, 4096)
    except OSError:  # EIO
        return b""


class OpenStackClient:
    """``openstack``, with a clouds.yaml.

    :param home: its home folder
    :param variables: those by which it finds the cloud: ``OS_CLIENT_CONFIG_FILE``, ``OS_CLOUD``, ``OS_PASSWORD`` …
    """

    def __init__(self, home: Path, variables: Mapping[str, str]) -> None:
        self.home = home
        self.variables = dict(variables)

    @classmethod
    def of_cloud(cls, clouds_yaml: Path, cloud: str, password: str) -> OpenStackClient:
        """One with a cloud of a clouds.yaml, in whose folder it is at home."""
        return cls(
            clouds_yaml.parent,
            {"OS_CLIENT_CONFIG_FILE": str(clouds_yaml), "OS_CLOUD": cloud, "OS_PASSWORD": password},
        )

    def run(self, *arguments: str, more: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command; the result is looked at by the caller."""
        return subprocess.run(
            [program("openstack"), *arguments],
            env=environment(self.home, {**self.variables, **(more or {})}), cwd=self.home,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT, check=False,
        )  # fmt: skip

    def json(self, *arguments: str) -> Any:
        """What a command prints with ``-f json``; it has to succeed."""
        done = self.run(*arguments, "-f", "json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def refusal(self, *arguments: str) -> str:
        """What a command says that does not succeed."""
        done = self.run(*arguments)
        assert done.returncode != 0, done.stdout
        return done.stderr
