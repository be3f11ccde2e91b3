"""lighttpd's mod_wstunnel: a web server in C that ends the WebSocket itself."""

from __future__ import annotations

from pathlib import Path

from bench.peers.base import Certificates, Leg, Peer, Relay, free_port, launch, started

_CONFIGURATION = """\
server.modules = ("mod_wstunnel"{more_modules})
server.bind = "127.0.0.1"
server.port = {port}
server.document-root = "{folder}"
server.errorlog = "{folder}/error.log"
server.max-fds = 16384
server.max-connections = 5500
server.max-read-idle = 3600
server.max-write-idle = 3600
wstunnel.server = ("/" => (("host" => "127.0.0.1", "port" => "{target}")))
wstunnel.frame-type = "binary"
{tls}
"""


class Lighttpd(Peer):
    """One process, one thread."""

    name = "lighttpd"
    title = "lighttpd, mod_wstunnel (Debian)"

    def start(self, leg: Leg, certificates: Certificates, folder: Path) -> Relay:
        """See :meth:`Peer.start`."""
        port = free_port()
        tls = ""
        if leg.tls:
            cert, key = certificates.server
            tls = f'ssl.engine = "enable"\nssl.pemfile = "{cert}"\nssl.privkey = "{key}"'
        more_modules = ', "mod_openssl"' if leg.tls else ""
        configuration = folder / "lighttpd.conf"
        configuration.write_text(
            _CONFIGURATION.format(more_modules=more_modules, port=port, folder=folder, target=leg.target, tls=tls)
        )
        process, log = launch(["lighttpd", "-D", "-f", configuration], folder)
        return started(Relay(process, port, log, certificates.authority if leg.tls else None))
