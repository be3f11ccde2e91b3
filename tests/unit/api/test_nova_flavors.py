"""The flavors of the instances, for clients that put names to ids."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from porthole.compute.details import Details, Flavor
from tests.unit.api.conftest import DB, TWIN_A, TWIN_B, WEB, Api, get_nova, nova

SMALL = Flavor("2", "m1.small", vcpus=1, ram=2048, disk=20, ephemeral=5, swap=512, extra_specs=(("hw:x", "y"),))
LARGE = Flavor("10", "m1.large", vcpus=4, ram=8192, disk=80)
BARE = Flavor("1-vcpu-16-mib", "1-vcpu-16-mib", vcpus=1, ram=16)
THEIRS = Flavor("theirs", "theirs", vcpus=8, ram=1)


@pytest.fixture(autouse=True)
def of_flavors(api: Api) -> None:
    api.computes.instances = [
        replace(WEB, details=Details(SMALL)),
        replace(DB, details=Details(SMALL)),
        replace(TWIN_A, details=Details(LARGE)),
        replace(TWIN_B, details=Details(BARE)),
        replace(WEB, id="55555555-5555-4555-8555-555555555555", details=Details(THEIRS), project_id="another"),
        replace(WEB, id="66666666-6666-4666-8666-666666666666"),
    ]


def _ids(client: FlaskClient, query: str, user: str = "carol", version: str | None = None) -> list[str]:
    return [flavor["id"] for flavor in get_nova(client, f"/flavors?{query}", user, version)["flavors"]]


def test_the_list_has_those_of_the_instances_that_one_may_see_once_each(client: FlaskClient) -> None:
    assert _ids(client, "") == ["1-vcpu-16-mib", "10", "2"]
    assert _ids(client, "", "alice") == ["1-vcpu-16-mib", "10", "2", "theirs"]
    assert client.get("/v2.1/flavors", headers=nova("dave")).status_code == 403


def test_it_has_id_name_and_links(client: FlaskClient) -> None:
    assert get_nova(client, "/flavors")["flavors"][2] == {
        "id": "2",
        "name": "m1.small",
        "links": [
            {"rel": "self", "href": "http://localhost/v2.1/flavors/2"},
            {"rel": "bookmark", "href": "http://localhost/flavors/2"},
        ],
    }


@pytest.mark.parametrize("path", ["/flavors/2", "/flavors/detail"])
def test_details_are_those_of_the_microversion(client: FlaskClient, path: str) -> None:
    def fields(version: str) -> dict[str, Any]:
        body = get_nova(client, path, version=version)
        shown: dict[str, Any] = body["flavor"] if "flavor" in body else body["flavors"][2]
        return {name: value for name, value in shown.items() if name not in ("id", "name", "links")}

    first = {
        "vcpus": 1, "ram": 2048, "disk": 20, "swap": 512, "OS-FLV-EXT-DATA:ephemeral": 5, "rxtx_factor": 1.0,
        "OS-FLV-DISABLED:disabled": False, "os-flavor-access:is_public": True,
    }  # fmt: skip
    assert fields("2.1") == fields("2.54") == first
    assert fields("2.55") == fields("2.60") == first | {"description": None}
    last = first | {"description": None, "extra_specs": {"hw:x": "y"}}
    assert fields("2.61") == fields("2.101") == last
    del last["rxtx_factor"], last["OS-FLV-DISABLED:disabled"]
    assert fields("2.102") == fields("latest") == last


@pytest.mark.parametrize(("version", "swap"), [("2.74", ""), ("2.75", 0)])
def test_no_swap_is_a_number_from_2_75_on(client: FlaskClient, version: str, swap: object) -> None:
    assert get_nova(client, "/flavors/10", version=version)["flavor"]["swap"] == swap


@pytest.mark.parametrize("flavor", ["3", "theirs", "m1.small", "x" * 1000, "%00"])
def test_what_is_none_that_one_may_see_is_404(client: FlaskClient, flavor: str) -> None:
    response = client.get(f"/v2.1/flavors/{flavor}", headers=nova("carol"))

    assert response.status_code == 404
    assert "could not be found" in response.get_json()["itemNotFound"]["message"]


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("minRam=2048", ["10", "2"]),
        ("minDisk=21", ["10"]),
        ("minRam=-1", ["1-vcpu-16-mib", "10", "2"]),
        ("is_public=False", ["1-vcpu-16-mib", "10", "2"]),
        ("sort_key=memory_mb&sort_dir=desc", ["10", "2", "1-vcpu-16-mib"]),
        ("sort_key=name", ["1-vcpu-16-mib", "10", "2"]),
        ("sort_key=vcpus&sort_dir=desc&marker=10", ["1-vcpu-16-mib", "2"]),
        ("unknown=x", ["1-vcpu-16-mib", "10", "2"]),
    ],
)
def test_filters_order_and_marker(client: FlaskClient, query: str, ids: list[str]) -> None:
    assert _ids(client, query) == ids


def test_whether_it_is_public_can_be_asked_by_administrators(client: FlaskClient) -> None:
    assert _ids(client, "is_public=False", "alice") == []
    assert len(_ids(client, "is_public=None", "alice")) == len(_ids(client, "is_public=True", "alice")) == 4


def test_the_name_is_a_filter_from_2_102_on(client: FlaskClient) -> None:
    assert _ids(client, "name=m1.small", version="2.102") == ["2"]
    assert len(_ids(client, "name=m1.small", version="2.74")) == 3
    assert client.get("/v2.1/flavors?name=m1.small", headers=nova("carol", "2.101")).status_code == 400


def test_following_the_links_gives_every_flavor_once(client: FlaskClient) -> None:
    seen: list[str] = []
    path = "/flavors/detail?limit=1"
    while path:
        body = get_nova(client, path)
        seen += [flavor["id"] for flavor in body["flavors"]]
        links = body.get("flavors_links", [])
        path = links[0]["href"].removeprefix("http://localhost/v2.1") if links else ""

    assert seen == ["1-vcpu-16-mib", "10", "2"]


@pytest.mark.parametrize(
    ("query", "version"),
    [
        ("limit=x", "2.1"),
        ("sort_key=x", "2.1"),
        ("sort_dir=up", "2.1"),
        ("sort_key=rxtx_factor", "2.102"),
        ("marker=nothing", "2.1"),
        ("minRam=much", "2.1"),
        ("minDisk=", "2.1"),
        ("minDisk=%C2%B2", "2.1"),
        ("unknown=x", "2.75"),
    ],
)
def test_what_novas_schema_does_not_take_is_400(client: FlaskClient, query: str, version: str) -> None:
    assert client.get(f"/v2.1/flavors/detail?{query}", headers=nova("carol", version)).status_code == 400
