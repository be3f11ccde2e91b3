"""docs/how-to/keystone.md, followed word for word but for names and addresses.

All of its blocks are followed but for two halves. ``systemctl reload`` wants a machine that systemd has started: here
the service gets the signal that the unit's ExecReload sends. Of Ansible's run with ``appliance_options`` it is the part
of the role that writes and checks the configuration, with which a service is started then; packages and units are
Molecule's.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from tests.documents import DOCS, blocks, ini, replaced
from tests.hosts import ComputeHost
from tests.hosts.network import Network
from tests.openstack.environment import OpenStackClient
from tests.openstack.site import CONSOLES, KEYSTONE, PROJECT, USER, Site
from tests.service import Appliance
from tests.service.appliance import NOVNC, ROOT, token_of
from tests.service.rfb import RfbClient

Hosts = tuple[ComputeHost, ComputeHost]
Eventually = Callable[[Callable[[], object]], None]

PAGE = "how-to/keystone.md"
PASSWORD = "of the page's own user"
PASSWORD_FILE = "/etc/porthole/keystone.password"
NO_GLANCE = "public endpoint for image service in RegionOne region not found"

MAKING, CHECKING, LOOKING, REGISTERING, USING, PRINTING, ENDING, ENDING_LINKS = range(8)
"""The page's blocks of commands."""

OF_THE_APPLIANCE, OF_THE_INVENTORY, OF_CLOUDS = range(3)
"""Its blocks of YAML."""

CONFIGURE = """\
- hosts: appliance
  tasks:
    - ansible.builtin.include_role: {name: appliance, tasks_from: configure, rolespec_validate: false}
"""


@pytest.fixture(scope="module")
def site(network: Network, computes: Hosts, novnc: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A cloud in which the page was followed as far as the configuration."""
    site = Site(tmp_path_factory.mktemp("site"), network, computes, 6450)
    try:
        site.start()
        site.shell(commands(MAKING), "admin", [PASSWORD, PASSWORD])
        configure(site)
        yield site
    finally:
        site.stop()


def commands(number: int) -> str:
    return blocks(PAGE, "sh")[number]


def configuration(number: int) -> str:
    return blocks(PAGE, "yaml")[number]


def configure(site: Site) -> None:
    """The page's lines into the file of a service that runs already, and a reload."""
    folder = site.service.folder
    (folder / "keystone.password").write_text(f"{PASSWORD}\n")
    (folder / "keystone.password").chmod(0o600)
    (block,) = blocks(PAGE, "ini")
    lines = replaced(site.addressed(block, KEYSTONE), {PASSWORD_FILE: f"{folder}/keystone.password"})
    with (folder / "porthole.conf").open("a") as file:
        file.write(f"{lines}http_connect_timeout = 30\n")
    check, reload = commands(CHECKING).splitlines()
    assert reload == "systemctl reload 'porthole@*'"
    site.shell(check, None)
    (master, *_) = site.service.pids()
    os.kill(master, signal.SIGHUP)
    end = time.monotonic() + 60
    while "Keystone" not in site.service.call("GET", "/v1/instances", None).headers["WWW-Authenticate"]:
        assert time.monotonic() < end, site.service.log()
        time.sleep(0.5)


def console_url(site: Site, printed: str) -> str:
    """The console's URL in what a command printed, whatever is around it."""
    (url,) = re.findall(rf"{re.escape(site.service.url)}/vnc_auto\.html\?path=[^\s\"|]+", printed)
    return str(url)


def connect(site: Site, url: str) -> RfbClient:
    """Open a console, up to its size."""
    return RfbClient(site.service.upgrade(token_of(url))).handshake()


@pytest.fixture
def guest(site: Site, hosts: Hosts, eventually: Eventually) -> str:
    """``web-1`` of alice's project."""
    site.start_guest(hosts[0], "web-1")
    eventually(lambda: instances(site, site.service) == ["web-1"])
    return "web-1"


def instances(site: Site, service: Appliance) -> list[str]:
    """What a service shows to alice."""
    headers = {"X-Auth-Token": site.keystone.token(USER, PROJECT)}
    answer = service.call("GET", "/v1/instances", None, headers=headers)
    assert answer.status_code == 200, answer.text
    return [instance["name"] for instance in answer.json()["instances"]]


def test_every_block_of_the_page_is_known_here() -> None:
    counted = {language: len(blocks(PAGE, language)) for language in ("sh", "ini", "yaml")}
    assert counted == {"sh": ENDING_LINKS + 1, "ini": 1, "yaml": OF_CLOUDS + 1}
    assert (DOCS / PAGE).read_text().count("\n```") == 2 * sum(counted.values()), "there is another language"


def test_the_service_knows_whose_instances_are_whose(site: Site, guest: str) -> None:
    shown, ready = site.shell(site.addressed(commands(LOOKING), CONSOLES)).splitlines()
    assert [instance["name"] for instance in json.loads(shown)["instances"]] == [guest]
    assert json.loads(ready)["status"] == "ready"


def test_ansible_writes_the_same(
    site: Site, start_appliance: Callable[..., Appliance], guest: str, tmp_path: Path, eventually: Eventually
) -> None:
    root, etc = tmp_path / "opt", tmp_path / "etc"
    release = root / "releases" / "0.1.0"
    (root / "bin").mkdir(parents=True)
    program = release / "venv" / "bin" / "porthole"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT / "app"} exec {sys.executable} -m porthole "$@"\n')
    program.chmod(0o755)
    (release / "manifest.json").write_text("{}")
    (release / "novnc").symlink_to(NOVNC)
    given = yaml.safe_load(site.addressed(configuration(OF_THE_APPLIANCE), KEYSTONE))
    site.play(
        CONFIGURE, **given, vault_porthole_keystone_password=PASSWORD, appliance_service_user="root",
        appliance_root=str(root), appliance_release="0.1.0", appliance_config_dir=str(etc),
        appliance_state_dir=str(tmp_path / "state"), appliance_given_certificates={}, appliance_my_ip="127.0.0.1",
        pki_ca_dir=str(etc / "ca"), ansible_python_interpreter=sys.executable,
    )  # fmt: skip

    written = ini((etc / "porthole.conf").read_text())
    file = etc / "keystone.password"
    (block,) = blocks(PAGE, "ini")
    by_hand = ini(replaced(site.addressed(block, KEYSTONE), {PASSWORD_FILE: str(file)}))["keystone_authtoken"]
    # Their default.
    assert (by_hand.pop("user_domain_name"), by_hand.pop("project_domain_name")) == ("Default", "Default")
    assert written["keystone_authtoken"] == by_hand
    assert (file.read_text(), file.stat().st_mode & 0o777) == (f"{PASSWORD}\n", 0o640)
    options = {"api": {"auth_strategy": written["api"]["auth_strategy"]}}
    options["keystone_authtoken"] = {**written["keystone_authtoken"], "http_connect_timeout": "30"}
    service = start_appliance(options=options)
    eventually(lambda: instances(site, service) == [guest])


