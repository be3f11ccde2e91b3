"""The upgrade request: which requests are one, whether it is well-formed, what it carries."""

from __future__ import annotations

import base64
import binascii
import hashlib
import http.cookies
import re
import urllib.parse
from collections.abc import Mapping
from typing import Any

from porthole.proxy.errors import BadUpgrade
from porthole.proxy.gate import UpgradeRequest

UPGRADE_PATHS = frozenset(("/", "/vnc.html", "/vnc_lite.html", "/vnc_auto.html", "/websockify"))
"""noVNC resolves its ``path`` against the page's own address, so the pages' paths are among them."""

SUBPROTOCOL = "binary"
"""Echoed when it is offered (websockify's clients do), for some close the connection otherwise."""

RESUME_PREFIX = "porthole.resume."
"""Begins the subprotocol in which a page offers the secret that it goes on with its session with. A browser sends
subprotocols in a header, so they are in no address, and a page in another site's frame may use them where it has no
cookies. This one is never echoed."""

_RESUME_SECRET = re.compile(r"[A-Za-z0-9_-]{43}\Z")
"""32 bytes in base64url."""

_KEY_BYTES = 16
_MAX_COOKIES = 8192


def is_upgrade(environ: Mapping[str, Any]) -> bool:
    """Whether the request asks for a WebSocket at one of :data:`UPGRADE_PATHS`."""
    wants = environ.get("HTTP_UPGRADE", "").strip().lower() == "websocket"
    return wants and environ.get("PATH_INFO") in UPGRADE_PATHS


def check_upgrade(environ: Mapping[str, Any], request_version: str) -> None:
    """RFC 6455 4.2.1, in full, before anything is answered.

    :param environ: the WSGI environment
    :param request_version: ``HTTP/1.1``
    :raises BadUpgrade: the request is not an upgrade that can be accepted
    """
    connection = [part.strip().lower() for part in environ.get("HTTP_CONNECTION", "").split(",")]
    if environ.get("REQUEST_METHOD") != "GET" or request_version != "HTTP/1.1" or "upgrade" not in connection:
        raise BadUpgrade("A WebSocket starts with an HTTP/1.1 GET that has 'Connection: Upgrade'.")
    if environ.get("CONTENT_LENGTH") not in (None, "", "0") or environ.get("HTTP_TRANSFER_ENCODING"):
        raise BadUpgrade("A request for a WebSocket has no body.")
    if environ.get("HTTP_SEC_WEBSOCKET_VERSION", "").strip() != "13":
        raise BadUpgrade("WebSocket version 13 is the one that is understood here.", wrong_version=True)
    key = environ.get("HTTP_SEC_WEBSOCKET_KEY", "").strip()
    try:
        valid = len(base64.b64decode(key.encode("ascii"), validate=True)) == _KEY_BYTES
    except (binascii.Error, ValueError):
        valid = False
    if not valid:
        raise BadUpgrade("Sec-WebSocket-Key has to be 16 bytes in base64.")
    secrets = _resume_secrets(environ)
    if len(secrets) > 1 or not all(map(_RESUME_SECRET.match, secrets)):
        raise BadUpgrade(f"A subprotocol {RESUME_PREFIX}... is offered once, and ends with 32 bytes in base64url.")


def upgrade_request(environ: Mapping[str, Any], client: str) -> UpgradeRequest:
    """What the gate gets to see of the request."""
    token, from_cookie = _token(environ)
    return UpgradeRequest(
        scheme=environ["wsgi.url_scheme"],
        host=environ.get("HTTP_HOST"),
        origin=environ.get("HTTP_ORIGIN"),
        token=token,
        client=client,
        resume_hash=next(map(resume_hash, _resume_secrets(environ)), None),
        token_from_cookie=from_cookie,
    )


def resume_hash(secret: str) -> str:
    """What is kept of a secret: SHA-256 in hexadecimal. It has 256 random bits, so it needs no salt and no rounds."""
    return hashlib.sha256(secret.encode()).hexdigest()


def offers_subprotocol(environ: Mapping[str, Any]) -> bool:
    """Whether :data:`SUBPROTOCOL` is among those offered (RFC 6455 4.1, item 10)."""
    return SUBPROTOCOL in _offered(environ)


def _offered(environ: Mapping[str, Any]) -> list[str]:
    return [name.strip() for name in environ.get("HTTP_SEC_WEBSOCKET_PROTOCOL", "").split(",")]


def _resume_secrets(environ: Mapping[str, Any]) -> list[str]:
    return [name.removeprefix(RESUME_PREFIX) for name in _offered(environ) if name.startswith(RESUME_PREFIX)]


def _token(environ: Mapping[str, Any]) -> tuple[str | None, bool]:
    """As nova-novncproxy finds it (nova/console/websocketproxy.py), query first, then cookie; and whether in that."""
    try:
        query = urllib.parse.parse_qs(environ.get("QUERY_STRING", ""), max_num_fields=20)
    except ValueError:
        return None, False
    if query.get("token"):
        return str(query["token"][0]), False
    cookies = environ.get("HTTP_COOKIE", "")
    if len(cookies) > _MAX_COOKIES:
        return None, False
    try:
        jar: http.cookies.SimpleCookie = http.cookies.SimpleCookie(cookies)
    except http.cookies.CookieError:
        return None, False
    return (str(jar["token"].value), True) if "token" in jar else (None, False)
