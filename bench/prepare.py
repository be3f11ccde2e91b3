"""Puts in place what is compared: from Debian, PyPI and npm, below .cache/bench where it is no Debian package.

A peer that cannot be installed does not end the run: why is kept for the results.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.peers import go, node
from bench.peers.base import CACHE
from provision import debian, novnc, python_env
from provision.debian import Need, file, program
from provision.progress import Progress, StepFailed, run

CHECKOUT = Path(__file__).resolve().parents[1]
PEERS = Path(__file__).with_name("peers")
FAILED = CACHE / "failed.json"
"""Peer's name → why it could not be installed."""

LOG = CACHE / "setup.log"
GORILLA = Path("/usr/share/gocode/src/github.com/gorilla/websocket")

OUR_NEEDS = (
    *debian.PYTHON_NEEDS,
    *debian.NODE_NEEDS,
    program("qemu-system-x86", "qemu-system-x86_64"),
    program("binutils", "as", "ld"),
)
NEEDS: dict[str, tuple[Need, ...]] = {
    "websockify-debian": (file("websockify", "/usr/bin/websockify"),),
    "go": (program("golang-go", "go"), file("golang-github-gorilla-websocket-dev", str(GORILLA / "conn.go"))),
    "haproxy": (program("haproxy", "haproxy"),),
    "lighttpd": (program("lighttpd", "lighttpd"), file("lighttpd-mod-openssl", "/usr/lib/lighttpd/mod_openssl.so")),
    "node": (program("nodejs", "node"), program("npm", "npm")),
}


def everything(peers: Sequence[str], progress: Progress) -> Path:
    """Install what these peers and our own service need.

    :returns: the Python of the checkout's environment
    :raises StepFailed: our own service or the measuring lacks something
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    debian.ensure(OUR_NEEDS, LOG, progress)
    python = python_env.ensure(CHECKOUT / ".venv", python_env.DEVELOPMENT, LOG, progress)
    novnc.ensure(CHECKOUT / ".cache" / "novnc", CHECKOUT / "app", LOG, progress)
    failed = {}
    for name in peers:
        try:
            debian.ensure(NEEDS.get(name, ()), LOG, progress)
            if install := _INSTALL.get(name):
                install(progress)
        except (StepFailed, OSError) as failure:
            failed[name] = f"not installed: {failure}"
            progress.say(f"script/bench: {name}: {failure}")
    FAILED.write_text(json.dumps(failed))
    return python


def _websockify(progress: Progress) -> None:
    progress.say("websockify from PyPI")
    python_env.ensure(CACHE / "websockify", [PEERS / "websockify.txt"], LOG, progress)


def _nova(progress: Progress) -> None:
    progress.say("Nova from PyPI")
    python_env.ensure(CACHE / "nova", [PEERS / "nova" / "requirements.txt"], LOG, progress)


def _go(progress: Progress) -> None:
    source = PEERS / "go" / "main.go"
    if go.PROGRAM.exists() and go.PROGRAM.stat().st_mtime > source.stat().st_mtime:
        return
    env = {
        **os.environ,
        "GO111MODULE": "off",
        "GOPATH": "/usr/share/gocode",
        "GOCACHE": str(CACHE / "go" / "cache"),
        "GOFLAGS": "",
        "CGO_ENABLED": "0",
    }
    with progress.step("The relay in Go"):
        run([debian.find_program("go") or "go", "build", "-o", str(go.PROGRAM), str(source)], LOG, env=env)


def _node(progress: Progress) -> None:
    """As provision.novnc has it for the packages of the appliance and of the tests."""
    manifests = node.LAUNCHER.parent
    folder = node.MODULES.parent
    wanted = (manifests / "package-lock.json").read_bytes()
    done = folder / "installed-lock.json"
    if done.exists() and done.read_bytes() == wanted:
        return
    with progress.step("node-websockify from npm"):
        folder.mkdir(parents=True, exist_ok=True)
        for name in novnc.MANIFESTS:
            shutil.copyfile(manifests / name, folder / name)
        npm = debian.find_program("npm") or "npm"
        run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], LOG, cwd=folder)
    done.write_bytes(wanted)


_INSTALL: dict[str, Callable[[Progress], None]] = {
    "websockify": _websockify,
    "nova-novncproxy": _nova,
    "go": _go,
    "node": _node,
}
