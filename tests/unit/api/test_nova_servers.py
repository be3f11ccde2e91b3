"""Listing and showing servers in Nova's shape."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from porthole.compute.details import Details, Flavor, Image
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
    for name in (
        "hostname", "kernel_id", "ramdisk_id", "launch_index", "reservation_id", "root_device_name", "user_data",
    )
}  # fmt: skip
V26_FIELDS = V23_FIELDS | {"locked", "host_status", "description", "tags"}
V73_FIELDS = V26_FIELDS | {"trusted_image_certificates", "server_groups", "locked_reason"}


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
    server = _get(client, f"/servers/{WEB.id}", "alice", version)["server"]

    assert set(server) == REQUIRED | HOST_FIELDS | {"progress"} | added


def test_a_list_has_no_server_groups(client: FlaskClient) -> None:
    servers = _get(client, "/servers/detail", "alice", "latest")["servers"]

    assert not any("server_groups" in server for server in servers)
    assert all("locked_reason" in server for server in servers)


@pytest.mark.parametrize(("version", "shown"), [("2.89", False), ("2.90", True)])
def test_everybody_sees_the_hostname_from_2_90_on(client: FlaskClient, version: str, shown: bool) -> None:
    server = _get(client, f"/servers/{WEB.id}", "carol", version)["server"]

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

    assert _get(api.client, f"/servers/{WEB.id}", "alice", "2.3")["server"]["OS-EXT-SRV-ATTR:hostname"] == hostname


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
        assert _get(client, f"/servers/{WEB.id}", version="2.46")["server"]["flavor"] == {
            "id": "2",
            "links": [{"rel": "bookmark", "href": "http://localhost/flavors/2"}],
        }

    def test_from_2_47_on_it_is_what_it_has(self, client: FlaskClient) -> None:
        assert _get(client, f"/servers/{WEB.id}", version="2.47")["server"]["flavor"] == {
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
        assert _get(client, f"/servers/{WEB.id}", version=version)["server"]["image"] == {
            "id": image,
            "links": [{"rel": "bookmark", "href": f"http://localhost/images/{image}"}],
            **properties,
        }

    def test_the_time_is_when_nova_configured_it(self, client: FlaskClient) -> None:
        server = _get(client, f"/servers/{WEB.id}")["server"]

        assert server["created"] == server["updated"] == "2026-11-23T18:00:00Z"

    def test_of_a_domain_that_says_nothing_they_are_empty(self, api: Api) -> None:
        api.computes.instances = [WEB]

        for version, flavor in (("2.46", {}), ("2.47", {"vcpus": 0, "ram": 0, "disk": 0, "ephemeral": 0, "swap": 0,
                                                        "original_name": "", "extra_specs": {}})):  # fmt: skip
            server = _get(api.client, f"/servers/{WEB.id}", version=version)["server"]
            assert (server["flavor"], server["image"]) == (flavor, "")
            assert server["created"] == server["updated"] == "1970-01-01T00:00:00Z"


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
            ("name=(a%2B)%2B$", []),
            ("status=ACTIVE", ["twin", "web-1"]),
            ("status=active&status=SHUTOFF", ["db-1", "twin", "web-1"]),
            ("status=ERROR", []),
            ("status=no-status", []),
            ("name=twin&status=PAUSED", ["twin"]),
            ("status=UNKNOWN", []),
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

    def test_deleted_ones_are_for_administrators_who_find_none(self, client: FlaskClient) -> None:
        response = client.get("/v2.1/servers?status=deleted", headers=nova("carol"))

        assert response.get_json()["forbidden"]["message"] == "Only administrators may list deleted instances"
        assert _names(client, "status=deleted", "alice") == []
        assert _names(client, "deleted=True", "alice") == []
        assert len(_names(client, "deleted=True", "carol")) == 4

    @pytest.mark.parametrize(
        ("query", "names"),
        [
            (f"uuid={WEB.id}", ["web-1"]),
            ("project_id=default", ["db-1", "twin", "twin", "web-1"]),
            ("tenant_id=another", []),
            ("user_id=x", []),
            ("vm_state=stopped", ["db-1"]),
            ("power_state=1", ["twin", "web-1"]),
            ("node=compute-a", ["twin", "web-1"]),
            ("hostname=web", ["web-1"]),
            ("flavor=2", []),
            ("image=155d900f-4e14-4e4c-a73d-069cbf4541e6", []),
            ("description=x", []),
            ("ip=10.0.0.1", []),
            ("task_state=migrating", []),
            ("key_name=x", []),
            ("changes-since=2026-11-23T18:00:00Z", []),
            ("changes-before=2026-11-23T18:00:00", ["db-1", "twin", "twin", "web-1"]),
            ("tags=a", []),
            ("not-tags=a", ["db-1", "twin", "twin", "web-1"]),
            ("locked=True", []),
            ("locked=False", ["db-1", "twin", "twin", "web-1"]),
        ],
    )
    def test_an_administrator_has_all_of_novas(self, client: FlaskClient, query: str, names: list[str]) -> None:
        assert [one["name"] for one in _get(client, f"/servers?{query}", "alice", "2.74")["servers"]] == names

    @pytest.mark.parametrize(
        ("query", "since"),
        [("power_state=4", 83), ("vm_state=stopped", 83), ("hostname=db", 90), ("locked=True", 73), ("tags=a", 26),
         ("ip6=::1", 5), ("uuid=x", 1000), ("description=x", 1000), ("project_id=x", 1000)],
    )  # fmt: skip
    def test_others_have_those_of_their_microversion_and_further_ones_do_not_count(
        self, client: FlaskClient, query: str, since: int
    ) -> None:
        for minor in {1, since - 1, since, 104} - {999, 1000}:
            found = len(_get(client, f"/servers?{query}", "carol", f"2.{minor}")["servers"])
            assert (found < 4) is (minor >= since), minor

    @pytest.mark.parametrize(
        ("query", "says"),
        [
            ("name=[", "Invalid input for query parameters name. Value: [. '[' is not a 'regex'"),
            ("name=", "Invalid input for query parameters name. Value: . '' is not a 'regex'"),
            ("changes-since=x", "Invalid input for query parameters changes-since. Value: x. 'x' is not a 'date-time'"),
            ("sort_key=x", "Invalid input for query parameters sort_key. Value: x. 'x' is not one of "),
        ],
    )
    def test_what_novas_schema_does_not_take_is_400(self, client: FlaskClient, query: str, says: str) -> None:
        response = client.get(f"/v2.1/servers/detail?{query}", headers=nova("carol"))

        assert response.status_code == 400
        assert response.get_json()["badRequest"]["message"].startswith(says)

    def test_names_that_nova_does_not_know_are_an_error_from_2_75_on(self, client: FlaskClient) -> None:
        for path in ("servers", "servers/detail"):
            url = f"/v2.1/{path}?unknown=x&another=y"
            assert client.get(url, headers=nova("carol", "2.74")).status_code == 200
            answer = client.get(url, headers=nova("carol", "2.75"))
            assert answer.get_json()["badRequest"]["message"] == (
                "'another', 'unknown' do not match any of the regexes: '^_'"
            )

    @pytest.mark.parametrize("name", ["_x", "metadata", "services"])
    def test_internal_fields_are_no_filters(self, client: FlaskClient, name: str) -> None:
        for version in ("2.1", "2.104"):
            response = client.get(f"/v2.1/servers?{name}=x", headers=nova("alice", version))
            assert response.get_json()["badRequest"]["message"] == f"Invalid filter field: {name}."

    def test_a_period_that_ends_before_it_begins_is_400(self, client: FlaskClient) -> None:
        query = "changes-since=2026-01-02T00:00:00Z&changes-before=2026-01-01T00:00:00Z"
        response = client.get(f"/v2.1/servers?{query}", headers=nova("carol", "2.66"))

        assert "must be less than or equal to changes-before" in response.get_json()["badRequest"]["message"]

    def test_showing_one_takes_no_parameters_from_2_102_on(self, client: FlaskClient) -> None:
        for version, status in (("2.101", 200), ("2.102", 400)):
            assert client.get(f"/v2.1/servers/{WEB.id}?x=1", headers=nova("carol", version)).status_code == status

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

    @pytest.mark.parametrize(
        ("query", "names"),
        [
            ("sort_key=display_name&sort_dir=desc", ["web-1", "twin", "twin", "db-1"]),
            ("sort_key=display_name", ["web-1", "twin", "twin", "db-1"]),
            ("sort_key=power_state&sort_dir=asc", ["twin", "web-1", "twin", "db-1"]),
            ("sort_key=power_state&sort_key=uuid&sort_dir=desc&sort_dir=asc", ["db-1", "twin", "web-1", "twin"]),
            ("sort_key=vcpus&sort_dir=asc", ["db-1", "twin", "twin", "web-1"]),
        ],
    )
    def test_an_order_can_be_asked_for(self, client: FlaskClient, query: str, names: list[str]) -> None:
        assert _names(client, query) == names

    def test_pages_keep_the_order(self, client: FlaskClient) -> None:
        assert _names(client, f"sort_key=uuid&sort_dir=desc&marker={TWIN_A.id}") == ["db-1", "web-1"]

    def test_the_order_by_hosts_is_for_administrators(self, client: FlaskClient) -> None:
        response = client.get("/v2.1/servers?sort_key=host", headers=nova("carol"))

        assert response.status_code == 403
        assert response.get_json()["forbidden"]["message"] == "Only administrators can sort servers by host"
        assert _names(client, "sort_key=host&sort_dir=asc", "alice") == ["twin", "web-1", "db-1", "twin"]

    @pytest.mark.parametrize("query", ["sort_dir=up", "sort_key=uuid&sort_dir=asc&sort_dir=asc"])
    def test_a_direction_that_is_none_is_400(self, client: FlaskClient, query: str) -> None:
        assert client.get(f"/v2.1/servers?{query}", headers=nova("carol")).status_code == 400

    def test_old_sort_keys_are_unknown_from_2_75_on(self, client: FlaskClient) -> None:
        for version, status in (("2.74", 200), ("2.75", 400)):
            assert client.get("/v2.1/servers?sort_key=vcpus", headers=nova("carol", version)).status_code == status

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
