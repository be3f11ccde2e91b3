"""A client as anybody would write one: the HTTP API, a WebSocket, the RFB handshake (RFC 6143, 7.1 to 7.3)."""

from __future__ import annotations

import base64
import json
import ssl
import struct
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Any

import websocket

from provision.progress import StepFailed

API_SECONDS = 15.0
RFB_SECONDS = 15.0
MAX_BODY = 1 << 20
MAX_TEXT = 4096
"""Bytes of a name or a reason that a VNC server may send."""

SECURITY_NONE = 1


class Api:
    """Calls of the HTTP API as one user.

    :ivar url: the appliance's address, without a path
    """

    def __init__(self, url: str, user: str, password: str, tls: ssl.SSLContext | None = None) -> None:
        self.url = url
        self._authorization = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        # No proxy of the environment's: this is always the machine itself.
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=tls)
        )

    def is_ready(self) -> bool:
        """Whether /readyz says yes."""
        try:
            with self._opener.open(f"{self.url}/readyz", timeout=API_SECONDS) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def instances(self) -> list[dict[str, Any]]:
        """What /v1/instances lists.

        :raises StepFailed: the API refused
        """
        found = self._call("GET", "/v1/instances")["instances"]
        return sorted(found, key=lambda one: str(one["name"]))

    def console_url(self, instance: str) -> str:
        """A new console's URL.

        :raises StepFailed: the API refused
        """
        return str(self._call("POST", "/v1/consoles", {"instance": instance})["url"])

    def _call(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": self._authorization, "Accept": "application/json"}
        if data is not None:
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(self.url + path, data=data, method=method, headers=headers)  # noqa: S310
        what = f"{method} {path}"
        try:
            with self._opener.open(request, timeout=API_SECONDS) as answer:
                return json.loads(answer.read(MAX_BODY))
        except urllib.error.HTTPError as error:
            text = error.read(MAX_TEXT).decode(errors="replace")
            raise StepFailed(f"{what} was answered with {error.code} {error.reason}.", details=[text]) from None
        except (urllib.error.URLError, OSError, ValueError) as error:
            raise StepFailed(f"{what} failed: {error}.") from None


@dataclass(frozen=True, slots=True)
class Screen:
    """What a VNC server says of its screen.

    :ivar rfb_version: such as "003.008"
    :ivar width: pixels
    :ivar height: pixels
    :ivar name: the desktop's name
    """

    rfb_version: str
    width: int
    height: int
    name: str


def websocket_url(console_url: str) -> str:
    """The WebSocket's address, worked out as noVNC does: ``path`` of the page's query, seen from the page."""
    page = urllib.parse.urlsplit(console_url)
    path = urllib.parse.parse_qs(page.query).get("path", ["websockify"])[0]
    target = urllib.parse.urljoin(console_url, path)
    return "ws" + target.removeprefix("http")


def open_screen(console_url: str, tls: ssl.SSLContext | None = None) -> Screen:
    """Open the console and complete the RFB handshake up to ServerInit.

    :param tls: for an https URL
    :raises StepFailed: with the step that failed
    """
    connection = _upgrade(websocket_url(console_url), tls)
    try:
        return _Handshake(connection).complete()
    except websocket.WebSocketException as error:
        raise StepFailed(f"the WebSocket failed: {error}.", step="RFB handshake") from None
    except OSError as error:
        raise StepFailed(f"the connection failed: {error}.", step="RFB handshake") from None
    finally:
        connection.close(timeout=2)


def _upgrade(url: str, tls: ssl.SSLContext | None) -> websocket.WebSocket:
    options = {"context": tls} if tls else None
    try:
        return websocket.create_connection(url, timeout=RFB_SECONDS, http_no_proxy=["*"], sslopt=options)
    except websocket.WebSocketBadStatusException as error:
        body = (error.resp_body or b"")[:MAX_TEXT].decode(errors="replace")
        raise StepFailed(
            f"the upgrade was refused with {error.status_code}.", details=[body], step="upgrade to a WebSocket"
        ) from None
    except (websocket.WebSocketException, OSError) as error:
        raise StepFailed(f"{error}.", step="upgrade to a WebSocket") from None


class _Handshake:
    """The client's side of the handshake; every wait is bounded."""

    def __init__(self, connection: websocket.WebSocket) -> None:
        self._connection = connection
        self._received = bytearray()
        self._end = time.monotonic() + RFB_SECONDS

    def complete(self) -> Screen:
        version = self._version()
        self._security()
        self._connection.send_binary(b"\x01")  # ClientInit: share the screen (7.3.1)
        width, height = struct.unpack(">HH", self._take(4, "RFB ServerInit"))
        self._take(16, "RFB ServerInit")  # the pixel format
        return Screen(version, width, height, self._text("RFB ServerInit"))

    def _version(self) -> str:
        step = "RFB version"
        line = bytes(self._take(12, step))
        if not (line.startswith(b"RFB ") and line.endswith(b"\n") and line[7:8] == b"."):
            raise StepFailed(f"the guest's VNC server greets with {line!r}.", step=step)
        self._connection.send_binary(b"RFB 003.008\n")
        return line[4:11].decode("ascii", errors="replace")

    def _security(self) -> None:
        step = "RFB security"
        count = self._take(1, step)[0]
        if count == 0:
            raise StepFailed(f"the guest's VNC server refuses: {self._text(step)}.", step=step)
        offered = self._take(count, step)
        if SECURITY_NONE not in offered:
            raise StepFailed(f"it offers the security types {list(offered)}; 1 (None) was expected.", step=step)
        self._connection.send_binary(bytes([SECURITY_NONE]))
        if struct.unpack(">I", self._take(4, step))[0] != 0:
            raise StepFailed(f"the guest's VNC server refuses: {self._text(step)}.", step=step)

    def _text(self, step: str) -> str:
        (length,) = struct.unpack(">I", self._take(4, step))
        if length > MAX_TEXT:
            raise StepFailed(f"a text of {length} bytes was announced.", step=step)
        return self._take(length, step).decode(errors="replace")

    def _take(self, count: int, step: str) -> bytes:
        while len(self._received) < count:
            left = self._end - time.monotonic()
            if left <= 0:
                raise StepFailed(f"it took longer than {RFB_SECONDS:.0f} s.", step=step)
            self._connection.settimeout(left)
            try:
                opcode, data = self._connection.recv_data()
            except websocket.WebSocketTimeoutException:
                raise StepFailed(f"nothing came for {RFB_SECONDS:.0f} s.", step=step) from None
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                code = int.from_bytes(data[:2], "big") if len(data) >= 2 else 1005
                reason = data[2:].decode(errors="replace") or "no reason"
                raise StepFailed(f"the session was closed with {code}: {reason}.", step=step)
            self._received += data
        taken = bytes(self._received[:count])
        del self._received[:count]
        return taken
