"""The service as its users reach it: over TLS that is verified, with the API, a WebSocket and RFB."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import urllib.parse
from typing import Any

import websocket

from local_lab.client import Api, websocket_url
from tests.molecule.cloud import Host
from tests.service.rfb import Closed, RfbClient

PORT = 6080
SECONDS = 15
LOOK_SECONDS = 3


class Site:
    """The service on a host.

    :ivar tls: trusts the site's own authority and nothing else
    """

    def __init__(self, host: Host) -> None:
        self.host = host
        self.tls = ssl.create_default_context(cadata=host.read("/etc/porthole/pki/cacert.pem"))
        self.password = host.output("cat", "/etc/porthole/secrets/admin.password")
        self.api = Api(f"https://{host.v4}:{PORT}", "admin", self.password, self.tls)

    def get(self, path: str, address: str = "", port: int = PORT) -> tuple[int, Any]:
        """A request as nobody: status, and the body where it is JSON.

        :param address: default: the host's IPv4 address; the certificate is looked at for the host's name
        """
        connection = http.client.HTTPSConnection(address or self.host.v4, port, timeout=SECONDS, context=self.tls)
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        kind = answer.getheader("Content-Type") or ""
        return answer.status, json.loads(body) if "json" in kind else body

    def open(self, instance: str, address: str = "") -> RfbClient:
        """A console up to RFB's ServerInit.

        :param address: where to connect, instead of where the console's URL leads; the certificate has to be the host's
        """
        return self.open_url(self.api.console_url(instance), address)

    def open_url(self, console_url: str, address: str = "") -> RfbClient:
        """The same with a console's URL that was asked for before."""
        url = websocket_url(console_url)
        options: dict[str, object] = {"context": self.tls}
        if address:
            parts = urllib.parse.urlsplit(url)
            host = f"[{address}]" if ":" in address else address
            url = parts._replace(netloc=f"{host}:{parts.port}").geturl()
            options["server_hostname"] = self.host.name
        connection = websocket.create_connection(
            url, timeout=SECONDS, http_no_proxy=["*"], suppress_origin=True, sslopt=options
        )
        return RfbClient(connection).handshake()

    def unit(self) -> str:
        """The unit of the service's newest generation."""
        argv = ("systemctl", "list-units", "--plain", "--no-legend", "--state=active", "porthole@*.service")
        units = [line.split()[0] for line in self.host.output(*argv).splitlines()]
        return max(units, key=lambda unit: int(unit.removeprefix("porthole@").removesuffix(".service")))


def works(client: RfbClient) -> bool:
    """Whether the guest's screen still arrives through a console."""
    client.request_update()
    return client.raw_update() > 0


class Held:
    """A console that somebody looks at while a test does something else, so that the service's pings are answered.

    :ivar client: the console
    """

    def __init__(self, client: RfbClient) -> None:
        self.client = client
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._closed: Closed | None = None
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def works(self) -> bool:
        """Whether the guest's screen still arrives."""
        with self._lock:
            return self._closed is None and works(self.client)

    def close(self) -> None:
        """Close it, unless the service has."""
        self._stop()
        if self._closed is None:
            self.client.close()

    def wait_for_close(self) -> Closed:
        """Wait until the service closes it."""
        self._stop()
        return self._closed or self.client.wait_for_close()

    def _stop(self) -> None:
        self._closing.set()
        self._thread.join(SECONDS)

    def _look(self) -> None:
        while self._closed is None and not self._closing.wait(LOOK_SECONDS):
            with self._lock:
                try:
                    works(self.client)
                except Closed as closed:
                    self._closed = closed
