"""Listing and showing servers in Nova's shape."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from porthole.compute.details import Details, Flavor, Image
from porthole.compute.model import PowerState
from tests.unit.api.conftest import DB, NO_ONE, TWIN_A, TWIN_B, WEB, Api, get_nova, nova

# nova/api/openstack/compute/schemas/servers.py (Nova 34), _server_response["required"].
REQUIRED = {
    "accessIPv4", "accessIPv6", "addresses", "config_drive", "created", "flavor", "hostId", "id", "image", "key_name",
    "links", "metadata", "name", "os-extended-volumes:volumes_attached", "status", "tenant_id", "updated", "user_id",
    "OS-DCF:diskConfig", "OS-EXT-AZ:availability_zone", "OS-EXT-STS:power_state", "OS-EXT-STS:task_state",
    "OS-EXT-STS:vm_state", "OS-SRV-USG:launched_at", "OS-SRV-USG:terminated_at",
}  # fmt: skip
HOST_FIELDS = {f"OS-EXT-SRV-ATTR:{name}" for name in ("host", "hypervisor_hostname", "instance_name")}
V23_FIELDS = {
    f"OS-EXT-SRV-ATTR:{name}"
    for name in (
        "hostname", "kernel_id", "ramdisk_id", "launch_index", "reservation_id", "root_device_name", "user_data",
    )
}  # fmt: skip
V26_FIELDS = V23_FIELDS | {"locked", "host_status", "description", "tags"}
V73_FIELDS = V26_FIELDS | {"trusted_image_certificates", "server_groups", "locked_reason"}


def test_the_list_has_id_name_and_links(client: FlaskClient) -> None:
    servers = get_nova(client, "/servers")["servers"]

    assert [server["id"] for server in servers] == [DB.id, TWIN_A.id, TWIN_B.id, WEB.id]
    assert servers[3] == {
        "id": WEB.id,
        "name": "web-1",
        "links": [
            {"rel": "self", "href": f"http://localhost/v2.1/servers/{WEB.id}"},
            {"rel": "bookmark", "href": f"http://localhost/servers/{WEB.id}"},
        ],
    }


def test_details_have_every_field_that_novas_schema_demands_and_no_more(client: FlaskClient) -> None:
    server = get_nova(client, f"/servers/{WEB.id}")["server"]

    assert set(server) == REQUIRED | {"progress"}
    assert (server["status"], server["OS-EXT-STS:vm_state"], server["OS-EXT-STS:power_state"]) == (
        "ACTIVE",
        "active",
        1,
    )
    assert (server["tenant_id"], server["addresses"], server["metadata"]) == ("default", {}, {})


@pytest.mark.parametrize("path", ["/servers/detail", f"/servers/{WEB.id}"])
def test_where_it_runs_is_for_administrators(client: FlaskClient, path: str) -> None:
    for user, expected in (("alice", HOST_FIELDS), ("bob", set()), ("carol", set())):
        body = get_nova(client, path, user)
        server = body["server"] if "server" in body else body["servers"][-1]
        assert {key for key in server if key.startswith("OS-EXT-SRV-ATTR:")} == expected
        assert ("compute-a" in str(server)) == (user == "alice")


def test_administrators_see_the_compute_and_libvirts_name(client: FlaskClient) -> None:
    server = get_nova(client, f"/servers/{DB.id}", "alice")["server"]

    assert server["OS-EXT-SRV-ATTR:host"] == server["OS-EXT-SRV-ATTR:hypervisor_hostname"] == "compute-b"
    assert server["OS-EXT-SRV-ATTR:instance_name"] == "instance-00000002"


def test_the_host_id_tells_hosts_apart_without_naming_them(client: FlaskClient) -> None:
    ids = {s["name"] + s["id"][:1]: s["hostId"] for s in get_nova(client, "/servers/detail")["servers"]}

    assert ids["web-11"] == ids["twin3"] != ids["db-12"]
    assert all(len(host_id) == 56 for host_id in ids.values())


@pytest.mark.parametrize(
    ("version", "added"),
    [
        ("2.1", set()),
        ("2.3", V23_FIELDS),
        ("2.9", V23_FIELDS | {"locked"}),
        ("2.16", V23_FIELDS | {"locked", "host_status"}),
        ("2.19", V23_FIELDS | {"locked", "host_status", "description"}),
        ("2.26", V26_FIELDS),
        ("2.63", V26_FIELDS | {"trusted_image_certificates"}),
        ("2.71", V26_FIELDS | {"trusted_image_certificates", "server_groups"}),
        ("2.73", V73_FIELDS),
        ("2.96", V73_FIELDS | {"pinned_availability_zone"}),
        ("2.100", V73_FIELDS | {"pinned_availability_zone", "scheduler_hints"}),
        ("latest", V73_FIELDS | {"pinned_availability_zone", "scheduler_hints"}),
    ],
)
def test_fields_come_with_their_microversion(client: FlaskClient, version: str, added: set[str]) -> None:
    server = get_nova(client, f"/servers/{WEB.id}", "alice", version)["server"]

    assert set(server) == REQUIRED | HOST_FIELDS | {"progress"} | added


def test_a_list_has_no_server_groups(client: FlaskClient) -> None:
    servers = get_nova(client, "/servers/detail", "alice", "latest")["servers"]

    assert not any("server_groups" in server for server in servers)
    assert all("locked_reason" in server for server in servers)


@pytest.mark.parametrize(("version", "shown"), [("2.89", False), ("2.90", True)])
def test_everybody_sees_the_hostname_from_2_90_on(client: FlaskClient, version: str, shown: bool) -> None:
    server = get_nova(client, f"/servers/{WEB.id}", "carol", version)["server"]

    assert ("OS-EXT-SRV-ATTR:hostname" in server) is shown


@pytest.mark.parametrize(
    ("name", "hostname"),
    [
        ("web-1", "web-1"),
        ("Web Server_1.example", "web-server-1-example"),
        ("\N{CYRILLIC SMALL LETTER DE}", f"Server-{WEB.id}"),
        ("x" * 100, "x" * 63),
        ("-.a!/b.-", "ab"),
    ],
)
def test_the_hostname_is_made_of_the_name_as_nova_makes_it(api: Api, name: str, hostname: str) -> None:
    api.computes.instances = [replace(WEB, name=name)]

    assert get_nova(api.client, f"/servers/{WEB.id}", "alice", "2.3")["server"]["OS-EXT-SRV-ATTR:hostname"] == hostname


class TestDetails:
    """Flavor, image and time, as Nova wrote them into the domain's metadata."""

    DETAILS = Details(
        Flavor("2", "m1.small", vcpus=1, ram=2048, disk=20, ephemeral=5, swap=512, extra_specs=(("hw:x", "y"),)),
        Image("155d900f-4e14-4e4c-a73d-069cbf4541e6", (("hw_disk_bus", "virtio"),)),
        "2026-11-23T18:00:00Z",
    )

    @pytest.fixture(autouse=True)
    def of_nova(self, api: Api) -> None:
        api.computes.instances = [replace(WEB, details=self.DETAILS)]

    def test_until_2_46_the_flavor_is_its_id(self, client: FlaskClient) -> None:
        assert get_nova(client, f"/servers/{WEB.id}", version="2.46")["server"]["flavor"] == {
            "id": "2",
            "links": [{"rel": "bookmark", "href": "http://localhost/flavors/2"}],
        }

    def test_from_2_47_on_it_is_what_it_has(self, client: FlaskClient) -> None:
        assert get_nova(client, f"/servers/{WEB.id}", version="2.47")["server"]["flavor"] == {
            "vcpus": 1, "ram": 2048, "disk": 20, "ephemeral": 5, "swap": 512, "original_name": "m1.small",
            "extra_specs": {"hw:x": "y"},
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("version", "properties"), [("2.97", {}), ("2.98", {"properties": {"hw_disk_bus": "virtio"}})]
    )
    def test_the_image_has_its_properties_from_2_98_on(
        self, client: FlaskClient, version: str, properties: dict[str, Any]
    ) -> None:
        image = "155d900f-4e14-4e4c-a73d-069cbf4541e6"
        assert get_nova(client, f"/servers/{WEB.id}", version=version)["server"]["image"] == {
            "id": image,
            "links": [{"rel": "bookmark", "href": f"http://localhost/images/{image}"}],
            **properties,
        }

    def test_the_time_is_when_nova_configured_it(self, client: FlaskClient) -> None:
        server = get_nova(client, f"/servers/{WEB.id}")["server"]

        assert server["created"] == server["updated"] == "2026-11-23T18:00:00Z"

    def test_of_a_domain_that_says_nothing_they_are_empty(self, api: Api) -> None:
        api.computes.instances = [WEB]

        for version, flavor in (("2.46", {}), ("2.47", {"vcpus": 0, "ram": 0, "disk": 0, "ephemeral": 0, "swap": 0,
                                                        "original_name": "", "extra_specs": {}})):  # fmt: skip
            server = get_nova(api.client, f"/servers/{WEB.id}", version=version)["server"]
            assert (server["flavor"], server["image"]) == (flavor, "")
            assert server["created"] == server["updated"] == "1970-01-01T00:00:00Z"


