"""A server that answers as a test likes, in the place of a Keystone: what a real one does is in tests/openstack."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from porthole.auth.keystone.authenticator import KeystoneAuthenticator
from porthole.config import KeystoneSettings
from porthole.state.kept import KeptTokens
from porthole.state.sqlite import SqliteStore

OWN, USER = "a-token-of-the-service", "a-token-of-ada"

ERROR = {"error": {"code": 401, "title": "Unauthorized", "message": "The request requires authentication."}}
"""How Keystone says no."""


def token_body(**changes: Any) -> dict[str, Any]:
    """What Keystone says of a token of a project; a change to None leaves a field out."""
    domain = {"id": "default", "name": "Default"}
    body = {
        "methods": ["password"],
        "user": {"id": "u1", "name": "ada", "domain": domain},
        "project": {"id": "p1", "name": "alpha", "domain": domain},
        "roles": [{"id": "r1", "name": "member"}],
        "audit_ids": ["a"],
        "issued_at": "2026-11-01T00:00:00.000000Z",
        "expires_at": "2099-11-01T00:00:00.000000Z",
        **changes,
    }
    return {"token": {name: value for name, value in body.items() if value is not None}}


@dataclass
class Reply:
    """An answer: JSON of the body, or text as it is."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class StandIn:
    """What is answered: to the service's sign-in, to a user's, to a question about a token, to any other.

    :ivar asked: method and path of each request, in order
    """

    url: str = ""
    own: Reply = field(default_factory=lambda: Reply(201, token_body(), {"X-Subject-Token": OWN}))
    sign_in: Reply = field(default_factory=lambda: Reply(201, token_body(), {"X-Subject-Token": USER}))
    token: Reply = field(default_factory=lambda: Reply(200, token_body()))
    version: Reply | None = None
    asked: list[str] = field(default_factory=list)

    def reply(self, method: str, path: str, body: Any) -> Reply:
        """The answer to a request."""
        self.asked.append(f"{method} {path}")
        if method == "POST":
            name = body["auth"]["identity"]["password"]["user"]["name"]
            reply = self.own if name == "porthole" else self.sign_in
            if reply is not self.own or reply.status != 201:
                return reply
            # The catalogue says where tokens are validated, which is here.
            endpoint = {"id": "e", "interface": "internal", "region": "R", "region_id": "R", "url": self.url}
            catalog = [{"id": "s", "type": "identity", "name": "keystone", "endpoints": [endpoint]}]
            return Reply(201, token_body(catalog=catalog), reply.headers)
        if path.startswith("/v3/auth/tokens"):
            return self.token if method == "GET" else Reply(204)
        version = {"id": "v3.14", "status": "stable", "links": [{"rel": "self", "href": self.url}]}
        return self.version or Reply(200, {"version": version})


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    """One that answers as a Keystone in which all is well."""
    made = StandIn()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            reply = made.reply(self.command, self.path, json.loads(self.rfile.read(length) or b"null"))
            text = reply.body if isinstance(reply.body, str) else json.dumps(reply.body)
            content = b"" if reply.status == 204 else text.encode()
            kind = "text/html" if isinstance(reply.body, str) else "application/json"
            self.send_response(reply.status)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(content)), **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - names of http.server

        def log_message(self, *_arguments: object) -> None:
            """Nothing is written to the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}/v3"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield made
    server.shutdown()
    server.server_close()


def settings(url: str, *, http_connect_timeout: float = 30.0, token_cache_time: int = 0) -> KeystoneSettings:
    """``[keystone_authtoken]`` of a service that asks this Keystone."""
    return KeystoneSettings(
        url, "https://keystone.example.org/v3", "password", "porthole", "a secret of ours", "service", "Default",
        "Default", None, False, "internal", "", http_connect_timeout, token_cache_time,
    )  # fmt: skip


@pytest.fixture
def ask(stand_in: StandIn, tmp_path: Path) -> Iterator[Callable[..., KeystoneAuthenticator]]:
    """Makes authenticators that ask the stand-in, with further settings."""
    store = SqliteStore(tmp_path / "store")
    made: list[KeystoneAuthenticator] = []

    def make(**more: Any) -> KeystoneAuthenticator:
        made.append(KeystoneAuthenticator(settings(stand_in.url, **more), KeptTokens(store)))
        return made[-1]

    yield make
    for authenticator in made:
        authenticator.close()
    store.close()
