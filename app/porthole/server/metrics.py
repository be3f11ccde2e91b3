"""The listener for Prometheus: ``/metrics`` and nothing else, apart from what the public may ask."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from gevent.pool import Pool

from porthole.metrics import CONTENT_TYPE
from porthole.proxy.connections import Connections
from porthole.proxy.handler import ConsoleHandler
from porthole.server.http import HttpServer

MAX_METRICS_CONNECTIONS = 20
"""Connections to the metrics' listener; one more cuts off the quietest."""


class MetricsHandler(ConsoleHandler):
    """Requests with the same bounds as all others, no upgrades, and no line in the log for every look."""

    def run_application(self) -> None:
        """Let the application answer."""
        self.connections.answers()
        self._answer()

    def log_request(self) -> None:
        """Nothing."""


class MetricsServer(HttpServer):
    """The server of ``/metrics``.

    :param listener: a socket that listens
    :param exposition: what there is to be read
    :param request_timeout: seconds a client has for each request
    """

    def __init__(self, listener: Any, exposition: Callable[[], bytes], request_timeout: float) -> None:
        super().__init__(
            listener,
            _application(exposition),
            connections=Connections(MAX_METRICS_CONNECTIONS),
            request_timeout=request_timeout,
            spawn=Pool(2 * MAX_METRICS_CONNECTIONS),
            handler_class=MetricsHandler,
            log=None,
        )


def _application(exposition: Callable[[], bytes]) -> Callable[..., Iterable[bytes]]:
    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/metrics":
            status, kind, body = "404 Not Found", "text/plain; charset=utf-8", b"Only /metrics is here.\n"
        elif environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            status, kind, body = "405 Method Not Allowed", "text/plain; charset=utf-8", b"Only GET is taken.\n"
        else:
            status, kind, body = "200 OK", CONTENT_TYPE, exposition()
        headers = [("Content-Type", kind), ("Content-Length", str(len(body))), ("Cache-Control", "no-store")]
        start_response(status, [*headers, ("Allow", "GET, HEAD")] if status.startswith("405") else headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    return answer
