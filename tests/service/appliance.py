"""The service, started as an operator starts it, in a network namespace of its own."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import requests
import websocket

from tests.hosts import ComputeHost
from tests.hosts.network import Namespace
from tests.service.rfb import RfbClient

ROOT = Path(__file__).resolve().parents[2]
NOVNC = ROOT / ".cache" / "novnc" / "node_modules" / "@novnc" / "novnc"
STOCK_NOVNC = Path("/usr/share/novnc")
START_TIMEOUT = 30
API_TIMEOUT = 15


class Appliance:
    """A running service.

    :ivar url: its address, ``http://10.64.1.2:6080``
    :ivar passwords: of the users ``ann`` (admin), ``max`` (member) and ``rea`` (reader), by name
    :ivar log_file: everything it has written to standard error and standard output
    """

    def __init__(
        self,
        folder: Path,
        namespace: Namespace,
        ip: str,
        computes: Iterable[ComputeHost],
        port: int = 6080,
        options: Mapping[str, Mapping[str, object]] | None = None,
        certificate: tuple[Path, Path] | None = None,
    ) -> None:
        self.folder = folder
        self.ip, self.port = ip, port
        self.metrics_port = port + 2000
        self.url = f"{'https' if certificate else 'http'}://{ip}:{port}"
        self.verify: str | bool = str(certificate[0]) if certificate else True
        self.passwords = {name: secrets.token_urlsafe(12) for name in ("ann", "max", "rea")}
        self.log_file = folder / "log"
        self._namespace = namespace
        self._process: subprocess.Popen[bytes] | None = None
        self._configure(list(computes), options or {}, certificate)

    # --- the process

    def start(self) -> None:
        """Start it and wait until it is ready.

        :raises AssertionError: it is not; the message has its log
        """
        with self.log_file.open("ab") as log:
            self._process = self._namespace.popen(
                [*self.command, "serve", "--config-file", str(self.folder / "porthole.conf")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=self.environment,
            )  # fmt: skip
        end = time.monotonic() + START_TIMEOUT
        while time.monotonic() < end:
            assert self._process.poll() is None, f"the service ended:\n{self.log()}"
            try:
                if requests.get(f"{self.url}/readyz", timeout=API_TIMEOUT, verify=self.verify).status_code == 200:
                    return
            except requests.ConnectionError:
                pass
            time.sleep(0.05)
        raise AssertionError(f"the service was not ready after {START_TIMEOUT} s:\n{self.log()}")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it; returns its exit status."""
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(number)
        try:
            return self._process.wait(20)
        finally:
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait(5)
            self._process = None

    def pids(self) -> list[int]:
        """Its processes: gunicorn's master, then the workers."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        return [self._process.pid, *map(int, children)]

    def open_files(self) -> int:
        """File descriptors of all workers."""
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in self.pids()[1:])

    def log(self) -> str:
        """What it has written so far."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def log_lines(self, event: str) -> list[dict[str, Any]]:
        """Its log lines of one event."""
        lines = [json.loads(line) for line in self.log().splitlines() if line.startswith("{")]
        return [line for line in lines if line.get("event") == event]

    def metrics(self) -> str:
        """What Prometheus would read now."""
        return requests.get(f"http://{self.ip}:{self.metrics_port}/metrics", timeout=API_TIMEOUT).text

    def metric(self, name: str) -> float:
        """A metric's value now; ``name`` with its labels as in the exposition, 0 when it is not there."""
        values = [line.rpartition(" ")[2] for line in self.metrics().splitlines() if line.rpartition(" ")[0] == name]
        return float(values[0]) if values else 0.0

    # --- its clients

    def call(self, method: str, path: str, user: str | None = "max", **options: Any) -> requests.Response:
        """A call of the HTTP API as a user, None for nobody."""
        auth = (user, self.passwords[user]) if user else None
        return requests.request(
            method,
            self.url + path,
            auth=auth,
            timeout=API_TIMEOUT,
            verify=self.verify,
            allow_redirects=False,
            **options,
        )

    def console_url(self, instance: str, user: str = "max") -> str:
        """A new console URL of an instance, by id or name."""
        answer = self.call("POST", "/v1/consoles", user, json={"instance": instance})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["url"])

    def token(self, instance: str, user: str = "max") -> str:
        """A new token."""
        return token_of(self.console_url(instance, user))

    def upgrade(self, token: str | None, path: str = "/", **options: Any) -> websocket.WebSocket:
        """Open a WebSocket as a client that is no browser, which sends no Origin unless it is told to.

        :raises websocket.WebSocketBadStatusException: it was refused
        """
        query = f"?token={urllib.parse.quote(token)}" if token is not None else ""
        options.setdefault("suppress_origin", "origin" not in options)
        if isinstance(self.verify, str):
            options.setdefault("sslopt", {"ca_certs": self.verify})
        return websocket.create_connection(
            "ws" + self.url.removeprefix("http") + path + query, timeout=API_TIMEOUT, http_no_proxy=["*"], **options
        )

    def open_console(self, instance: str, user: str = "max") -> RfbClient:
        """Ask for a console, connect, and complete the RFB handshake."""
        client = RfbClient(self.upgrade(self.token(instance, user)))
        client.handshake()
        return client

    # --- its configuration

    @property
    def command(self) -> list[str]:
        """The command line of ``porthole``."""
        return [sys.executable, "-m", "porthole"]

    @property
    def environment(self) -> dict[str, str]:
        """The environment it runs in."""
        return {**os.environ, "PYTHONPATH": str(ROOT / "app")}

    def run(self, *arguments: str, text: str = "") -> str:
        """Run one of the other commands of ``porthole``; returns what it printed."""
        done = subprocess.run(
            [*self.command, *arguments], input=text, capture_output=True, text=True, env=self.environment, check=True
        )
        return done.stdout

    def _configure(
        self,
        computes: Sequence[ComputeHost],
        options: Mapping[str, Mapping[str, object]],
        certificate: tuple[Path, Path] | None,
    ) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in ("token.keys", "audit.keys"):
            self.run("keys", "add", str(self.folder / name))
        files = ("--user-file", str(self.folder / "htpasswd"), "--role-file", str(self.folder / "roles"))
        for name, role in (("ann", "admin"), ("max", "member"), ("rea", "reader")):
            self.run("user", "add", name, "--role", role, "--password-stdin", *files, text=self.passwords[name] + "\n")
        sections: dict[str, dict[str, object]] = {
            "DEFAULT": {"my_ip": self.ip, "novnc_path": NOVNC, "state_path": self.folder / "state", "workers": 1},
            "vnc": {"novncproxy_host": self.ip, "novncproxy_port": self.port, "auth_schemes": "none"},
            "consoleauth": {"token_key_file": self.folder / "token.keys"},
            "audit": {"key_file": self.folder / "audit.keys"},
            "metrics": {"host": self.ip, "port": self.metrics_port},
            "libvirt": {"allow_plain_tcp": "true"},
            "api": {
                "http_basic_auth_user_file": self.folder / "htpasswd",
                "http_basic_auth_role_file": self.folder / "roles",
            },
        }
        if certificate:
            sections["DEFAULT"] |= {"cert": certificate[0], "key": certificate[1]}
        for host in computes:
            sections[f"compute:{host.name}"] = {
                "connection_uri": host.uri,
                "server_proxyclient_address": host.ip,
            }
        for section, values in options.items():
            sections.setdefault(section, {}).update(values)
        lines = []
        for section, values in sections.items():
            lines += [f"[{section}]", *(f"{name} = {value}" for name, value in values.items()), ""]
        (self.folder / "porthole.conf").write_text("\n".join(lines))


def token_of(console_url: str) -> str:
    """The token in a console URL: in the query of ``path``, which is in the URL's query."""
    path = urllib.parse.parse_qs(urllib.parse.urlsplit(console_url).query)["path"][0]
    return urllib.parse.parse_qs(urllib.parse.urlsplit(path).query)["token"][0]
