"""What pages do behind the picture: requests, WebSockets, and what the browser complains about."""

from __future__ import annotations

import urllib.parse

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request, WebError, WebSocket

from tests.browser.client_messages import KeyEvent, key_events

REPORTS = ("Failed to load resource:", "WebSocket connection to ")
"""How Chromium begins its lines about requests that were refused or lost: many tests are about those."""

INSECURE = "noVNC requires a secure context (TLS). Expect crashes!"
"""noVNC says so wherever there is no TLS. What it needs of such a context is not used with QEMU's VNC server."""


class Watch:
    """Listens to browser contexts.

    :ivar messages: errors on the console, scripts' uncaught errors, violations of the CSP
    :ivar requests: all HTTP requests
    :ivar sockets: all WebSockets' addresses
    :ivar foreign: addresses outside the appliance that a test leads the browser to itself
    """

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.requests: list[Request] = []
        self.sockets: list[str] = []
        self.foreign: set[str] = set()
        self._tolerated: list[str] = []
        self._sent: list[bytes] = []

    def attach(self, context: BrowserContext) -> None:
        """Listen to a context's pages, present and future."""
        context.on("console", self._on_console)
        context.on("weberror", self._on_error)
        context.on("request", self._on_request)
        context.on("page", self._on_page)

    def tolerate(self, *parts: str) -> None:
        """Complaints with one of these texts belong to the test."""
        self._tolerated += parts

    def faults(self) -> list[str]:
        """What no page of ours may ever do: break a rule, fail in a script, reach for another origin."""
        complaints = [m for m in self.messages if not m.startswith(REPORTS)]
        complaints = [m for m in complaints if m != INSECURE and not any(part in m for part in self._tolerated)]
        origins = self.origins() - self.foreign
        return complaints + ([f"requests to {sorted(origins)}"] if len(origins) > 1 else [])

    def origins(self) -> set[str]:
        """Whom requests and WebSockets went to, as host and port."""
        urls = [*(request.url for request in self.requests), *self.sockets]
        parts = [urllib.parse.urlsplit(url) for url in urls]
        return {part.netloc for part in parts if part.scheme in ("http", "https", "ws", "wss", "ftp")}

    def keys(self) -> list[KeyEvent]:
        """Keys that went through the newest WebSocket so far."""
        return key_events(b"".join(self._sent))

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":  # warnings are the browser's advice on noVNC's use of canvases
            self.messages.append(message.text)

    def _on_error(self, error: WebError) -> None:
        self.messages.append(f"uncaught: {error.error}")

    def _on_request(self, request: Request) -> None:
        self.requests.append(request)

    def _on_page(self, page: Page) -> None:
        page.on("websocket", self._on_socket)

    def _on_socket(self, socket: WebSocket) -> None:
        self.sockets.append(socket.url)
        sent: list[bytes] = []
        self._sent = sent
        socket.on("framesent", lambda data: sent.append(data if isinstance(data, bytes) else data.encode()))
