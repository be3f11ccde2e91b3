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

And of gevent's pywsgi: no time limit on a request, 6 MB of headers, heads that two
servers in a row may read differently (RFC 9112 11.2), tracebacks of clients' mistakes, and
request lines, which hold tokens, in its log.
"""

from __future__ import annotations

import contextlib
import io
import re
import time
from typing import Any

import gevent
import structlog
from gevent import ssl
from gevent.pywsgi import WSGIHandler
from geventwebsocket.handler import WebSocketHandler

from porthole.proxy import upgrade
from porthole.proxy.connections import Connections
from porthole.proxy.frames import data_frame
from porthole.proxy.gate import Console, Gate
from porthole.proxy.relay import Relay, no_delay
from porthole.proxy.rfb.browser import open_browser

REFUSAL = "porthole.refusal"
"""Key in the WSGI environment of the exception that refused an upgrade."""

ROUTE = "porthole.route"
"""Key in the WSGI environment where the application leaves the route's pattern, which is logged instead of the path."""

MAX_HEAD = 64 * 1024
"""Bytes of a request's header lines; browsers send some 2 KiB, and cookies of 4 KiB each at most."""

MAX_BODY_AT_ONCE = 16 * 1024
"""Bytes of a body that is read whole before the application is asked; a larger one is read by whoever wants it."""

_MAX_EARLY = 16 * 1024
_HEADER = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[^\0\r]*\r?\n\Z")
"""RFC 9112 5: no space before the colon, no bare CR, no folded line."""