def test_the_catalogue(site: Site, guest: str) -> None:
    variables = site.inventory / "group_vars" / "all.yml"
    variables.parent.mkdir(exist_ok=True)
    said = site.addressed(configuration(OF_THE_INVENTORY), CONSOLES)
    variables.write_text(said)
    site.shell(commands(REGISTERING), None)
    connect(site, console_url(site, site.shell(commands(USING)))).close()

    # There is no Glance, for which the client looks first, whatever it is told.
    for options in ("", " --no-name-lookup"):
        listing = f"export OS_COMPUTE_SERVICE_TYPE=porthole; ! openstack server list{options} 2>&1"
        assert NO_GLANCE in site.shell(listing)
    clouds = yaml.safe_load(site.addressed(configuration(OF_CLOUDS), KEYSTONE))["clouds"]
    client = site.client(site.write_clouds("of-the-page.yaml", clouds), "web")
    assert lists_shows_and_opens(site, client) == [guest]

    site.shell(f"{commands(REGISTERING).rstrip()} -e keystone_endpoint_state=absent", None)
    assert "endpoint for porthole service" in client.refusal("server", "list")
    variables.write_text(f"{said}keystone_endpoint_service_type: compute\n")
    site.shell(commands(REGISTERING), None)
    connect(site, console_url(site, site.shell("openstack console url show --novnc web-1"))).close()
    site.shell(f"{commands(REGISTERING).rstrip()} -e keystone_endpoint_state=absent", None)


def lists_shows_and_opens(site: Site, client: OpenStackClient) -> list[str]:
    """The names that a client lists; it shows the first by name, and opens its console."""
    names = [server["Name"] for server in client.json("server", "list")]
    assert client.json("server", "show", names[0])["status"] == "ACTIVE"
    connect(site, client.json("console", "url", "show", "--novnc", names[0])["url"]).close()
    return names


def test_a_clouds_yaml_without_the_catalogue(site: Site, guest: str, tmp_path: Path) -> None:
    printed = tmp_path / "clouds.yaml"
    printed.write_text(site.shell(commands(PRINTING), None))
    client = site.client(printed, "porthole")
    connect(site, client.json("console", "url", "show", "--novnc", guest)["url"]).close()
    assert "public endpoint for image service" in client.refusal("server", "list")

    printed.write_text(site.shell(f"{commands(PRINTING).rstrip()} --no-image-service", None))
    assert lists_shows_and_opens(site, client) == [guest]


def test_what_was_given_out_is_ended(site: Site, guest: str, eventually: Eventually) -> None:
    headers = {"X-Auth-Token": site.keystone.token(USER, PROJECT)}
    made = site.service.call("POST", "/v1/consoles", None, headers=headers, json={"instance": guest})
    client = connect(site, made.json()["url"])
    listing, *rest = commands(ENDING).splitlines()
    session = json.loads(site.shell(f"{listing} --json", None))
    assert session["session_id"] in site.shell(listing, None)
    ids = {"SESSION_ID": session["session_id"], "TOKEN_ID": session["token_id"]}
    site.shell(replaced("\n".join(rest), ids), None)
    assert client.wait_for_close().code == 4002
    eventually(lambda: not site.shell(f"{listing} --json", None))


def test_a_link_that_was_given_out_is_listed_and_ended(site: Site, guest: str) -> None:
    headers = {"X-Auth-Token": site.keystone.token(USER, PROJECT)}
    made = site.service.call("POST", "/v1/shares", None, headers=headers, json={"instance": guest})
    watching = connect(site, made.json()["url"])
    listing, ending = site.addressed(commands(ENDING_LINKS), CONSOLES).splitlines()
    administrator = site.keystone.token("admin", "admin")
    (listed,) = json.loads(site.shell(listing, TOKEN=administrator))["shares"]
    site.shell(replaced(ending, {"TOKEN_ID": listed["token_id"]}), None)
    assert watching.wait_for_close().code == 4002
    assert json.loads(site.shell(listing, TOKEN=administrator))["shares"] == []
