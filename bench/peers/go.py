"""A relay in Go on Debian's gorilla/websocket, as most of them are written, with buffers of 64 KiB: go/main.go."""

from __future__ import annotations

from pathlib import Path

from bench.peers.base import CACHE, Certificates, Leg, Peer, Relay, free_port, launch, started

PROGRAM = CACHE / "go" / "relay"


class Go(Peer):
    """One process, a goroutine a direction."""

    name = "go"
    title = "Go, gorilla/websocket, 64 KiB buffers"

    def start(self, leg: Leg, certificates: Certificates, folder: Path) -> Relay:
        """See :meth:`Peer.start`."""
        port = free_port()
        options: list[str | Path] = []
        if leg.tls:
            options = ["-cert", certificates.server[0], "-key", certificates.server[1]]
        argv = [PROGRAM, "-listen", f"127.0.0.1:{port}", "-target", f"127.0.0.1:{leg.target}", *options]
        process, log = launch(argv, folder)
        return started(Relay(process, port, log, certificates.authority if leg.tls else None))
