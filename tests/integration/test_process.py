"""The service as a process: signals, and a worker that dies. No compute host is needed for it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.installation import Installation


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    installation = Installation(tmp_path)
    yield installation
    installation.end()


class TestService:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
    def test_a_signal_ends_it_in_order_and_idle_connections_are_not_waited_for(
        self, installation: Installation, number: signal.Signals
    ) -> None:
        process = installation.serve()
        installation.answers()
        with socket.create_connection(("127.0.0.1", installation.port), timeout=30) as kept:
            kept.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert kept.recv(65536).startswith(b"HTTP/1.1 200 ")
            process.send_signal(number)
            while kept.recv(65536):
                pass
            _, err = process.communicate(timeout=30)
        assert process.returncode == 0
        lines = [json.loads(line) for line in err.splitlines()]
        assert not [line for line in lines if line["level"] in ("error", "warning", "critical")]
        assert not [line for line in lines if "SIGKILL" in line["event"]]

    def test_a_worker_that_dies_is_replaced(self, installation: Installation) -> None:
        process = installation.serve()
        installation.answers()
        os.kill(worker_of(process), signal.SIGKILL)
        time.sleep(0.2)
        installation.answers()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0

    def test_its_files_are_nobody_elses(self, installation: Installation) -> None:
        process = installation.serve()
        installation.answers()
        state = installation.folder / "state"
        for path in (state, *state.iterdir()):
            assert path.stat().st_mode & 0o007 == 0
        process.terminate()
        assert process.wait(30) == 0


def children_of(process: subprocess.Popen[str]) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def worker_of(process: subprocess.Popen[str]) -> int:
    return children_of(process)[-1]
