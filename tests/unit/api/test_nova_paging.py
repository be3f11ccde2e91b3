"""Pages of Nova's lists: limit, marker and order."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from tests.unit.api.conftest import DB, NO_ONE, TWIN_A, TWIN_B, WEB, Api, get_nova, nova


def _names(client: FlaskClient, query: str, user: str = "carol") -> list[str]:
    return [server["name"] for server in get_nova(client, f"/servers?{query}", user)["servers"]]


def test_following_the_links_gives_every_server_once(client: FlaskClient) -> None:
    seen: list[str] = []
    path = "/servers?limit=3&all_tenants=0"
    while path:
        body = get_nova(client, path)
        seen += [server["id"] for server in body["servers"]]
        links = body.get("servers_links", [])
        path = links[0]["href"].removeprefix("http://localhost/v2.1") if links else ""

    assert seen == [DB.id, TWIN_A.id, TWIN_B.id, WEB.id]


def test_a_marker_need_not_match_the_filters(client: FlaskClient) -> None:
    assert _names(client, f"status=ACTIVE&marker={TWIN_A.id.upper()}") == ["twin", "web-1"]


def test_no_page_is_longer_than_1000(api: Api) -> None:
    api.computes.instances = [replace(WEB, id=str(uuid.UUID(int=n)), name=f"n{n:05}") for n in range(1500)]
    first = get_nova(api.client, "/servers?limit=5000")

    assert len(first["servers"]) == 1000
    assert len(get_nova(api.client, f"/servers?marker={first['servers'][-1]['id']}")["servers"]) == 500


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
def test_an_order_can_be_asked_for(client: FlaskClient, query: str, names: list[str]) -> None:
    assert _names(client, query) == names


def test_pages_keep_the_order(client: FlaskClient) -> None:
    assert _names(client, f"sort_key=uuid&sort_dir=desc&marker={TWIN_A.id}") == ["db-1", "web-1"]


def test_the_order_by_hosts_is_for_administrators(client: FlaskClient) -> None:
    response = client.get("/v2.1/servers?sort_key=host", headers=nova("carol"))

    assert response.status_code == 403
    assert response.get_json()["forbidden"]["message"] == "Only administrators can sort servers by host"
    assert _names(client, "sort_key=host&sort_dir=asc", "alice") == ["twin", "web-1", "db-1", "twin"]


@pytest.mark.parametrize("query", ["sort_dir=up", "sort_key=uuid&sort_dir=asc&sort_dir=asc"])
def test_a_direction_that_is_none_is_400(client: FlaskClient, query: str) -> None:
    assert client.get(f"/v2.1/servers?{query}", headers=nova("carol")).status_code == 400


def test_old_sort_keys_are_unknown_from_2_75_on(client: FlaskClient) -> None:
    for version, status in (("2.74", 200), ("2.75", 400)):
        assert client.get("/v2.1/servers?sort_key=vcpus", headers=nova("carol", version)).status_code == status


def test_a_limit_of_0_is_an_empty_page(client: FlaskClient) -> None:
    assert get_nova(client, "/servers?limit=0") == {"servers": []}


@pytest.mark.parametrize("query", ["limit=-1", "limit=x", "limit=1.5", "limit=²", "limit=" + "9" * 5000, "limit=%00"])
def test_a_limit_that_is_no_number_is_400(client: FlaskClient, query: str) -> None:
    response = client.get(f"/v2.1/servers?{query}", headers=nova("carol"))

    assert response.status_code == 400
    assert "query parameters limit" in response.get_json()["badRequest"]["message"]


@pytest.mark.parametrize("marker", [NO_ONE, "x", ""])
def test_an_unknown_marker_is_400(client: FlaskClient, marker: str) -> None:
    response = client.get(f"/v2.1/servers?marker={marker}", headers=nova("carol"))

    assert response.get_json()["badRequest"]["message"] == f"marker [{marker}] not found"
