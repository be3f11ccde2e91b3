"""The service of this checkout, with everything on: single-use tokens, policy, store, audit log, idle timeout.

Its computes are hosts of libvirt's test driver, which is libvirt without a hypervisor: their guests have the source as
their VNC server. Each session's token is asked for through the API, as a user who has signed in.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import ssl
import subprocess
import sys
import time
import urllib.parse
import uuid
from collections.abc import Sequence
from pathlib import Path

from bench.loads.link import Door
from bench.peers.base import Certificates, Leg, Peer, PeerFailed, Relay, free_port, launch

CHECKOUT = Path(__file__).resolve().parents[2]
APP = CHECKOUT / "app"
NOVNC = CHECKOUT / ".cache" / "novnc" / "node_modules" / "@novnc" / "novnc"
USER, PASSWORD = "bench", "a password for this run"  # of a service that only listens on 127.0.0.1
ONE_BY_ONE = "porthole-one-by-one"
READY_TIMEOUT = 60.0
CALL_TIMEOUT = 30.0


class Service(Relay):
    """The service, running.

    :ivar instances: ids of all guests
    """

    def __init__(
        self, process: subprocess.Popen[bytes], port: int, log: Path, authority: Path | None, instances: Sequence[str]
    ) -> None:
        super().__init__(process, port, log, authority)
        self.instances = instances
        self._api: http.client.HTTPConnection | None = None
        self._tls = Door(port, None, authority).tls()

    def _path(self) -> str:
        return f"/?token={urllib.parse.quote(self.token(self.instances[0]))}"

    def token(self, instance: str) -> str:
        """A new token of an instance's console."""
        url = urllib.parse.urlsplit(self.ask(instance))
        path = urllib.parse.parse_qs(url.query)["path"][0]
        return urllib.parse.parse_qs(urllib.parse.urlsplit(path).query)["token"][0]

    def ask(self, instance: str) -> str:
        """Ask for an instance's console: its URL.

        :raises PeerFailed: it was refused
        """
        status, answer = self._call("POST", "/v1/consoles", {"instance": instance})
        if status != http.client.CREATED:
            raise PeerFailed(f"POST /v1/consoles was answered with {status}: {answer}")
        return str(json.loads(answer)["url"])

    def wait(self) -> None:
        """Wait until it is ready: it has asked its computes for their instances."""
        super().wait()
        end = time.monotonic() + READY_TIMEOUT
        while time.monotonic() < end:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self._call("GET", "/readyz")[0] == http.client.OK:
                    self.ask(self.instances[-1])
                    return
            time.sleep(0.1)
        raise PeerFailed(f"was not ready within {READY_TIMEOUT:.0f} s: {self._last_words()}")

    def _call(self, method: str, path: str, body: object = None) -> tuple[int, str]:
        """A call of the API on a connection that is kept."""
        try:
            return self._request(method, path, body)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
            self._api = None  # it was kept for too long
            return self._request(method, path, body)

    def _request(self, method: str, path: str, body: object) -> tuple[int, str]:
        if self._api is None:
            if self._authority is None:
                self._api = http.client.HTTPConnection("127.0.0.1", self.port, timeout=CALL_TIMEOUT)
            else:
                self._api = http.client.HTTPSConnection(
                    "127.0.0.1",
                    self.port,
                    timeout=CALL_TIMEOUT,
                    context=self._tls,
                )
        headers = {
            "Authorization": "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode(),
            "Content-Type": "application/json",
            "Accept": "application/json",
        }
        self._api.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = self._api.getresponse()
        return answer.status, answer.read().decode()


class Porthole(Peer):
    """This checkout."""

    name = "porthole"
    title = "Porthole (this checkout)"
    pipelines = True

    def why_not(self, leg: Leg) -> str | None:
        """It can stand between all of them."""
        return None

    def start(self, leg: Leg, certificates: Certificates, folder: Path) -> Service:
        """See :meth:`Peer.start`: one compute with one guest."""
        return self.start_with(leg, certificates, folder, computes=1, guests=1)

    def __init__(self) -> None:
        self._files: dict[str, bytes] = {}

    def start_with(self, leg: Leg, certificates: Certificates, folder: Path, *, computes: int, guests: int) -> Service:
        """Start it with so many computes, with so many guests each.

        :raises PeerFailed: it did not start
        """
        port = free_port()
        uris, instances = _nodes(folder, leg.target, computes, guests)
        if not self._files:
            self._files = _keys_and_users(folder)
        for name, content in self._files.items():
            (folder / name).touch(0o600)
            (folder / name).write_bytes(content)
        configuration = _configure(folder, leg, certificates, port, uris, pipelines=self.pipelines)
        argv: list[str | Path] = [sys.executable, "-m", "porthole", "serve", "--config-file", configuration]
        process, log = launch(argv, folder, env={"PYTHONPATH": str(APP)})
        service = Service(process, port, log, certificates.authority if leg.tls else None, instances)
        try:
            service.wait()
        except BaseException:
            service.stop()
            raise
        return service


