"""Tokens that Nova issued: what one is, and what Nova says that it opens.

Nova's token is a UUID that says nothing by itself (nova/objects/console_auth_token.py, ``authorize``). What it opens
is in Nova's database until it expires, or until the instance is deleted or moved, and only nova-api can be asked:
``GET /os-console-auth-tokens/{token}`` (nova/api/openstack/compute/console_auth_tokens.py).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any

from porthole.consoleauth.errors import TokenOfAnotherConsole
from porthole.consoleauth.tokens import FULL, Claims

NOVA_USER = "service:nova"
"""The user of Nova's tokens, for Nova does not say who asked for one. No user of http_basic has a colon in the name."""

CONSOLE_TYPE = "novnc"

_TOKEN = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
"""oslo_utils.uuidutils.generate_uuid; Nova looks for its SHA-256, so another spelling is another token."""

_INSTANCE = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z", re.IGNORECASE)
_HOST = re.compile(r"[0-9A-Za-z._:%-]{1,255}\Z")
_ACCESS_PATH = re.compile(r"[!-~]{1,2048}\Z")
_PORT = re.compile(r"[0-9]{1,5}\Z")
_MAX_PORT = 65535


class BadAnswer(ValueError):
    """What nova-api said is not what its schema promises; the message is for the log."""


@dataclass(frozen=True, slots=True)
class NovaConsole:
    """What Nova says that a token opens (the ``console`` of its answer).

    :ivar instance_id: the instance's UUID, lower case
    :ivar host: ``server_proxyclient_address`` of the compute at the time when the token was issued
    :ivar port: of the VNC server, 1 to 65535
    :ivar internal_access_path: what the VNC server is asked for by CONNECT; empty for nothing
    """

    instance_id: str
    host: str
    port: int
    internal_access_path: str = ""


def is_nova_token(token: str | None) -> bool:
    """Whether a token has the form of Nova's; our own have a signature."""
    return token is not None and _TOKEN.match(token) is not None


def token_id(token: str) -> str:
    """The name of a token in logs and in the store, 32 hexadecimal digits, from which nobody gets back to the token."""
    return hashlib.sha256(token.encode()).hexdigest()[:32]


def read_console(answer: Any) -> NovaConsole:
    """What Nova's answer says (nova/api/openstack/compute/schemas/console_auth_tokens.py, ``show_response``).

    :raises BadAnswer: it is no such answer
    :raises TokenOfAnotherConsole: the token is for a console that is not VNC
    """
    console = answer.get("console") if isinstance(answer, dict) else None
    if not isinstance(console, dict):
        raise BadAnswer("its answer has no console")
    instance_id, host, port = (console.get(name) for name in ("instance_uuid", "host", "port"))
    if not isinstance(instance_id, str) or not _INSTANCE.match(instance_id):
        raise BadAnswer("its answer has no instance_uuid")
    if "tls_port" in console or port is None:
        # Only those of type spice-direct have it (microversion 2.99), and one of these may have nothing else.
        raise TokenOfAnotherConsole
    if isinstance(port, str) and _PORT.match(port):
        port = int(port)
    if isinstance(port, bool) or not isinstance(port, int) or not 0 < port <= _MAX_PORT:
        raise BadAnswer("the port in its answer is none")
    if not isinstance(host, str) or not _HOST.match(host):
        raise BadAnswer("the host in its answer is no name and no address")
    path = console.get("internal_access_path") or ""
    if path and not (isinstance(path, str) and _ACCESS_PATH.match(path)):
        raise BadAnswer("the internal_access_path in its answer is no path")
    return NovaConsole(instance_id.lower(), host, port, path)


def claims_of(token: str, console: NovaConsole, project_id: str, expires: int) -> Claims:
    """What a token of Nova says, in our terms.

    :param project_id: whose the instance is by libvirt's metadata; empty when nobody knows
    """
    return Claims(token_id(token), console.instance_id, CONSOLE_TYPE, FULL, NOVA_USER, project_id, expires)
