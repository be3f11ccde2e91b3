"""Debian's nginx and HAProxy in front of the service, configured with what the documents say."""

from __future__ import annotations

import json
import signal
import socket
import ssl
import subprocess
import time
import urllib.parse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import urllib3
import websocket

from tests.documents import replaced
from tests.hosts.network import Namespace
from tests.service.rfb import RfbClient

NAME = "consoles.example.org"
"""The front end's name in the documents."""

START_TIMEOUT = 15
TIMEOUT = 20


class FrontEnd:
    """One that listens on port 443 of the appliance's namespace.

    :param page: its configuration, as the documents have it
    :param changes: what has to be different in it, besides the places of files and the service's port
    :ivar folder: its files
    :ivar ip: where clients find it
    """

    program = ""

    def __init__(
        self, folder: Path, namespace: Namespace, ip: str, port: int, certificate: tuple[Path, Path], page: str,
        changes: Mapping[str, str],
    ) -> None:  # fmt: skip
        folder.mkdir()
        self.folder, self.ip = folder, ip
        self.certificate = certificate
        self.output = folder / "output"
        command = self._configure(replaced(page, {"127.0.0.1:6080": f"127.0.0.1:{port}", **changes}))
        with self.output.open("wb") as output:
            self._process = namespace.popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        self._wait()

    def _configure(self, page: str) -> list[str]:
        """Write its files; the command that starts it."""
        raise NotImplementedError

    def _wait(self) -> None:
        end = time.monotonic() + START_TIMEOUT
        while True:
            assert self._process.poll() is None, self.output.read_text()
            try:
                socket.create_connection((self.ip, 443), timeout=1).close()
                return
            except OSError:
                assert time.monotonic() < end, f"{self.program} does not listen: {self.output.read_text()}"
                time.sleep(0.05)

    def written(self) -> str:
        """All that it has logged anywhere."""
        files = (path for path in self.folder.iterdir() if path.is_file() and ".log" in path.name)
        return self.output.read_text() + "".join(path.read_text() for path in files)

    def workers(self) -> list[int]:
        """The processes that serve."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    def no_more_files(self) -> None:
        """From now on nothing can be opened by it."""
        for pid in self.workers():
            few = len(list(Path(f"/proc/{pid}/fd").iterdir()))
            status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
            user, group = (int(status[name].split()[0]) for name in ("Uid", "Gid"))
            # Its own user may do that; root may lack the capability for it.
            command = ["prlimit", f"--pid={pid}", f"--nofile={few}:{few}"]
            subprocess.run(command, user=user, group=group, check=True)

    def stop(self) -> None:
        """End it, with all connections."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)


class Nginx(FrontEnd):
    """nginx, with the page's block where Debian's ``conf.d`` would be included."""

    program = "nginx"

    def _configure(self, page: str) -> list[str]:
        site, main = self.folder / "consoles.conf", self.folder / "nginx.conf"
        places = {
            "/etc/ssl/consoles.pem": str(self.certificate[0]),
            "/etc/ssl/consoles.key": str(self.certificate[1]),
            "/var/log/nginx/": f"{self.folder}/",
        }
        site.write_text(replaced(page, places))
        main.write_text(
            f"user www-data;\ndaemon off;\npid {self.folder}/nginx.pid;\nerror_log {self.folder}/main.log;\n"
            f"events {{}}\nhttp {{\n    include {site};\n}}\n"
        )
        return [self.program, "-e", str(self.folder / "start.log"), "-c", str(main)]


class HAProxy(FrontEnd):
    """HAProxy, with the page's block after a global section that has it log to standard output."""

    program = "haproxy"

    def _configure(self, page: str) -> list[str]:
        both, file = self.folder / "consoles.pem", self.folder / "haproxy.cfg"
        both.touch(0o600)
        both.write_bytes(b"".join(path.read_bytes() for path in self.certificate))
        page = replaced(page, {"/etc/haproxy/consoles.pem": str(both)})
        file.write_text(f"global\n    log stdout format raw local0\n\n{page}")
        return [self.program, "-db", "-f", str(file)]


class Browser:
    """One who knows the front end by its name, with a page from there.

    :param below: a path at which the service is found
    """

    def __init__(self, front_end: FrontEnd, below: str = "/") -> None:
        self.origin = f"https://{NAME}"
        self._ip, self._below = front_end.ip, below
        self._authority = str(front_end.certificate[0])
        self._cookie = ""

    def call(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> urllib3.BaseHTTPResponse:
        """A request of its page."""
        sent = {"Host": NAME, "Origin": self.origin, "Content-Type": "application/json", **(headers or {})}
        if self._cookie:
            sent["Cookie"] = self._cookie
        with urllib3.HTTPSConnectionPool(
            self._ip, 443, server_hostname=NAME, assert_hostname=NAME, ca_certs=self._authority, timeout=TIMEOUT,
            retries=False,
        ) as pool:  # fmt: skip
            return pool.request(
                method, self._below + path, json.dumps(body) if body is not None else None, headers=sent
            )

    def sign_in(self, password: str, headers: Mapping[str, str] | None = None) -> urllib3.BaseHTTPResponse:
        """As the page does; the cookie is kept."""
        answer = self.call("POST", "v1/session", {"username": "max", "password": password}, headers)
        self._cookie = answer.headers.get("Set-Cookie", "").partition(";")[0]
        return answer

    def console_url(self, instance: str) -> str:
        """A new console's URL."""
        answer = self.call("POST", "v1/consoles", {"instance": instance})
        assert answer.status == 201, answer.data
        return str(answer.json()["url"])

    def connect(self, url: str, before: Callable[[], None] = lambda: None, **options: Any) -> websocket.WebSocket:
        """The WebSocket of a console's URL, found as the page finds it: ``path`` is resolved against the page.

        :param before: called when the connection is there, and nothing was asked on it
        :raises websocket.WebSocketBadStatusException: it was refused
        """
        path = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)["path"][0]
        address = urllib.parse.urljoin(url, path).replace("https:", "wss:", 1)
        context = ssl.create_default_context(cafile=self._authority)
        plain = socket.create_connection((self._ip, 443), timeout=TIMEOUT)
        encrypted = context.wrap_socket(plain, server_hostname=NAME)
        before()
        options.setdefault("origin", self.origin)
        return websocket.create_connection(address, timeout=TIMEOUT, socket=encrypted, **options)

    def open_console(self, instance: str, **options: Any) -> RfbClient:
        """A new console, up to ServerInit."""
        return RfbClient(self.connect(self.console_url(instance), **options)).handshake()