_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_BAD_REQUEST = ("400", b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")

log = structlog.get_logger("porthole.http")


class RequestTimeout(gevent.Timeout):
    """The client did not send its whole request in time."""


class BadRequest(ValueError):
    """The request's head is not HTTP/1.1, or could be read in two ways."""


class Subprotocol:
    """Stands where gevent-websocket looks for the application's subprotocol, after we have chosen it."""

    def __init__(self, name: str | None) -> None:
        self._name = name

    def app_protocol(self, _path: str) -> str | None:
        """The chosen subprotocol (gevent-websocket calls this)."""
        return self._name


class ConsoleHandler(WebSocketHandler):  # type: ignore[misc]
    """Handles a connection's requests: upgrades go through the gate, the rest to the application.

    The server has, beside what pywsgi needs: ``gate``, ``connections``, ``buffers``,
    ``ping_interval``, ``ping_timeout``, ``pipelines``, ``request_timeout``, ``trusted_proxies``, ``secure_headers``,
    those of every answer over TLS, and ``silent_on_tls``, whether its own TLS goes without them.
    """

    # pywsgi's and gevent-websocket's, which are None between requests
    rfile: Any
    websocket: Any
    environ: Any
    headers: Any
    application: Any
    command: Any
    code: Any
    status: Any
    _timeout: RequestTimeout | None = None

    @property
    def gate(self) -> Gate:
        """Who decides on upgrades."""
        gate: Gate = self.server.gate
        return gate

    @property
    def connections(self) -> Connections:
        """Where this connection is, until it is a console's."""
        connections: Connections = self.server.connections
        return connections

    # -- requests

    def handle(self) -> None:
        """Handle the connection's requests; a client that is gone is no error."""
        with contextlib.suppress(OSError):
            super().handle()

    def handle_one_request(self) -> Any:
        """Handle one request; a client that does not send it in time is cut off."""
        if not self.connections.may_wait():
            return None
        self.connections.waits(self.socket)
        self.environ, self.command, self.status, self.code = {}, None, None, None
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
        """The request has been read and is being answered; the client is told when its connection ends with that."""
        self._is_read()
        ends = self._has_unread_body() or self.connections.closing
        if ends and not any(name.lower() == "connection" for name, _ in headers):
            headers = [*headers, ("Connection", "close")]
        return super().start_response(status, [*headers, *self._secure_headers()], exc_info)

    def _secure_headers(self) -> Any:
        """Those of an answer that a browser gets over TLS: from here, or from a front end that is trusted."""
        environ = self.environ or {}
        if environ.get("wsgi.url_scheme") != "https":
            return ()
        if self.server.silent_on_tls and isinstance(self.socket, ssl.SSLSocket):
            return ()
        return self.server.secure_headers

    def _has_unread_body(self) -> bool:
        body = self.wsgi_input
        return bool(body.chunked_input or body.position < (body.content_length or 0))

    def _is_read(self) -> None:
        """The request's time limit is met."""
        if self._timeout is not None:
            self._timeout.close()

    def MessageClass(self, rfile: Any, *_args: Any) -> Any:  # noqa: N802 - pywsgi's name
        """The request's headers, out of :data:`MAX_HEAD` bytes at most.

        :raises BadRequest: they end too early or never, or are not what RFC 9112 allows
        """
        lines = io.BytesIO()
        while True:
            line = rfile.readline(MAX_HEAD)
            lines.write(line)
            if not line.endswith(b"\n") or lines.tell() > MAX_HEAD:
                raise BadRequest("The head of the request does not end.")
            if line in (b"\r\n", b"\n"):
                break
            if not _HEADER.match(line):
                raise BadRequest("A line of the head is no header.")
        lines.seek(0)
        headers = super().MessageClass(lines)
        _check_framing(headers)
        return headers

    def read_request(self, raw_requestline: str) -> Any:
        """Read the request's head.

        :raises ValueError: it is no request of HTTP/1.0 or 1.1
        """
        if len(raw_requestline.split()) != 3:  # noqa: PLR2004 - method, target, version (RFC 9112 3)
            raise BadRequest("A request line has three parts.")
        return super().read_request(raw_requestline)

    # -- upgrades

    def get_environ(self) -> dict[str, Any]:
        """The WSGI environment; one port may serve both TLS and plain connections, and proxies speak for browsers."""
        environ: dict[str, Any] = super().get_environ()
        peer = str(self.client_address[0]) if self.client_address else ""
        forwarded_for = environ.get("HTTP_X_FORWARDED_FOR", "")
        proxies = self.server.trusted_proxies
        own = "https" if isinstance(self.socket, ssl.SSLSocket) else "http"
        environ["REMOTE_ADDR"] = proxies.client(peer, forwarded_for)
        environ["wsgi.url_scheme"] = proxies.scheme(peer, environ.get("HTTP_X_FORWARDED_PROTO", ""), own)
        return environ

    def run_application(self) -> None:
        """Answer the request: an upgrade that the gate admits is relayed until its session ends."""
        self.connections.answers()
        upgrades = upgrade.is_upgrade(self.environ)
        if not upgrades:
            self._read_small_body()
        if not self._has_unread_body():
            self._is_read()  # the time that an answer takes is ours
        if not upgrades:
            self._answer()
            return
        self.close_connection = True
        try:
            upgrade.check_upgrade(self.environ, self.request_version)
            self._is_read()
            console = self.gate.admit(upgrade.upgrade_request(self.environ, self.environ["REMOTE_ADDR"]))
        except Exception as refusal:
            self.environ[REFUSAL] = refusal
            self._answer()
            return
        self._run_console(console)

    def _read_small_body(self) -> None:
        """Read what is short before anybody looks up a password or a policy, whose time would count as the client's.

        A body that ends too early is left to the application, which is told so when it reads on.
        """
        body = self.wsgi_input
        if not body.chunked_input and 0 < (body.content_length or 0) <= MAX_BODY_AT_ONCE:
            with contextlib.suppress(OSError):
                self.environ["wsgi.input"] = io.BytesIO(body.read())

    def _answer(self) -> None:
        """Let the application answer; a body that it left unread ends the connection instead of being waited for."""
        try:
            WSGIHandler.run_application(self)
        finally:
            if self._has_unread_body():
                self.close_connection = True
                self.wsgi_input._chunked_input_error = True  # pywsgi then throws nothing away

    def _run_console(self, console: Console) -> None:
        ended = None
        try:
            opening = open_browser(console.target.opened)
            # Our greeting goes out with the 101: what else there is to do is done while the browser answers it.
            self._shake_hands(data_frame(opening.outgoing()))
            early = self._early_bytes()
            self._forget_request()
            self.connections.leave()
            relay = Relay(
                self.socket,
                console.target.socket,
                early=early,
                opening=opening,
                buffers=self.server.buffers,
                ping_interval=self.server.ping_interval,
                ping_timeout=self.server.ping_timeout,
                pipelines=self.server.pipelines,
                confirm=console.confirm,
                explain=console.explain,
                input_=console.input,
            )
            console.started(relay)
            ended = relay.run()
        finally:
            console.target.socket.close()
            console.ended(ended)

    def _shake_hands(self, first: bytes) -> None:
        """Send gevent-websocket's 101, and the first frame right behind it."""
        no_delay(self.socket)
        self.application = Subprotocol(upgrade.SUBPROTOCOL if upgrade.offers_subprotocol(self.environ) else None)
        self.result = self.upgrade_websocket() or []
        self.write(first)
        # The relay takes the connection. The library's object would send a Close frame when it is deleted.
        self.websocket.closed = True
        self.environ["wsgi.websocket"] = self.websocket = None

    def _early_bytes(self) -> bytes:
        """What arrived together with the request and sits in pywsgi's reader, 8 KiB at most."""
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
        return bytes(early)

    def _forget_request(self) -> None:
        """Let go of reader, environment and headers, which a session would hold for hours.

        As long as there is a reader, the socket is not closed when it is told to.
        """
        self.rfile = self.wsgi_input.rfile = io.BytesIO()
        self.environ, self.headers, self.response_headers = {}, None, None
        self.requestline = self.path = self.application = self._timeout = None

    # -- the log, without request lines: they hold tokens

    def log_request(self) -> None:
        """One line a request: the route's pattern, never the path or the query."""
        environ = self.environ or {}
        log.info(
            "request",
            client=environ.get("REMOTE_ADDR") or (str(self.client_address[0]) if self.client_address else None),
            method=self.command if self.command in _METHODS else "other",
            route=environ.get(ROUTE),
            status=self.code or self._status_of_refusal(),
            seconds=round((self.time_finish or time.time()) - self.time_start, 4),
        )

    def _status_of_refusal(self) -> int | None:
        """pywsgi answers a request line that is too long without a code."""
        return int(self.status) if isinstance(self.status, str) and self.status.isdigit() else None

    def log_error(self, msg: str, *_args: Any) -> None:
        """A request that cannot be parsed; pywsgi's own words quote it."""
        log.warning("request not understood", client=str(self.client_address[0]) if self.client_address else None)

    def _handle_client_error(self, ex: Exception) -> tuple[str, bytes]:
        """A head that cannot be parsed or does not come; pywsgi would print a traceback of most of them."""
        if not (type(ex) is OSError or isinstance(ex, ConnectionError | TimeoutError)):
            self.log_error("")
        self.code = 400
        return _BAD_REQUEST

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


def _check_framing(headers: Any) -> None:
    """Refuse what leaves room for two opinions on where a request ends (RFC 9112 6.3, request smuggling).

    :raises BadRequest: there is such room
    """
    lengths = headers.get_all("content-length", [])
    codings = headers.get_all("transfer-encoding", [])
    if len(headers.get_all("host", [])) > 1:
        raise BadRequest("There can be one Host.")
    if len(lengths) > 1 or not all(length.isascii() and length.isdigit() for length in lengths):
        raise BadRequest("Content-Length has to be one number.")
    if codings and (lengths or [coding.lower() for coding in codings] != ["chunked"]):
        raise BadRequest("Transfer-Encoding is chunked or nothing, and stands without Content-Length.")
