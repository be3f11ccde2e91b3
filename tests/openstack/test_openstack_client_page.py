"""docs/how-to/openstack-client.md, followed word for word."""

from __future__ import annotations

import re
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from tests.hosts import ComputeHost
from tests.openstack.conftest import ClientOf
from tests.openstack.environment import TIMEOUT, VENV, environment, program
from tests.service import Appliance
from tests.service.appliance import token_of
from tests.service.rfb import RfbClient

Hosts = tuple[ComputeHost, ComputeHost]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "openstack-client.md"
INSTALLATION = "python3 -m venv openstack\n. openstack/bin/activate\npip install python-openstackclient\n"
PASSWORD = "correct horse battery staple"


def blocks(language: str) -> list[str]:
    """The page's blocks of code in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
def home(tmp_path: Path, appliance: Appliance) -> Path:
    """The home folder of somebody to whose PATH ``porthole`` belongs, with the configuration of the service."""
    home = tmp_path / "home"
    (home / "bin").mkdir(parents=True)
    config = appliance.folder / "porthole.conf"
    porthole = home / "bin" / "porthole"
    path = appliance.environment["PYTHONPATH"]
    command = " ".join(appliance.command)
    porthole.write_text(f'#!/bin/sh\nPYTHONPATH={path} exec {command} "$@" --config-file {config}\n')
    porthole.chmod(0o755)
    return home


def run(home: Path, script: str) -> str:
    """What the commands print; each of them has to succeed."""
    path = f"{home / 'bin'}:{VENV / 'bin'}:/usr/local/bin:/usr/bin:/bin"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=home,
        env=environment(home, {"PATH": path, "PASSWORD": PASSWORD, "COLUMNS": "400"}),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=4 * TIMEOUT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_page(appliance: Appliance, hosts: Hosts, home: Path) -> None:
    files = ("--user-file", str(appliance.folder / "htpasswd"), "--role-file", str(appliance.folder / "roles"))
    appliance.run("user", "add", "alice", "--role", "admin", "--password-stdin", *files, text=f"{PASSWORD}\n")
    hosts[0].start_guest("demo-1")
    commands = blocks("sh")
    # The packages are there already, in the versions of requirements.txt.
    assert INSTALLATION in commands
    program("openstack")
    printed = run(home, "\n".join(block for block in commands if block != INSTALLATION))

    assert printed.count("| demo-1") >= 5
    assert "compute1" in printed
    (url,) = re.findall(rf"{re.escape(appliance.url)}/vnc_auto\.html\?path=\S+", printed)
    with closing(appliance.upgrade(token_of(url))) as websocket:
        RfbClient(websocket).handshake()

    (example,) = blocks("yaml")
    written = (home / ".config" / "openstack" / "clouds.yaml").read_text()
    assert example.replace("https://consoles.example.org:6080", appliance.url) == written
    assert yaml.safe_load(written)["clouds"]["porthole"]["auth"] == {
        "endpoint": f"{appliance.url}/v3",
        "username": "alice",
    }
    assert (home / ".config" / "openstack" / "secure.yaml").stat().st_mode & 0o777 == 0o600

    (program_of_the_page,) = blocks("python")
    printed = run(home, f"python -P - <<'END'\n{program_of_the_page}END\n")
    assert printed.startswith(f"{appliance.url}/vnc_auto.html?path=%3Ftoken%3D")


def troubles() -> list[str]:
    """What the client says by the page's last table, with ``…`` for anything."""
    table = PAGE.read_text().partition("\n## When it does not work\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)


def test_what_the_client_says_when_it_does_not_work(appliance: Appliance, hosts: Hosts, client_of: ClientOf) -> None:
    hosts[0].start_guest("web-1")
    hosts[0].start_guest("off", persistent=True).domain.destroy()
    member, reader = client_of(appliance, "max"), client_of(appliance, "rea")
    console = ("console", "url", "show", "--novnc")
    said = [
        member.refusal("server", "show", "nothing"),
        client_of(appliance, "max", password="wrong").refusal("server", "list"),
        reader.refusal(*console, "web-1"),
        member.refusal(*console, "off"),
    ]
    clouds_yaml = member.home / "clouds.yaml"
    clouds_yaml.write_text(clouds_yaml.read_text().replace(f":{appliance.port}/", ":9/"))
    said.append(member.refusal("server", "list"))
    newer = reader.run("server", "list", more={"OS_COMPUTE_API_VERSION": "2.105"})
    said.append(newer.stderr)

    assert newer.returncode != 0
    patterns = [".*".join(re.escape(words.strip()) for words in trouble.split("…")) for trouble in troubles()]
    assert len(patterns) == len(said)
    assert [said[row] for row, pattern in enumerate(patterns) if not re.search(pattern, said[row])] == []
