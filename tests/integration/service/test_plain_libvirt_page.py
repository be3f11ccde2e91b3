"""docs/how-to/plain-libvirt.md, followed word for word in front of two real hosts.

Other than on the page are addresses, the port, and the way to libvirt: the hosts of the tests have theirs over TCP,
those of part molecule have TLS. What the page installs the tests have installed already, from the same files.
"""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import websocket

from tests.documents import blocks, replaced
from tests.hosts import ComputeHost
from tests.hosts.network import Network
from tests.service.appliance import ROOT, token_of
from tests.service.pki import Pki
from tests.service.rfb import RfbClient

PAGE = "how-to/plain-libvirt.md"
INSTALLATION = (
    "apt-get install -y --no-install-recommends python3-venv python3-dev gcc libc6-dev pkg-config libvirt-dev "
    "libvirt-clients curl openssl\n",
    "python3 -m venv venv\nvenv/bin/pip install -r app/requirements.txt ./app\nnpm ci --prefix app --ignore-scripts\n",
)
SERVE = "venv/bin/porthole serve"
PASSWORD = "correct horse battery staple"
NAME = "consoles.example.org"
PORT = 6290
TIMEOUT = 60

Hosts = tuple[ComputeHost, ComputeHost]


class Operator:
    """Somebody with a shell on the service's machine, in a folder that looks like a checkout where all is installed."""

    def __init__(self, folder: Path, network: Network, hosts: Hosts, novnc: Path) -> None:
        self.folder, self.network, self.hosts = folder, network, hosts
        self._service: subprocess.Popen[bytes] | None = None
        porthole = folder / "venv" / "bin" / "porthole"
        porthole.parent.mkdir(parents=True)
        porthole.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT / "app"} exec {sys.executable} -m porthole "$@"\n')
        porthole.chmod(0o755)
        (folder / "app" / "node_modules" / "@novnc").mkdir(parents=True)
        (folder / "app" / "node_modules" / "@novnc" / "novnc").symlink_to(novnc)
        (folder / ".curlrc").write_text(f'silent\nresolve = "{NAME}:{PORT}:{network.appliance_ip}"\n')
        self._environment = {**os.environ, "HOME": str(folder), "LC_ALL": "C.UTF-8"}

    def here(self, text: str) -> str:
        """The page's text with the addresses that there are."""
        changes = {
            "198.51.100.2": self.network.appliance_ip,
            "203.0.113.11": self.hosts[0].ip,
            "203.0.113.12": self.hosts[1].ip,
            "qemu+tls://compute1/system?pkipath=$PWD/etc/pki": self.hosts[0].uri,
            "qemu+tls://compute2/system?pkipath=$PWD/etc/pki": self.hosts[1].uri,
            ":6080": f":{PORT}",
            "-u alice": f"-u 'alice:{PASSWORD}'",
        }
        return replaced(text, {before: after for before, after in changes.items() if before in text})

    def run(self, commands: str) -> str:
        """What they print, on both outputs; each has to succeed."""
        done = subprocess.run(
            self.network.appliance.command(["bash", "-euo", "pipefail", "-c", self.here(commands)]), cwd=self.folder,
            env=self._environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, timeout=TIMEOUT, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
        return done.stdout

    def type(self, commands: str) -> str:
        """The same at a terminal, where the password is typed whenever it is asked for."""
        controller, terminal = pty.openpty()
        process = subprocess.Popen(
            ["bash", "-euc", commands], cwd=self.folder, env=self._environment, stdin=terminal, stdout=terminal,
            stderr=terminal, start_new_session=True,
        )  # fmt: skip
        os.close(terminal)
        said, answered = b"", 0
        try:
            while True:
                try:
                    said += os.read(controller, 4096)
                except OSError:  # nobody has the terminal any more
                    break
                if said.endswith(b": ") and len(said) > answered:
                    answered = len(said)
                    os.write(controller, f"{PASSWORD}\n".encode())
            assert process.wait(TIMEOUT) == 0, said
        finally:
            process.kill()
            process.wait()
            os.close(controller)
        return re.sub(r" *\r?\n", "\n", said.decode())

    def serve(self, command: str, computes: int) -> None:
        """Run it in a shell of its own, in the place of the one before, until it has so many computes."""
        self.end()
        with (self.folder / "log").open("wb") as log:
            self._service = self.network.appliance.popen(
                shlex.split(command), cwd=self.folder, env=self._environment, stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT,
            )  # fmt: skip
        end = time.monotonic() + TIMEOUT
        while self.log().count(" is connected and has ") < computes:
            assert self._service.poll() is None, self.log()
            assert time.monotonic() < end, self.log()
            time.sleep(0.1)

    def log(self) -> str:
        """What the service has written."""
        return (self.folder / "log").read_text()

    def end(self) -> None:
        """SIGTERM ends the service."""
        if self._service is not None:
            self._service.terminate()
            assert self._service.wait(TIMEOUT) == 0, self.log()
            self._service = None


@pytest.fixture
def operator(
    network: Network, hosts: Hosts, novnc: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Operator]:
    """Two hosts as the page wants them, and the certificates for the service in ``etc/pki``."""
    pki = Pki(tmp_path_factory.mktemp("pki"))
    for host in hosts:
        host.use_vnc_tls(pki.compute(host.name, host.name))
    operator = Operator(tmp_path, network, hosts, novnc)
    folder = tmp_path / "etc" / "pki"
    folder.mkdir(parents=True)
    files = dict(zip(("cacert", "clientcert", "clientkey"), (pki.authority.certificate, *pki.client), strict=True))
    for name, path in files.items():
        (folder / f"{name}.pem").write_bytes(path.read_bytes())
    yield operator
    operator.end()


def like(example: str) -> Any:
    """A JSON answer of the page with what differs each time left out: its keys, all the way down."""

    def shape(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: shape(part) for name, part in value.items()}
        return [shape(part) for part in value] if isinstance(value, list) else type(value)

    return shape(json.loads(example))


def test_the_page(operator: Operator, hosts: Hosts, eventually: Callable[[Callable[[], object]], None]) -> None:
    hosts[0].start_guest("web-1")
    hosts[0].start_guest("build-1")
    commands, said = iter(blocks(PAGE, "sh")), iter(blocks(PAGE, "text"))
    assert (next(commands), next(commands)) == INSTALLATION

    making = next(commands).replace("mkdir -m 0700 etc\n", "")  # it has the certificates already
    printed = operator.type(making)
    assert printed.startswith(next(said))
    assert printed.splitlines()[-1].split() == ["alice", "admin"]

    expected = next(said).split()
    printed = operator.run(next(commands))
    assert [word for word in printed.split() if not word.isdigit() and "-" * 5 not in word] == [
        word for word in operator.here(" ".join(expected)).split() if not word.isdigit() and "-" * 5 not in word
    ]

    configuring = next(commands)
    plain = "[libvirt]\nallow_plain_tcp = true\n\n[api]\n"
    configuring = replaced(configuring, {"[api]\n": plain, "[vnc]\n": f"[vnc]\nnovncproxy_port = {PORT}\n"})
    assert operator.run(configuring) == operator.here(next(said))
    operator.serve(operator.here(next(commands)), computes=1)
    example = operator.here(next(said)).splitlines()
    assert example[0].split(" (")[0] in operator.log()
    assert example[1].split(", ")[0] in operator.log()

    answers = operator.run(next(commands)).replace("}{", "}\n{").splitlines()
    examples = next(said).splitlines()
    assert answers[0] == examples[0]
    assert [like(answer) for answer in answers] == [like(example) for example in examples]
    instances = json.loads(answers[1])["instances"]
    assert [instance["name"] for instance in instances] == ["build-1", "web-1"]
    url = json.loads(answers[2])["url"]
    assert url.startswith(f"http://{operator.network.appliance_ip}:{PORT}/vnc_auto.html?path=%3Ftoken%3D")
    address = f"ws://{operator.network.appliance_ip}:{PORT}/?token={token_of(url)}"
    with closing(websocket.create_connection(address, suppress_origin=True, http_no_proxy=["*"])) as connection:
        assert RfbClient(connection).handshake().name == "QEMU (web-1)"

    serve = blocks(PAGE, "sh")[5]
    operator.run(next(commands))
    operator.run(next(commands))
    operator.serve(operator.here(serve), computes=1)
    answers = operator.run(next(commands)).splitlines()
    secure, refused = next(said).split("\n\n")
    assert answers[:2] == [secure, refused.splitlines()[0]]
    assert answers[-1] == refused.splitlines()[-1]

    operator.run(next(commands))
    several = next(commands)
    assert several.splitlines()[-1].startswith(SERVE)
    several, _, serve = several.rstrip("\n").rpartition("\n")
    assert operator.run(f"{several}\n") == operator.here(next(said))
    hosts[1].start_guest("db-1")
    operator.serve(operator.here(serve), computes=2)
    ask = f"curl --cacert etc/tls.crt -u alice https://{NAME}:6080/v1/instances"
    eventually(lambda: '"name":"db-1"' in operator.run(ask))
    assert (next(commands, None), next(said, None)) == (None, None)
