"""The workers of a service, seen from outside: which processes there are, and which of them has a connection."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.service.rfb import RfbClient


class Log:
    """Reads what a service writes while it runs; else its pipe would be full, and the service would wait."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._lines: list[dict[str, object]] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        _, err = self._process.communicate()
        self._lines = [json.loads(line) for line in err.splitlines()]

    def ended(self) -> list[dict[str, object]]:
        """All of it, of a service that ends with status 0."""
        self._thread.join(60)
        assert self._process.returncode == 0
        return self._lines


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    """The process ids of its workers, the oldest first."""
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def sessions_by_worker(process: subprocess.Popen[str], consoles: Iterable[RfbClient]) -> Counter[int]:
    """How many of these consoles each worker has."""
    holders = _holders(process)
    inodes = _server_side()
    return Counter(holders[inodes[_ends(console)]] for console in consoles)


def worker_with(process: subprocess.Popen[str], console: RfbClient) -> int:
    """The process id of the worker that has this console."""
    (pid,) = sessions_by_worker(process, [console])
    return pid


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    """Wait until something is so; the limit is far above what any machine needs."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)


def _ends(console: RfbClient) -> tuple[int, int]:
    """The ports of the service and of the browser."""
    sock = console.websocket.sock
    assert sock is not None
    return sock.getpeername()[1], sock.getsockname()[1]


def _server_side() -> dict[tuple[int, int], str]:
    """Sockets of TCP over IPv4 by the local and the remote port."""
    found = {}
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        local, remote = (int(address.split(":")[1], 16) for address in fields[1:3])
        found[local, remote] = f"socket:[{fields[9]}]"
    return found


def _holders(process: subprocess.Popen[str]) -> dict[str, int]:
    holders = {}
    for pid in workers_of(process):
        folder = f"/proc/{pid}/fd"
        for descriptor in os.listdir(folder):
            try:
                holders[os.readlink(f"{folder}/{descriptor}")] = pid
            except FileNotFoundError:
                continue
    return holders
