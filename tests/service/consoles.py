"""Services without a hypervisor that share users, keys and store, and their clients: for tests of sessions."""

from __future__ import annotations

import base64
import copy
import http.client
import json
import secrets
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import websocket

from porthole.auth.users import add_user
from tests.service.appliance import token_of
from tests.service.installation import ENVIRONMENT, Installation, free_port
from tests.service.rfb import RfbClient
from tests.service.vnc import GUEST, EchoingVnc

PASSWORD = "a good password"
USERS = {"ann": "admin", "max": "member", "eve": "member"}


def new_secret() -> str:
    """As a page makes one: 32 bytes in base64url."""
    return secrets.token_urlsafe(32)


class Process:
    """One process of the service.

    :ivar log_file: all that it has written
    """

    def __init__(self, installation: Installation, log_file: Path) -> None:
        self.installation = installation
        self.log_file = log_file
        self.address = f"127.0.0.1:{installation.port}"
        command = [sys.executable, "-m", "porthole", "serve", "--config-file", str(installation.configure())]
        with log_file.open("wb") as log:
            self.popen = subprocess.Popen(
                command, env={**ENVIRONMENT, **installation.environment},
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        try:
            installation.answers()
        except AssertionError:
            raise AssertionError(log_file.read_text()) from None

    def worker(self) -> int:
        """The process id of its worker."""
        children = Path(f"/proc/{self.popen.pid}/task/{self.popen.pid}/children").read_text()
        return int(children.split()[-1])

    def call(
        self, method: str, path: str, body: object = None, *, user: str | None = "max", password: str = PASSWORD,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, Any, dict[str, str]]:  # fmt: skip
        """A call of the API: status, body and headers."""
        sent = {"Accept": "application/json", "Content-Type": "application/json", **(headers or {})}
        if user:
            sent["Authorization"] = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        connection = http.client.HTTPConnection(self.address, timeout=30)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, sent)
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text else None, dict(answer.headers)
        finally:
            connection.close()

    def token(self, user: str = "max", **body: object) -> str:
        """A new token of the guest's console."""
        status, answer, _ = self.call("POST", "/v1/consoles", {"instance": GUEST, **body}, user=user)
        assert status == 201, answer
        return token_of(str(answer["url"]))

    def upgrade(self, token: str, secret: str | None = None, **options: Any) -> websocket.WebSocket:
        """Open a WebSocket, with a page's secret or as a stock client.

        :raises websocket.WebSocketBadStatusException: it was refused
        """
        if secret is not None:
            options["subprotocols"] = ["binary", f"porthole.resume.{secret}"]
        options.setdefault("header", ["Accept: application/json"])
        return websocket.create_connection(
            f"ws://{self.address}/?token={token}", timeout=30, suppress_origin=True, http_no_proxy=["*"], **options
        )

    def console(self, token: str, secret: str | None = None, **options: Any) -> RfbClient:
        """A console up to ServerInit."""
        return RfbClient(self.upgrade(token, secret, **options)).handshake()

    def refusal(self, token: str, secret: str | None = None, **options: Any) -> tuple[int, str, dict[str, str]]:
        """Status, code and headers of an upgrade that is refused."""
        try:
            self.upgrade(token, secret, **options).close()
        except websocket.WebSocketBadStatusException as refused:
            body = json.loads(refused.resp_body or b"{}")
            return refused.status_code, str(body.get("code")), dict(refused.resp_headers or {})
        raise AssertionError("the upgrade was not refused")

    def sessions(self, user: str = "ann") -> list[dict[str, Any]]:
        """The sessions that this user sees."""
        status, answer, _ = self.call("GET", "/v1/sessions", user=user)
        assert status == 200, answer
        listed: list[dict[str, Any]] = answer["sessions"]
        return listed


class Site:
    """A folder with users, keys and a guest, and the processes that serve them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.vnc = EchoingVnc()
        self.installation = Installation(folder)
        self.installation.computes["c1"] = self.vnc.node(folder)
        self.processes: list[Process] = []
        for name, role in USERS.items():
            add_user(self.user_file, self.role_file, name, PASSWORD, role, cost=4)

    @property
    def user_file(self) -> Path:
        """Its htpasswd file."""
        return self.folder / "htpasswd"

    @property
    def role_file(self) -> Path:
        """Who has which role."""
        return self.folder / "roles"

    def start(self, **options: dict[str, object]) -> Process:
        """Start one more process, on a port of its own, with options by section."""
        installation = copy.copy(self.installation)
        installation.port = free_port()
        installation.more = "\n".join(
            line
            for section, values in options.items()
            for line in (f"[{section}]", *(f"{name} = {value}" for name, value in values.items()))
        )
        process = Process(installation, self.folder / f"log{len(self.processes)}")
        self.processes.append(process)
        return process

    def log(self) -> str:
        """What all processes have written."""
        return "".join(process.log_file.read_text() for process in self.processes)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """One of the other commands, with this configuration."""
        command = [sys.executable, "-m", "porthole", *arguments, "--config-file", str(self.folder / "porthole.conf")]
        environment = {**ENVIRONMENT, **self.installation.environment}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    def stop(self) -> None:
        """End all processes."""
        for process in self.processes:
            process.popen.terminate()
        for process in self.processes:
            try:
                process.popen.wait(20)
            except subprocess.TimeoutExpired:
                process.popen.kill()
                process.popen.wait(5)
        self.vnc.stop()


def wait_until(condition: Callable[[], object], seconds: float = 20) -> None:
    """Wait until something is true; the limit is far above what any machine needs."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not so after {seconds} s"
        time.sleep(0.02)
