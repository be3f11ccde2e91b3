"""The service without any compute host, for tests of its process alone: no root, no libvirtd."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from porthole import cli

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).resolve().parents[1])}


class Installation:
    """A folder with all that a configuration names, and the commands run on it.

    :ivar port: where it listens
    :ivar metrics_port: where Prometheus would look; 0 at first, which is nowhere
    :ivar workers: processes that serve
    :ivar audit_path: the audit log; None for the default
    :ivar audit_enabled: whether there is one
    :ivar more: further lines of the configuration
    :ivar environment: further variables of its processes
    :ivar computes: libvirt's URIs of the computes, by name; their VNC servers are on this machine, without TLS
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "novnc" / "core").mkdir(parents=True)
        (folder / "novnc" / "core" / "rfb.js").touch()
        for name in ("token.keys", "audit.keys"):
            assert cli.main(["keys", "add", str(folder / name)]) == 0
        (folder / "htpasswd").touch(0o600)
        (folder / "roles").touch(0o600)
        self.port = free_port()
        self.metrics_port = 0
        self.workers = 1
        self.audit_path: Path | None = None
        self.audit_enabled = True
        self.computes: dict[str, str] = {}
        self.more = ""
        self.environment: dict[str, str] = {}
        self.processes: list[subprocess.Popen[str]] = []

    def configure(self, **default: object) -> Path:
        """Write the configuration, with these options in [DEFAULT]."""
        options = {
            "workers": self.workers,
            "novnc_path": self.folder / "novnc",
            "state_path": self.folder / "state",
            **default,
        }
        path = self.folder / "porthole.conf"
        path.write_text(
            "\n".join(
                [
                    "[DEFAULT]",
                    *(f"{name} = {value}" for name, value in options.items()),
                    "[vnc]",
                    "novncproxy_host = 127.0.0.1",
                    f"novncproxy_port = {self.port}",
                    "[consoleauth]",
                    f"token_key_file = {self.folder / 'token.keys'}",
                    "[audit]",
                    f"key_file = {self.folder / 'audit.keys'}",
                    f"enabled = {str(self.audit_enabled).lower()}",
                    *([f"path = {self.audit_path}"] if self.audit_path else []),
                    "[api]",
                    f"http_basic_auth_user_file = {self.folder / 'htpasswd'}",
                    f"http_basic_auth_role_file = {self.folder / 'roles'}",
                    "[libvirt]",
                    "allow_plain_tcp = true",
                    "[metrics]",
                    f"port = {self.metrics_port}",
                    *(
                        f"[compute:{name}]\nconnection_uri = {uri}\nserver_proxyclient_address = 127.0.0.1\n"
                        "auth_schemes = none"
                        for name, uri in self.computes.items()
                    ),
                    self.more,
                ]
            )
        )
        return path

    def serve(
        self, *arguments: str, environment: Mapping[str, str] | None = None, **default: object
    ) -> subprocess.Popen[str]:
        """Start the service as an operator does.

        :param arguments: further ones of ``porthole serve``
        :param environment: further variables
        :param default: options of [DEFAULT]
        """
        process = subprocess.Popen(
            [sys.executable, "-m", "porthole", "serve", "--config-file", str(self.configure(**default)), *arguments],
            env={**ENVIRONMENT, **self.environment, **(environment or {})}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.processes.append(process)
        return process

    def refusal(self, *arguments: str, **default: object) -> str:
        """What it says when it does not start: one sentence, and nothing of a traceback."""
        process = self.serve(*arguments, environment=None, **default)
        out, err = process.communicate(timeout=30)
        assert process.returncode == 1
        assert not out
        (line,) = err.splitlines()
        assert line.startswith("porthole: option")
        return line

    def answers(self) -> None:
        """Wait until the service answers."""
        end = time.monotonic() + 30
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=5) as answer:
                    assert json.load(answer) == {"status": "ok"}
                return
            except OSError:
                assert time.monotonic() < end
                time.sleep(0.05)

    def end(self) -> None:
        """End what still runs."""
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.communicate(timeout=10)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
