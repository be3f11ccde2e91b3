"""What the service counts, for Prometheus.

No label names an instance, a user, a compute or an address: they are without bound,
and ``/metrics`` asks for no sign-in.
"""

from __future__ import annotations

import os
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, values
from prometheus_client.multiprocess import MultiProcessCollector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def share(folder: Path, name: str) -> None:
    """Keep the values of all metrics that this process makes from now on in files, so that others can add them up.

    :param folder: where all processes of the service do
    :param name: of this process, of letters and digits
    """
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    values.ValueClass = values.MultiProcessValue(lambda: name)


class Metrics:
    """All metrics, on a registry of their own, at zero.

    :param folder: of :func:`share`, when it was called; then the exposition has what all processes there have counted
    :ivar http_requests: answers by route (its pattern), method and status
    :ivar http_seconds: seconds from request to answer by route
    :ivar sign_ins: passwords offered, by result: ``ok``, ``refused``, or ``busy``: they could not be checked
    :ivar tokens_issued: console URLs handed out
    :ivar refusals: refused requests and upgrades by the problem's code
    :ivar sessions: consoles open now
    :ivar sessions_started: consoles opened
    :ivar sessions_ended: consoles ended, by WebSocket close code
    :ivar relayed_bytes: payload by direction, ``to_browser`` or ``to_instance``
    :ivar computes: compute hosts by state, ``up`` or ``down``
    :ivar strangers: VNC clients that came past this service
    :ivar certificate_reloads: renewed certificates by what became of them, ``taken`` or ``refused``
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self.registry = registry = CollectorRegistry()
        self.http_requests = Counter(
            "porthole_http_requests", "Requests answered.", ["route", "method", "status"], registry=registry
        )
        self.http_seconds = Histogram(
            "porthole_http_request_seconds", "Seconds to answer a request.", ["route"], registry=registry
        )
        self.sign_ins = Counter("porthole_sign_ins", "User names and passwords offered.", ["result"], registry=registry)
        self.tokens_issued = Counter("porthole_console_tokens", "Console URLs issued.", registry=registry)
        self.refusals = Counter("porthole_refusals", "Requests and upgrades refused.", ["code"], registry=registry)
        self.sessions = Gauge("porthole_sessions", "Consoles open now.", multiprocess_mode="livesum", registry=registry)
        self.sessions_started = Counter("porthole_sessions_started", "Consoles opened.", registry=registry)
        self.sessions_ended = Counter(
            "porthole_sessions_ended", "Consoles ended, by WebSocket close code.", ["close_code"], registry=registry
        )
        self.relayed_bytes = Counter(
            "porthole_relayed_bytes", "Payload bytes relayed, by direction.", ["direction"], registry=registry
        )
        # Each process knows of the same hosts: whoever is asked says what it sees.
        self.computes = Gauge(
            "porthole_computes", "Compute hosts, by state.", ["state"],
            multiprocess_mode="livemostrecent", registry=registry,
        )  # fmt: skip
        self.strangers = Counter("porthole_strangers", "VNC clients that came past this service.", registry=registry)
        self.certificate_reloads = Counter(
            "porthole_certificate_reloads", "Changes of the certificate's files.", ["result"], registry=registry
        )
        self._certificate_expires: Gauge | None = None

    def set_certificate(self, expires: float) -> None:
        """Say until when the certificate that browsers see is good, Unix time; without TLS there is no such metric."""
        if self._certificate_expires is None:
            for result in ("taken", "refused"):
                self.certificate_reloads.labels(result)
            self._certificate_expires = Gauge(
                "porthole_certificate_expires_timestamp_seconds",
                "When the certificate that browsers see expires, in Unix time; 0 when it is not good now.",
                multiprocess_mode="livemostrecent",
                registry=self.registry,
            )
        self._certificate_expires.set(expires)

    def set_computes(self, up: int, down: int) -> None:
        """Say how many compute hosts can be reached and how many cannot."""
        self.computes.labels("up").set(up)
        self.computes.labels("down").set(down)

    def exposition(self) -> bytes:
        """Everything in Prometheus' text format 0.0.4."""
        if self._folder is None:
            return generate_latest(self.registry)
        registry = CollectorRegistry()
        MultiProcessCollector(registry, str(self._folder))
        return generate_latest(registry)