def test_the_host_status_says_which_computes_do_not_answer(api: Api) -> None:
    api.computes.down.add("compute-b")
    servers = get_nova(api.client, "/servers/detail", "alice", "2.16")["servers"]

    assert {s["OS-EXT-SRV-ATTR:host"]: s["host_status"] for s in servers} == {"compute-a": "UP", "compute-b": "UNKNOWN"}


@pytest.mark.parametrize(
    ("state", "status", "vm_state"),
    [
        (PowerState.NOSTATE, "UNKNOWN", None),
        (PowerState.RUNNING, "ACTIVE", "active"),
        (PowerState.PAUSED, "PAUSED", "paused"),
        (PowerState.SHUTDOWN, "SHUTOFF", "stopped"),
        (PowerState.CRASHED, "SHUTOFF", "stopped"),
        (PowerState.SUSPENDED, "SUSPENDED", "suspended"),
    ],
)
def test_every_power_state_has_novas_words(api: Api, state: PowerState, status: str, vm_state: str | None) -> None:
    api.computes.instances = [replace(WEB, state=state)]
    server = get_nova(api.client, f"/servers/{WEB.id}")["server"]

    assert (server["status"], server["OS-EXT-STS:vm_state"], server["OS-EXT-STS:power_state"]) == (
        status,
        vm_state,
        state,
    )


@pytest.mark.parametrize("server_id", [NO_ONE, "web-1", "twin", "x", "%00", "%2e%2e", "é", "a" * 5000, "{}", "'--"])
def test_what_is_no_server_is_404(client: FlaskClient, server_id: str) -> None:
    response = client.get(f"/v2.1/servers/{server_id}", headers=nova("carol"))

    assert response.status_code == 404
    assert response.get_json()["itemNotFound"]["code"] == 404


def test_an_unknown_server_while_a_compute_is_down_is_503_and_never_a_guess(api: Api) -> None:
    api.computes.down.add("compute-b")

    assert api.client.get(f"/v2.1/servers/{NO_ONE}", headers=nova("carol")).status_code == 503
    assert api.client.get(f"/v2.1/servers/{WEB.id}", headers=nova("carol")).status_code == 200


def test_somebody_without_a_role_sees_nothing(client: FlaskClient) -> None:
    for path in ("", "/detail", f"/{WEB.id}", f"/{NO_ONE}", "/web-1"):
        response = client.get(f"/v2.1/servers{path}", headers=nova("dave"))
        assert response.status_code == 403
        assert "web-1" not in response.text
