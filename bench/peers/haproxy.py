"""HAProxy in TCP mode. It knows no WebSocket: QEMU's own WebSocket port would be behind it.

Here the source is behind it, and the client speaks RFB without frames, so that what is measured is HAProxy alone.
"""

from __future__ import annotations

from pathlib import Path

from bench.peers.base import BareRelay, Certificates, Leg, Peer, Relay, free_port, launch, started

_CONFIGURATION = """\
global
    maxconn 5500
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h
listen relay
    bind 127.0.0.1:{port}{tls}
    server source 127.0.0.1:{target}
"""


class HAProxy(Peer):
    """One process, a thread a processor."""

    name = "haproxy"
    title = "HAProxy, TCP mode, no frames (Debian)"

    def start(self, leg: Leg, certificates: Certificates, folder: Path) -> Relay:
        """See :meth:`Peer.start`."""
        port = free_port()
        tls = ""
        if leg.tls:
            both = folder / "both.pem"
            both.touch(0o600)
            both.write_bytes(b"".join(path.read_bytes() for path in certificates.server))
            tls = f" ssl crt {both}"
        configuration = folder / "haproxy.cfg"
        configuration.write_text(_CONFIGURATION.format(port=port, target=leg.target, tls=tls))
        process, log = launch(["haproxy", "-db", "-f", configuration], folder)
        return started(BareRelay(process, port, log, certificates.authority if leg.tls else None))
