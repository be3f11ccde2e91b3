"""OpenStack's own clients, unchanged, with the service in front of real guests."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import libvirt
import pytest

from tests.certificates import make_certificate
from tests.hosts import ComputeHost
from tests.hosts.guest import NOVA
from tests.hosts.network import Network
from tests.openstack.conftest import ClientOf
from tests.openstack.environment import OpenStackClient, at_a_terminal, environment, program, run_python
from tests.service import Appliance
from tests.service.appliance import token_of
from tests.service.rfb import RfbClient

Hosts = tuple[ComputeHost, ComputeHost]

HARDWARE = "1-vcpu-16-mib"
"""What a guest of tests/hosts has."""

NO_IMAGE = "N/A (booted from volume)"
IMAGE = "155d900f-4e14-4e4c-a73d-069cbf4541e6"
OF_NOVA = f"""\
<instance>
  <name>shop</name>
  <creationTime>2026-11-23 18:00:00</creationTime>
  <flavor name="m1.small" id="2">
    <memory>2048</memory><disk>20</disk><swap>0</swap><ephemeral>0</ephemeral><vcpus>1</vcpus>
  </flavor>
  <owner><user uuid="7c8d">max</user><project uuid="default">web</project></owner>
  <root type="image" uuid="{IMAGE}"/>
</instance>"""


@pytest.fixture
def openstack(appliance: Appliance, client_of: ClientOf) -> OpenStackClient:
    """The client of the administrator."""
    return client_of(appliance, "ann")


@pytest.fixture
def set_metadata(hosts: Hosts) -> Iterator[Callable[[str, str], None]]:
    """Puts Nova's metadata into a guest of the first host, by its name."""
    with closing(libvirt.open(hosts[0].uri)) as connection:

        def put(name: str, metadata: str) -> None:
            connection.lookupByName(name).setMetadata(
                libvirt.VIR_DOMAIN_METADATA_ELEMENT, metadata, "nova", NOVA, libvirt.VIR_DOMAIN_AFFECT_LIVE
            )

        yield put


def opens(appliance: Appliance, url: str) -> bool:
    """Whether a console URL leads to a guest's screen."""
    assert url.startswith(f"{appliance.url}/vnc_auto.html?path=%3Ftoken%3D")
    with closing(appliance.upgrade(token_of(url))) as websocket:
        RfbClient(websocket).handshake()
    return True


def names(servers: list[dict[str, Any]]) -> list[str]:
    return [server["Name"] for server in servers]


