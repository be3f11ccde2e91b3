"""websockify, of PyPI and of Debian: the relay inside nova-novncproxy. It forks a process for each session."""

from __future__ import annotations

from pathlib import Path

from bench.peers.base import CACHE, Certificates, Leg, Peer, Relay, free_port, launch, started


class Websockify(Peer):
    """The release on PyPI, in an environment of its own."""

    name = "websockify"
    title = "websockify 0.13 (PyPI)"
    most_sessions = 500  # it keeps two descriptors a session and calls select(2), which takes numbers up to 1023

    def start(self, leg: Leg, certificates: Certificates, folder: Path) -> Relay:
        """See :meth:`Peer.start`."""
        port = free_port()
        options = []
        if leg.tls:
            cert, key = certificates.server
            options = [f"--cert={cert}", f"--key={key}", "--ssl-only"]
        process, log = launch([*self._program(), *options, f"127.0.0.1:{port}", f"127.0.0.1:{leg.target}"], folder)
        return started(Relay(process, port, log, certificates.authority if leg.tls else None))

    def _program(self) -> list[Path | str]:
        return [CACHE / "websockify" / "bin" / "websockify"]


class DebiansWebsockify(Websockify):
    """Debian's package."""

    name = "websockify-debian"
    title = "websockify (Debian)"

    def _program(self) -> list[Path | str]:
        return ["/usr/bin/python3", "/usr/bin/websockify"]
