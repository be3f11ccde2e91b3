"""What runs while the rows are measured: sources, and relays before them, each started when it is first asked for."""

from __future__ import annotations

import contextlib
import itertools
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.loads import recording
from bench.loads.source import KEYS
from bench.peers.base import CACHE, Certificates, Leg, Peer, PeerFailed, Relay, clean_environment, free_port
from bench.peers.porthole import Porthole, Service

CHECKOUT = Path(__file__).resolve().parents[1]


class Stage:
    """Sources and relays.

    :param folder: an empty one, for their files
    :param seconds: how long the real guest is recorded
    """

    def __init__(self, folder: Path, seconds: float) -> None:
        self._folder = folder
        self._seconds = seconds
        self._numbers = itertools.count(1)
        self._porthole = Porthole()
        self._sources: dict[tuple[bool, bool, bool, bool], tuple[subprocess.Popen[bytes], int]] = {}
        self._relays: dict[tuple[str, Leg], Relay] = {}
        self._failed: dict[tuple[str, Leg], str] = {}
        self._certificates: Certificates | None = None
        self._recording: list[bytes] | None = None
        self._guests = contextlib.ExitStack()
        self._film: tuple[subprocess.Popen[bytes], Leg] | None = None
        self.keys = folder / KEYS
        self.keys.touch()

    def close(self) -> None:
        """End everything."""
        self.clear()
        self._guests.close()

    def clear(self) -> None:
        """End relays and sources: those that the next row wants are started anew."""
        for relay in self._relays.values():
            relay.stop()
        self._relays.clear()
        for process, _ in self._sources.values():
            process.kill()
            process.wait()
        self._sources.clear()

    def leg(
        self, *, tls: bool = False, vencrypt: bool = False, crowd: bool = False, recorded: bool = False,
        film: bool = False,
    ) -> Leg:  # fmt: skip
        """A leg with a source behind it.

        :param recorded: whether the source plays the recording back
        :param film: whether it draws all the time
        """
        return Leg(self._source(vencrypt, crowd, recorded, film), tls, vencrypt, crowd)

    @contextlib.contextmanager
    def film(self) -> Iterator[Leg]:
        """A leg with a real guest behind it, which draws without end; outside of the block it stands still."""
        if self._film is None:
            from tests.hosts.guest import ANIMATION, build_boot_image  # noqa: PLC0415 - only this needs it

            image = build_boot_image(CACHE / "animation.img", ANIMATION)
            port = free_port()
            self._film = self._guests.enter_context(recording.guest(image, port - recording.FIRST_PORT)), Leg(port)
        guest, leg = self._film
        guest.send_signal(signal.SIGCONT)
        try:
            yield leg
        finally:
            guest.send_signal(signal.SIGSTOP)

    def relay(self, peer: Peer, leg: Leg) -> Relay:
        """The peer's relay, which stays until :meth:`clear`.

        :raises PeerFailed: it cannot stand there, or did not start
        """
        if (peer.name, leg) not in self._relays:
            self._relays[peer.name, leg] = self._start(peer, leg)
        return self._relays[peer.name, leg]

    @contextlib.contextmanager
    def fresh(self, peer: Peer, leg: Leg) -> Iterator[Relay]:
        """A relay that nothing has gone through yet, for as long as the block runs."""
        relay = self._start(peer, leg)
        try:
            yield relay
        finally:
            relay.stop()

    @contextlib.contextmanager
    def cloud(self, computes: int, guests: int) -> Iterator[Service]:
        """Our service with so many computes, with so many guests each."""
        service = self._porthole.start_with(
            self.leg(), self.certificates, self._new_folder("cloud"), computes=computes, guests=guests
        )
        try:
            yield service
        finally:
            service.stop()

    def _start(self, peer: Peer, leg: Leg) -> Relay:
        """Start one, unless that has failed before: a start may take long to fail."""
        if why := peer.why_not(leg) or self._failed.get((peer.name, leg)):
            raise PeerFailed(why)
        try:
            return peer.start(leg, self.certificates, self._new_folder(peer.name))
        except PeerFailed as failure:
            self._failed[peer.name, leg] = str(failure)
            raise

    @property
    def certificates(self) -> Certificates:
        """An authority's certificates, made for this run."""
        if self._certificates is None:
            self._certificates = _issue(self._new_folder("certificates"))
        return self._certificates

    @property
    def recording(self) -> list[bytes]:
        """The updates of a real guest, recorded when they are first asked for.

        :raises RecordingError: no guest could be recorded
        """
        if self._recording is None:
            self._recording = _record(self._seconds)
            recording.save(self._folder / "recording", self._recording)
        return self._recording

    def _source(self, vencrypt: bool, crowd: bool, recorded: bool, film: bool) -> int:
        """The port of a source."""
        kind = (vencrypt, crowd, recorded, film)
        if kind not in self._sources:
            port = free_port()
            argv = [sys.executable, "-m", "bench.loads.source", "--port", str(port), "--reports", str(self._folder)]
            if crowd:
                argv.append("--crowd")
            if film:
                argv.append("--film")
            if vencrypt:
                cert, key = self.certificates.server
                argv += ["--cert", str(cert), "--key", str(key)]
            if recorded and self.recording:
                argv += ["--recording", str(self._folder / "recording")]
            env = {**clean_environment(), "PYTHONPATH": str(CHECKOUT)}
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=env)
            if process.stdout is None or not process.stdout.readline():
                raise PeerFailed(f"the source did not start, status {process.wait()}")
            self._sources[kind] = (process, port)
        return self._sources[kind][1]

    def _new_folder(self, name: str) -> Path:
        folder = self._folder / f"{next(self._numbers)}-{name}"
        folder.mkdir()
        return folder


def _issue(folder: Path) -> Certificates:
    from cryptography.x509.oid import ExtendedKeyUsageOID  # noqa: PLC0415 - only TLS needs these

    from tests.certificates import Authority  # noqa: PLC0415

    authority = Authority(folder)
    return Certificates(
        authority.certificate,
        authority.issue("server", "127.0.0.1"),
        authority.issue("client", usage=ExtendedKeyUsageOID.CLIENT_AUTH),
    )


def _record(seconds: float) -> list[bytes]:
    from tests.hosts.guest import build_boot_image  # noqa: PLC0415 - only a recording needs it

    image = build_boot_image(CACHE / "boot.img")
    # QEMU numbers displays from port 5900 on; one that is free is as good as another.
    return recording.record(image, free_port() - recording.FIRST_PORT, seconds)