class OneByOne(Porthole):
    """The same, which leaves asking to the browser."""

    name = ONE_BY_ONE
    title = "Porthole with pipeline_updates = false"
    rows = ("far", "near", "narrow")
    pipelines = False


def _nodes(folder: Path, port: int, computes: int, guests: int) -> tuple[list[str], list[str]]:
    """Files for libvirt's test driver, a node a compute; returns their URIs and the guests' ids."""
    uris, instances = [], []
    for compute in range(computes):
        domains = []
        for guest in range(guests):
            id_ = str(uuid.uuid5(uuid.NAMESPACE_DNS, f"guest-{guest}.compute-{compute}"))
            instances.append(id_)
            domains.append(
                f"<domain type='test'><name>guest-{guest}</name><uuid>{id_}</uuid><memory>8192</memory><vcpu>1</vcpu>"
                f"<os><type>hvm</type></os><devices><graphics type='vnc' port='{port}' autoport='no'/></devices>"
                "</domain>"
            )
        path = folder / f"compute-{compute}.xml"
        path.write_text(f"<node>{''.join(domains)}</node>")
        uris.append(f"test://{path}")
    return uris, instances


def _keys_and_users(folder: Path) -> dict[str, bytes]:
    """Files that the service needs besides its configuration, made as an operator makes them."""
    for name in ("token.keys", "audit.keys"):
        _porthole("keys", "add", str(folder / name))
    files = ("--user-file", str(folder / "htpasswd"), "--role-file", str(folder / "roles"))
    _porthole("user", "add", USER, "--role", "member", "--password-stdin", *files, text=PASSWORD + "\n")
    return {name: (folder / name).read_bytes() for name in ("token.keys", "audit.keys", "htpasswd", "roles")}


def _configure(
    folder: Path, leg: Leg, certificates: Certificates, port: int, uris: Sequence[str], *, pipelines: bool
) -> Path:
    client_cert, client_key = certificates.client
    sections: dict[str, dict[str, object]] = {
        "DEFAULT": {"novnc_path": NOVNC, "state_path": folder / "state"},
        "vnc": {
            "novncproxy_host": "127.0.0.1",
            "novncproxy_port": port,
            "auth_schemes": "vencrypt" if leg.vencrypt else "none",
            "vencrypt_ca_certs": certificates.authority,
            "vencrypt_client_cert": client_cert,
            "vencrypt_client_key": client_key,
        },
        "consoleauth": {"token_key_file": folder / "token.keys", "token_ttl": 3600, "idle_timeout": 7200},
        "proxy": {"max_sessions": 6000, "pipeline_updates": pipelines},
        "audit": {"key_file": folder / "audit.keys"},
        "api": {
            "http_basic_auth_user_file": folder / "htpasswd",
            "http_basic_auth_role_file": folder / "roles",
        },
        "metrics": {"port": 0},
    }
    if leg.tls:
        cert, key = certificates.server
        sections["DEFAULT"] |= {"cert": cert, "key": key}
    for number, uri in enumerate(uris):
        sections[f"compute:compute-{number}"] = {
            "connection_uri": uri,
            "server_proxyclient_address": "127.0.0.1",
            "tls_server_name": "127.0.0.1",
        }
    lines = []
    for section, values in sections.items():
        lines += [f"[{section}]", *(f"{name} = {value}" for name, value in values.items()), ""]
    path = folder / "porthole.conf"
    path.write_text("\n".join(lines))
    return path


def _porthole(*arguments: str, text: str = "") -> None:
    done = subprocess.run(
        [sys.executable, "-m", "porthole", *arguments], input=text, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(APP)}, check=False,
    )  # fmt: skip
    if done.returncode:
        raise PeerFailed(f"porthole {' '.join(arguments[:2])}: {done.stderr.strip()}")
