"""Listing and showing servers in Nova's shape."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from porthole.compute.model import PowerState
from tests.unit.api.conftest import DB, NO_ONE, TWIN_A, TWIN_B, WEB, Api, nova

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
    for name in ("kernel_id", "ramdisk_id", "launch_index", "reservation_id", "root_device_name", "user_data")
}


def _get(client: FlaskClient, path: str, user: str = "carol", version: str | None = None) -> Any:
    response = client.get(f"/v2.1{path}", headers=nova(user, version))
    assert response.status_code == 200, response.text
    return response.get_json()


def _names(client: FlaskClient, query: str, user: str = "carol") -> list[str]:
    return [server["name"] for server in _get(client, f"/servers?{query}", user)["servers"]]


def test_the_list_has_id_name_and_links(client: FlaskClient) -> None:
    servers = _get(client, "/servers")["servers"]

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
    server = _get(client, f"/servers/{WEB.id}")["server"]

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
        body = _get(client, path, user)
        server = body["server"] if "server" in body else body["servers"][-1]
        assert {key for key in server if key.startswith("OS-EXT-SRV-ATTR:")} == expected
        assert ("compute-a" in str(server)) == (user == "alice")


def test_administrators_see_the_compute_and_libvirts_name(client: FlaskClient) -> None:
    server = _get(client, f"/servers/{DB.id}", "alice")["server"]

    assert server["OS-EXT-SRV-ATTR:host"] == server["OS-EXT-SRV-ATTR:hypervisor_hostname"] == "compute-b"
    assert server["OS-EXT-SRV-ATTR:instance_name"] == "instance-00000002"


def test_the_host_id_tells_hosts_apart_without_naming_them(client: FlaskClient) -> None:
    ids = {s["name"] + s["id"][:1]: s["hostId"] for s in _get(client, "/servers/detail")["servers"]}

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
        ("2.26", V23_FIELDS | {"locked", "host_status", "description", "tags"}),
        ("latest", V23_FIELDS | {"locked", "host_status", "description", "tags"}),
    ],
)
def test_fields_come_with_their_microversion(client: FlaskClient, version: str, added: set[str]) -> None:
    server = _get(client, f"/servers/{WEB.id}", "alice", version)["server"]

    assert set(server) == REQUIRED | HOST_FIELDS | {"progress"} | added


def test_the_host_status_says_which_computes_do_not_answer(api: Api) -> None:
    api.computes.down.add("compute-b")
    servers = _get(api.client, "/servers/detail", "alice", "2.16")["servers"]

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
    server = _get(api.client, f"/servers/{WEB.id}")["server"]

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


class TestFilters:
    """The filters that OpenStack clients use to find a server by name."""

    @pytest.mark.parametrize(
        ("query", "names"),
        [
            ("name=web", ["web-1"]),
            ("name=WEB-1", ["web-1"]),
            ("name=^web-1$", ["web-1"]),
            ("name=^web$", []),
            ("name=^tw", ["twin", "twin"]),
            ("name=-1$", ["db-1", "web-1"]),
            ("name=-1", ["db-1", "web-1"]),
            ("name=", ["db-1", "twin", "twin", "web-1"]),
            ("name=(a%2B)%2B$", []),
            ("status=ACTIVE", ["twin", "web-1"]),
            ("status=active&status=SHUTOFF", ["db-1", "twin", "web-1"]),
            ("status=ERROR", []),
            ("status=no-status", []),
            ("name=twin&status=PAUSED", ["twin"]),
            ("unknown=filter", ["db-1", "twin", "twin", "web-1"]),
        ],
    )
    def test_name_and_status(self, client: FlaskClient, query: str, names: list[str]) -> None:
        assert _names(client, query) == names

    def test_an_unknown_status_is_an_error_from_2_38_on(self, client: FlaskClient) -> None:
        response = client.get("/v2.1/servers?status=no-status", headers=nova("carol", "2.38"))

        assert response.status_code == 400
        assert response.get_json()["badRequest"]["message"] == "Invalid status value"

    def test_an_unknown_status_is_one_even_when_there_is_no_server(self, api: Api) -> None:
        api.computes.instances = []

        assert api.client.get("/v2.1/servers?status=no", headers=nova("carol", "2.38")).status_code == 400

    def test_the_host_filter_is_for_administrators_and_passed_over_for_others(self, client: FlaskClient) -> None:
        assert _names(client, "host=compute-b", "alice") == ["db-1", "twin"]
        assert _names(client, "host=compute-b", "carol") == ["db-1", "twin", "twin", "web-1"]


class TestPages:
    """limit and marker."""

    def test_following_the_links_gives_every_server_once(self, client: FlaskClient) -> None:
        seen: list[str] = []
        path = "/servers?limit=3&all_tenants=0"
        while path:
            body = _get(client, path)
            seen += [server["id"] for server in body["servers"]]
            links = body.get("servers_links", [])
            path = links[0]["href"].removeprefix("http://localhost/v2.1") if links else ""

        assert seen == [DB.id, TWIN_A.id, TWIN_B.id, WEB.id]

    def test_a_marker_need_not_match_the_filters(self, client: FlaskClient) -> None:
        assert _names(client, f"status=ACTIVE&marker={TWIN_A.id.upper()}") == ["twin", "web-1"]

    def test_no_page_is_longer_than_1000(self, api: Api) -> None:
        api.computes.instances = [replace(WEB, id=str(uuid.UUID(int=n)), name=f"n{n:05}") for n in range(1500)]
        first = _get(api.client, "/servers?limit=5000")

        assert len(first["servers"]) == 1000
        assert len(_get(api.client, f"/servers?marker={first['servers'][-1]['id']}")["servers"]) == 500

    def test_a_limit_of_0_is_an_empty_page(self, client: FlaskClient) -> None:
        assert _get(client, "/servers?limit=0") == {"servers": []}

    @pytest.mark.parametrize(
        "query", ["limit=-1", "limit=x", "limit=1.5", "limit=²", "limit=" + "9" * 5000, "limit=%00"]
    )
    def test_a_limit_that_is_no_number_is_400(self, client: FlaskClient, query: str) -> None:
        response = client.get(f"/v2.1/servers?{query}", headers=nova("carol"))

        assert response.status_code == 400
        assert "query parameters limit" in response.get_json()["badRequest"]["message"]

    @pytest.mark.parametrize("marker", [NO_ONE, "x", ""])
    def test_an_unknown_marker_is_400(self, client: FlaskClient, marker: str) -> None:
        response = client.get(f"/v2.1/servers?marker={marker}", headers=nova("carol"))

        assert response.get_json()["badRequest"]["message"] == f"marker [{marker}] not found"
