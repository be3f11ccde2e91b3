"""docs/how-to/keystone.md, followed word for word but for names and addresses."""

from __future__ import annotations

import configparser
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hosts.network import Network
from tests.openstack.environment import environment
from tests.openstack.keystone import Keystone
from tests.service import Appliance

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "keystone.md"
KEYSTONE = "https://keystone.example.org:5000/v3"
CONSOLES = "https://consoles.example.org:6080"
PASSWORD = "of the page's own user"
USER = "porthole-of-the-page"
TIMEOUT = 300


def block(section: str, language: str) -> str:
    """The first block of a language below a heading."""
    text = PAGE.read_text().split(f"\n## {section}\n", 1)[1].split("\n## ")[0]
    match = re.search(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert match is not None, f"there is no {language} below {section!r}"
    return match[1]


@pytest.fixture
def shell(keystone: Keystone, network: Network, tmp_path: Path) -> Callable[[str, str], str]:
    """Runs commands of the page as a user of Keystone in a project of this name, next to the service."""

    def run(commands: str, user: str) -> str:
        done = subprocess.run(
            network.browser.command(["bash", "-euc", commands]),
            env=environment(tmp_path, keystone.variables(user, "admin" if user == "admin" else "alpha")),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_the_page(
    keystone: Keystone,
    start_appliance: Callable[..., Appliance],
    shell: Callable[[str, str], str],
    tmp_path: Path,
) -> None:
    making = block("A user for the service", "sh").replace("--password-prompt", f'--password "{PASSWORD}"')
    shell(re.sub(r"\bporthole\b", USER, making), "admin")

    (tmp_path / "keystone.password").write_text(f"{PASSWORD}\n")
    parser = configparser.ConfigParser()
    parser.read_string(block("The configuration", "ini"))
    options: dict[str, dict[str, object]] = {name: dict(parser[name]) for name in parser.sections()}
    ours = {"auth_url": KEYSTONE, "username": "porthole", "password_file": "/etc/porthole/keystone.password"}
    assert {name: options["keystone_authtoken"][name] for name in ours} == ours
    options["keystone_authtoken"] |= {
        "auth_url": keystone.url, "username": USER, "password_file": tmp_path / "keystone.password",
        "http_connect_timeout": 30,
    }  # fmt: skip
    appliance = start_appliance(options=options)

    keystone.add_user("ada", "alpha", "member")
    looking = block("See that it works", "sh")
    assert looking.count(CONSOLES) == 2
    instances, ready = shell(looking.replace(CONSOLES, appliance.url), "ada").splitlines()
    assert '"instances":[]' in instances.replace(" ", "")
    assert '"status":"ready"' in ready.replace(" ", "")
