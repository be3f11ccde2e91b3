"""The filters of Nova's lists, by which OpenStack clients find a server."""

from __future__ import annotations

import re
import time

import pytest
from flask.testing import FlaskClient

from porthole.api.nova import query
from tests.unit.api.conftest import WEB, Api, get_nova, nova


def _names(client: FlaskClient, query: str, user: str = "carol") -> list[str]:
    return [server["name"] for server in get_nova(client, f"/servers?{query}", user)["servers"]]


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
def test_name_and_status(client: FlaskClient, query: str, names: list[str]) -> None:
    assert _names(client, query) == names


def test_an_unknown_status_is_an_error_from_2_38_on(client: FlaskClient) -> None:
    response = client.get("/v2.1/servers?status=no-status", headers=nova("carol", "2.38"))

    assert response.status_code == 400
    assert response.get_json()["badRequest"]["message"] == "Invalid status value"


def test_an_unknown_status_is_one_even_when_there_is_no_server(api: Api) -> None:
    api.computes.instances = []

    assert api.client.get("/v2.1/servers?status=no", headers=nova("carol", "2.38")).status_code == 400


def test_deleted_ones_are_for_administrators_who_find_none(client: FlaskClient) -> None:
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
def test_an_administrator_has_all_of_novas(client: FlaskClient, query: str, names: list[str]) -> None:
    assert [one["name"] for one in get_nova(client, f"/servers?{query}", "alice", "2.74")["servers"]] == names


@pytest.mark.parametrize(
    ("query", "since"),
    [("power_state=4", 83), ("vm_state=stopped", 83), ("hostname=db", 90), ("locked=True", 73), ("tags=a", 26),
     ("ip6=::1", 5), ("uuid=x", 1000), ("description=x", 1000), ("project_id=x", 1000)],
)  # fmt: skip
def test_others_have_those_of_their_microversion_and_further_ones_do_not_count(
    client: FlaskClient, query: str, since: int
) -> None:
    for minor in {1, since - 1, since, 104} - {999, 1000}:
        found = len(get_nova(client, f"/servers?{query}", "carol", f"2.{minor}")["servers"])
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
def test_what_novas_schema_does_not_take_is_400(client: FlaskClient, query: str, says: str) -> None:
    response = client.get(f"/v2.1/servers/detail?{query}", headers=nova("carol"))

    assert response.status_code == 400
    assert response.get_json()["badRequest"]["message"].startswith(says)


def test_names_that_nova_does_not_know_are_an_error_from_2_75_on(client: FlaskClient) -> None:
    for path in ("servers", "servers/detail"):
        url = f"/v2.1/{path}?unknown=x&another=y"
        assert client.get(url, headers=nova("carol", "2.74")).status_code == 200
        answer = client.get(url, headers=nova("carol", "2.75"))
        assert answer.get_json()["badRequest"]["message"] == (
            "'another', 'unknown' do not match any of the regexes: '^_'"
        )


@pytest.mark.parametrize("name", ["_x", "metadata", "services"])
def test_internal_fields_are_no_filters(client: FlaskClient, name: str) -> None:
    for version in ("2.1", "2.104"):
        response = client.get(f"/v2.1/servers?{name}=x", headers=nova("alice", version))
        assert response.get_json()["badRequest"]["message"] == f"Invalid filter field: {name}."


def test_a_period_that_ends_before_it_begins_is_400(client: FlaskClient) -> None:
    query = "changes-since=2026-01-02T00:00:00Z&changes-before=2026-01-01T00:00:00Z"
    response = client.get(f"/v2.1/servers?{query}", headers=nova("carol", "2.66"))

    assert "must be less than or equal to changes-before" in response.get_json()["badRequest"]["message"]


def test_showing_one_takes_no_parameters_from_2_102_on(client: FlaskClient) -> None:
    for version, status in (("2.101", 200), ("2.102", 400)):
        assert client.get(f"/v2.1/servers/{WEB.id}?x=1", headers=nova("carol", version)).status_code == status


def test_the_host_filter_is_for_administrators_and_passed_over_for_others(client: FlaskClient) -> None:
    assert _names(client, "host=compute-b", "alice") == ["db-1", "twin"]
    assert _names(client, "host=compute-b", "carol") == ["db-1", "twin", "twin", "web-1"]


@pytest.mark.parametrize(
    "pattern",
    [
        "(?i)" + "[\0-\U0010ffff]" * 50,
        "[\0-\uffff]" * 51,
        r"[\x00-\U0010ffff]" * 14,
        "(?i)" + r"[\w\W\d]" * 30,
        "(" * 127 + ")" * 127,
    ],
)
def test_looking_at_a_pattern_takes_no_time(pattern: str) -> None:
    re.purge()
    began = time.process_time()
    for number in range(20):
        query.pattern(f"{pattern[:254]}{number}"[:255])
    assert time.process_time() - began < 0.5
