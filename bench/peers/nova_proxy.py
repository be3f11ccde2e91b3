"""nova-novncproxy of PyPI's nova; nova/proxy.py starts it and says what of it is stubbed."""

from __future__ import annotations

from pathlib import Path

from bench.peers.base import CACHE, Certificates, Leg, Peer, Relay, free_port, launch, started

PROGRAM = Path(__file__).with_name("nova") / "proxy.py"
PYTHON = CACHE / "nova" / "bin" / "python"

_CONFIGURATION = """\
[DEFAULT]
state_path = {folder}
daemon = false
cert = {cert}
key = {key}
ssl_only = {tls}
web =
[vnc]
novncproxy_host = 127.0.0.1
novncproxy_port = {port}
auth_schemes = {scheme}
vencrypt_ca_certs = {authority}
vencrypt_client_cert = {client_cert}
vencrypt_client_key = {client_key}
"""


class _NovaRelay(Relay):
    def _path(self) -> str:
        return "/?token=any"


class NovaProxy(Peer):
    """websockify's relay, with a look at the token before it; a process for each session."""

    name = "nova-novncproxy"
    title = "nova-novncproxy, Nova 34 (PyPI)"
    most_sessions = 50

    def why_not(self, leg: Leg) -> str | None:
        """It can stand between all of them."""
        return None

    def start(self, leg: Leg, certificates: Certificates, folder: Path) -> Relay:
        """See :meth:`Peer.start`."""
        port = free_port()
        configuration = folder / "nova.conf"
        cert, key = certificates.server
        configuration.write_text(
            _CONFIGURATION.format(
                folder=folder, cert=cert, key=key, tls=str(leg.tls).lower(), port=port,
                scheme="vencrypt" if leg.vencrypt else "none", authority=certificates.authority,
                client_cert=certificates.client[0], client_key=certificates.client[1],
            )
        )  # fmt: skip
        argv: list[str | Path] = [PYTHON, PROGRAM, "--config-file", configuration]
        process, log = launch(argv, folder, env={"BENCH_TARGET": f"127.0.0.1:{leg.target}"})
        return started(_NovaRelay(process, port, log, certificates.authority if leg.tls else None))
