"""What a peer is: a relay that can be started before a VNC server of ours."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.loads.link import Door
from bench.measure import tree

START_TIMEOUT = 30.0
STOP_TIMEOUT = 5.0
LOG_SHOWN = 500
CACHE = Path(__file__).resolve().parents[2] / ".cache" / "bench"
"""Where script/bench puts the peers that are no Debian packages."""


class PeerFailed(Exception):
    """A relay is not there, did not start, or does not do what it should; ``str()`` says so in words."""


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files (PEM).

    :ivar authority: the authority's certificate
    :ivar server: certificate and key for 127.0.0.1
    :ivar client: certificate and key to show to VNC servers
    """

    authority: Path
    server: tuple[Path, Path]
    client: tuple[Path, Path]


@dataclass(frozen=True, slots=True)
class Leg:
    """What a relay stands between.

    :ivar target: the VNC server's port on 127.0.0.1
    :ivar tls: whether browsers come over TLS
    :ivar vencrypt: whether the VNC server offers VeNCrypt only
    :ivar crowd: whether the VNC server has one process for all sessions
    """

    target: int
    tls: bool = False
    vencrypt: bool = False
    crowd: bool = False


class Relay:
    """A relay that runs.

    :ivar port: where it listens on 127.0.0.1
    """

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path, authority: Path | None) -> None:
        self.port = port
        self._process = process
        self._log = log
        self._authority = authority

    def door(self) -> Door:
        """What one session needs to get in."""
        return Door(self.port, self._path(), self._authority)

    def _path(self) -> str | None:
        return "/"

    def pids(self) -> list[int]:
        """All of its processes."""
        return tree(self._process.pid)

    def wait(self) -> None:
        """Wait until it listens.

        :raises PeerFailed: it ended, or does not within :data:`START_TIMEOUT`
        """
        end = time.monotonic() + START_TIMEOUT
        while time.monotonic() < end:
            if self._process.poll() is not None:
                raise PeerFailed(f"ended with status {self._process.returncode}: {self._last_words()}")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.05)
        raise PeerFailed(f"did not listen within {START_TIMEOUT:.0f} s: {self._last_words()}")

    def _last_words(self) -> str:
        text = self._log.read_text(errors="replace").strip()
        return " ".join(text[-LOG_SHOWN:].split()) or "it said nothing"

    def stop(self) -> None:
        """End it and its processes."""
        pids = self.pids()
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_TIMEOUT)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                if pid != self._process.pid or self._process.returncode is None:
                    os.kill(pid, signal.SIGKILL)
        self._process.wait()


class BareRelay(Relay):
    """One that passes on TCP and knows no WebSocket."""

    def _path(self) -> None:
        return None


class Peer(ABC):
    """A kind of relay.

    :ivar name: as it is named on the command line and in results
    :ivar title: in words, with what is worth knowing
    :ivar most_sessions: how many it is asked to hold; a process a session takes too much memory for more
    :ivar rows: names of the rows that it is there for; empty for all
    """

    name: str
    title: str
    most_sessions = 5000
    rows: tuple[str, ...] = ()

    def why_not(self, leg: Leg) -> str | None:
        """Why it cannot stand between these; None when it can."""
        return "knows no VeNCrypt" if leg.vencrypt else None

    @abstractmethod
    def start(self, leg: Leg, certificates: Certificates, folder: Path) -> Relay:
        """Start it in an empty folder and wait until it listens.

        :raises PeerFailed: it is not installed or did not start
        """


def launch(
    argv: Sequence[str | Path], folder: Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> tuple[subprocess.Popen[bytes], Path]:
    """Start a relay's process in a session of its own; returns it and its log.

    :raises PeerFailed: there is no such program
    """
    log = folder / "log"
    argv = [str(part) for part in argv]
    with log.open("wb") as output:
        try:
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=cwd or folder,
                env={**clean_environment(), **(env or {})}, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise PeerFailed(f"cannot be started: {argv[0]}: {error.strerror}") from None
    return process, log


def clean_environment() -> dict[str, str]:
    """Ours, without what is for our Python alone; with the places where Debian's programs are."""
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    env["PATH"] = f"{env.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
    return env


def started(relay: Relay) -> Relay:
    """Wait until it listens; when it does not, leave nothing of it behind."""
    try:
        relay.wait()
    except BaseException:
        relay.stop()
        raise
    return relay


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def raise_file_limit() -> int:
    """Allow this process and those it starts as many open files as may be; returns how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return sys.maxsize if hard == resource.RLIM_INFINITY else hard