class TestServers:
    def test_they_are_listed_and_shown_by_name_and_by_id(self, hosts: Hosts, openstack: OpenStackClient) -> None:
        web, db = hosts[0].start_guest("web-1"), hosts[1].start_guest("db-1")

        listed = openstack.json("server", "list")
        assert listed == [
            {"ID": db.uuid, "Name": "db-1", "Status": "ACTIVE", "Networks": {}, "Image": NO_IMAGE, "Flavor": HARDWARE},
            {
                "ID": web.uuid,
                "Name": "web-1",
                "Status": "ACTIVE",
                "Networks": {},
                "Image": NO_IMAGE,
                "Flavor": HARDWARE,
            },
        ]
        shown = openstack.json("server", "show", "web-1")
        assert (shown["id"], shown["name"], shown["status"]) == (web.uuid, "web-1", "ACTIVE")
        assert (shown["OS-EXT-STS:vm_state"], shown["OS-EXT-STS:power_state"]) == ("active", 1)
        assert (shown["OS-EXT-SRV-ATTR:host"], shown["OS-EXT-SRV-ATTR:instance_name"]) == ("compute1", "web-1")
        assert (shown["project_id"], shown["created"]) == ("default", "1970-01-01T00:00:00Z")
        assert shown["flavor"]["ram"] == 16
        by_id = openstack.json("server", "show", web.uuid)
        # Asked for by name, the client takes what it has from a list, where Nova's servers have no groups.
        assert (by_id.pop("server_groups"), shown.pop("server_groups")) == ([], None)
        assert by_id == shown

    @pytest.mark.parametrize("version", ["2.1", "2.46", "2.104"])
    def test_what_nova_wrote_into_the_guest_is_shown(
        self, hosts: Hosts, openstack: OpenStackClient, set_metadata: Callable[[str, str], None], version: str,
        appliance: Appliance, eventually: Callable[..., None],
    ) -> None:  # fmt: skip
        hosts[0].start_guest("instance-0000002a")
        set_metadata("instance-0000002a", OF_NOVA)
        eventually(
            lambda: [one["name"] for one in appliance.call("GET", "/v1/instances").json()["instances"]] == ["shop"]
        )

        (listed,) = openstack.json("--os-compute-api-version", version, "server", "list", "--long")
        assert (listed["Name"], listed["Image ID"], listed["Host"]) == ("shop", IMAGE, "compute1")
        assert (listed["Flavor"] if version == "2.104" else listed["Flavor Name"]) == "m1.small"
        shown = openstack.json("--os-compute-api-version", version, "server", "show", "shop")
        assert (shown["created"], shown["user_id"]) == ("2026-11-23T18:00:00Z", "7c8d")
        assert IMAGE in shown["image"]
        assert "m1.small" in str(shown["flavor"])

    def test_filters_and_pages(self, hosts: Hosts, openstack: OpenStackClient) -> None:
        hosts[0].start_guest("web-1")
        hosts[0].start_guest("web-2", persistent=True).domain.destroy()
        hosts[1].start_guest("db-1")

        def found(*arguments: str) -> list[str]:
            return names(openstack.json("server", "list", "--no-name-lookup", *arguments))

        assert found("--name", "web") == ["web-1", "web-2"]
        assert found("--status", "SHUTOFF") == ["web-2"]
        assert found("--host", "compute2") == ["db-1"]
        assert found("--all-projects") == ["db-1", "web-1", "web-2"]
        assert found("--limit", "1") == ["db-1"]
        assert found("--limit", "2", "--marker", "db-1") == ["web-1", "web-2"]
        assert found("--status", "ERROR") == []

    def test_a_name_that_is_none_or_several(self, hosts: Hosts, openstack: OpenStackClient) -> None:
        for number in (1, 2):
            hosts[0].start_guest(f"instance-0000000{number}", metadata_name="twin")

        assert "No Server found for nothing" in openstack.refusal("server", "show", "nothing")
        assert "More than one" in openstack.refusal("console", "url", "show", "twin")

    def test_those_of_others_are_not_there(
        self, appliance: Appliance, hosts: Hosts, client_of: ClientOf, set_metadata: Callable[[str, str], None]
    ) -> None:
        theirs = hosts[0].start_guest("theirs")
        hosts[0].start_guest("ours")
        owner = '<instance><owner><user uuid="e">eve</user><project uuid="another">x</project></owner></instance>'
        set_metadata("theirs", owner)
        client = client_of(appliance, "max")

        assert names(client.json("server", "list")) == ["ours"]
        for command in (("server", "show"), ("console", "url", "show")):
            for server in ("theirs", theirs.uuid):
                assert f"No Server found for {server}" in client.refusal(*command, server)


