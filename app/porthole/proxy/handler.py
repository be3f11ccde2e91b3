"""The adapter of gevent-websocket: its handshake, without its flaws.

What is closed here, each seen in gevent-websocket 0.10.1 (docs/decisions/0003):

- the 101 goes out before anybody is asked → the gate is asked first, and a refusal is an
  ordinary HTTP answer followed by the end of the connection;
- any Origin, protocol versions 7 and 8, and keys that are no base64 (a 500) pass →
  :func:`porthole.proxy.upgrade.check_upgrade`;
- subprotocols are compared as substrings → they are compared as names;
- its frame reader takes unmasked frames and lengths without a cap and unmasks in a Python
  loop; it sends no pings, two writers collide, and it sends a Close frame when it is deleted
  → its WebSocket object is never used: :class:`porthole.proxy.relay.Relay` has the
  connection to itself.

And of gevent's pywsgi: no time limit on a request, and request lines, which hold tokens,
in its log.
"""

from __future__ import annotations

import io
import time
from typing import Any

import gevent
import structlog
from gevent import ssl
from gevent.pywsgi import WSGIHandler
from geventwebsocket.handler import WebSocketHandler

from porthole.proxy import upgrade
from porthole.proxy.gate import Console, Gate
from porthole.proxy.relay import Relay

REFUSAL = "porthole.refusal"
"""Key in the WSGI environment of the exception that refused an upgrade."""

ROUTE = "porthole.route"
"""Key in the WSGI environment where the application leaves the route's pattern, which is logged instead of the path."""

_MAX_EARLY = 1024 * 1024

log = structlog.get_logger("porthole.http")


class RequestTimeout(gevent.Timeout):
    """The client did not send its whole request in time."""


class Subprotocol:
    """Stands where gevent-websocket looks for the application's subprotocol, after we have chosen it."""

    def __init__(self, name: str | None) -> None:
        self._name = name

    def app_protocol(self, _path: str) -> str | None:
        """The chosen subprotocol (gevent-websocket calls this)."""
        return self._name


class ConsoleHandler(WebSocketHandler):  # type: ignore[misc]
    """Handles a connection's requests: upgrades go through the gate, the rest to the application.

    The server has, beside what pywsgi needs: ``gate``, ``buffers``, ``ping_interval``,
    ``ping_timeout`` and ``request_timeout``.
    """

    rfile: Any
    websocket: Any
    _timeout: RequestTimeout | None = None

    @property
    def gate(self) -> Gate:
        """Who decides on upgrades."""
        gate: Gate = self.server.gate
        return gate

    # -- time limits

    def handle_one_request(self) -> Any:
        """Handle one request; a client that does not send it in time is cut off."""
        self.socket.settimeout(self.server.request_timeout)
        timeout = self._timeout = RequestTimeout(self.server.request_timeout)
        timeout.start()
        try:
            return super().handle_one_request()
        except RequestTimeout as raised:
            if raised is not timeout:
                raise
            return None
        finally:
            timeout.close()

    def start_response(self, status: str, headers: Any, exc_info: Any = None) -> Any:
        """The request has been read and is being answered: its time limit is met."""
        if self._timeout is not None:
            self._timeout.close()
        return super().start_response(status, headers, exc_info)

    # -- upgrades

    def get_environ(self) -> dict[str, Any]:
        """The WSGI environment; one port may serve both TLS and plain connections."""
        environ: dict[str, Any] = super().get_environ()
        environ["wsgi.url_scheme"] = "https" if isinstance(self.socket, ssl.SSLSocket) else "http"
        return environ

    def run_application(self) -> None:
        """Answer the request: an upgrade that the gate admits is relayed until its session ends."""
        if not upgrade.is_upgrade(self.environ):
            self._answer()
            return
        self.close_connection = True
        try:
            upgrade.check_upgrade(self.environ, self.request_version)
            console = self.gate.admit(upgrade.upgrade_request(self.environ, str(self.client_address[0])))
        except Exception as refusal:
            self.environ[REFUSAL] = refusal
            self._answer()
            return
        self._run_console(console)

    def _answer(self) -> None:
        """Let the application answer; a body that it left unread ends the connection instead of being waited for."""
        try:
            WSGIHandler.run_application(self)
        finally:
            body = self.wsgi_input
            if body.chunked_input or body.position < (body.content_length or 0):
                self.close_connection = True
                body._chunked_input_error = True  # pywsgi then throws nothing away

    def _run_console(self, console: Console) -> None:
        ended = None
        try:
            self._shake_hands()
            relay = Relay(
                self.socket,
                console.target,
                early=self._early_bytes(),
                buffers=self.server.buffers,
                ping_interval=self.server.ping_interval,
                ping_timeout=self.server.ping_timeout,
                explain=console.explain,
            )
            console.started(relay)
            ended = relay.run()
        finally:
            console.target.close()
            console.ended(ended)

    def _shake_hands(self) -> None:
        """Send gevent-websocket's 101."""
        self.application = Subprotocol(upgrade.SUBPROTOCOL if upgrade.offers_subprotocol(self.environ) else None)
        self.result = self.upgrade_websocket() or []
        self.write(b"")
        # The relay takes the connection. The library's object would send a Close frame when it is deleted.
        self.websocket.closed = True
        self.environ["wsgi.websocket"] = self.websocket = None

    def _early_bytes(self) -> bytes:
        """What arrived together with the request and sits in pywsgi's reader, which is given up with its 8 KiB."""
        self.socket.settimeout(0.0)
        early = bytearray()
        while len(early) < _MAX_EARLY:
            try:
                data = self.rfile.read1(65536)
            except (BlockingIOError, ssl.SSLWantReadError):
                break
            if not data:
                break
            early += data
        self.rfile = self.wsgi_input.rfile = io.BytesIO()
        return bytes(early)

    # -- the log, without request lines: they hold tokens

    def log_request(self) -> None:
        """One line a request: the route's pattern, never the path or the query."""
        environ = self.environ or {}
        log.info(
            "request",
            client=str(self.client_address[0]) if self.client_address else None,
            method=self.command,
            route=environ.get(ROUTE),
            status=self.code if self.status else None,
            seconds=round((self.time_finish or time.time()) - self.time_start, 4),
        )

    def log_error(self, msg: str, *_args: Any) -> None:
        """A request that cannot be parsed; pywsgi's own words quote it."""
        log.warning("request not understood", client=str(self.client_address[0]) if self.client_address else None)

    def handle_error(self, t: Any, v: Any, tb: Any) -> None:
        """An error that reached the server: logged with its traceback, answered with 500."""
        if isinstance(v, RequestTimeout):
            self.close_connection = True
            self._answer_timeout()
            return
        if not issubclass(t, gevent.GreenletExit):
            log.error("request failed", exc_info=(t, v, tb))
        self._send_error_response_if_possible(500)

    def _answer_timeout(self) -> None:
        if self.headers_sent:
            return
        try:
            self.start_response("408 Request Timeout", [("Connection", "close"), ("Content-Length", "0")])
            self.write(b"")
        except OSError:
            self.close_connection = True
