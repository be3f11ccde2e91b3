"""@maximegris/node-websockify of npm, on Node.js: npm/relay.js starts it."""

from __future__ import annotations

from pathlib import Path

from bench.peers.base import CACHE, Certificates, Leg, Peer, Relay, free_port, launch, started

LAUNCHER = Path(__file__).with_name("npm") / "relay.js"
MODULES = CACHE / "npm" / "node_modules"


class NodeWebsockify(Peer):
    """One process. It does not slow the VNC server down: what the browser does not take waits in its memory."""

    name = "node"
    title = "@maximegris/node-websockify (npm)"

    def start(self, leg: Leg, certificates: Certificates, folder: Path) -> Relay:
        """See :meth:`Peer.start`."""
        port = free_port()
        tls = certificates.server if leg.tls else ()
        argv = ["node", LAUNCHER, f"127.0.0.1:{port}", f"127.0.0.1:{leg.target}", *tls]
        process, log = launch(argv, folder, env={"NODE_PATH": str(MODULES)})
        return started(Relay(process, port, log, certificates.authority if leg.tls else None))