class TestConsoles:
    @pytest.mark.parametrize("version", [None, "2.1", "2.5", "2.6", "2.104"])
    def test_the_url_opens_the_screen(
        self, appliance: Appliance, hosts: Hosts, client_of: ClientOf, version: str | None
    ) -> None:
        guest = hosts[0].start_guest("web-1")
        arguments = ("--os-compute-api-version", version) if version else ()
        client = client_of(appliance, "max")

        for server in ("web-1",) if version else ("web-1", guest.uuid):
            shown = client.json(*arguments, "console", "url", "show", "--novnc", server)
            assert (shown["type"], shown.get("protocol", "vnc")) == ("novnc", "vnc")
            assert opens(appliance, shown["url"])

    def test_what_stands_in_the_way_is_said(self, appliance: Appliance, hosts: Hosts, client_of: ClientOf) -> None:
        hosts[0].start_guest("web-1")
        hosts[0].start_guest("off", persistent=True).domain.destroy()
        member, reader = client_of(appliance, "max"), client_of(appliance, "rea")
        console = ("console", "url", "show")

        assert "Start it" in member.refusal(*console, "off")
        assert "Unavailable console type spice-html5" in member.refusal(*console, "--spice", "web-1")
        assert "Policy doesn't allow os_compute_api:os-remote-consoles" in reader.refusal(*console, "web-1")
        assert names(reader.json("server", "list")) == ["off", "web-1"]
        assert "2.105" in member.refusal("--os-compute-api-version", "2.105", *console, "web-1")
        stranger = client_of(appliance, "max", password="wrong")
        assert "The user name or the password is wrong" in stranger.refusal("server", "list")


def test_the_sdk_finds_lists_and_opens(appliance: Appliance, hosts: Hosts, client_of: ClientOf) -> None:
    guest = hosts[0].start_guest("web-1")
    hosts[1].start_guest("db-1")
    client = client_of(appliance, "max")
    # The SDK itself takes a password from secure.yaml, and none from the environment.
    secure = {"clouds": {"porthole": {"auth": {"password": appliance.passwords["max"]}}}}
    (client.home / "secure.yaml").write_text(json.dumps(secure))
    more = {name: client.variables[name] for name in ("OS_CLIENT_CONFIG_FILE", "OS_CLOUD")}
    more["OS_CLIENT_SECURE_FILE"] = str(client.home / "secure.yaml")
    done = run_python(str(Path(__file__).with_name("sdk_says.py")), "web-1", home=client.home, more=more)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)

    assert said["range"] == ["2.1", "2.104"]
    assert (said["id"], said["by_id"], said["status"]) == (guest.uuid, "web-1", "ACTIVE")
    assert (said["page_by_page"], said["first_page"]) == (["db-1", "web-1"], ["db-1"])
    assert (said["flavors"], said["missing"]) == ([HARDWARE], None)
    for way in ("create_server_remote_console", "create_console", "of_older_versions"):
        assert opens(appliance, said[way]), way


class TestCloudsYaml:
    def test_a_service_with_a_certificate_of_its_own_is_trusted_by_it(
        self, start_appliance: Callable[..., Appliance], network: Network, hosts: Hosts, tmp_path: Path,
        client_of: ClientOf,
    ) -> None:  # fmt: skip
        appliance = start_appliance(certificate=make_certificate(tmp_path, network.appliance_ip))
        hosts[0].start_guest("web-1")
        client = client_of(appliance, "max")

        assert f"cacert: {tmp_path / 'cert.pem'}" in Path(client.variables["OS_CLIENT_CONFIG_FILE"]).read_text()
        assert opens(appliance, client.json("console", "url", "show", "web-1")["url"])
        made = make_certificate(_folder(tmp_path / "other"), network.appliance_ip)
        stranger = client_of(appliance, "max", "--cacert", str(made[0]))
        assert "certificate verify failed" in stranger.refusal("--debug", "server", "list")

    def test_a_password_that_is_nowhere_is_asked_for(
        self, appliance: Appliance, hosts: Hosts, client_of: ClientOf
    ) -> None:
        hosts[0].start_guest("web-1")
        client = client_of(appliance, "max")
        del client.variables["OS_PASSWORD"]

        assert "No password entered" in client.refusal("server", "list")
        command = [program("openstack"), "server", "list", "-f", "value"]
        variables = environment(client.home, client.variables)
        assert "web-1" in at_a_terminal(command, variables, [appliance.passwords["max"]])


def _folder(path: Path) -> Path:
    path.mkdir()
    return path
