"""Which microversion a request gets, and what is said of one that cannot be had."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from porthole.api.nova.microversion import MAX
from tests.unit.api.conftest import ADMIN, NO_ONE

STANDARD = "OpenStack-API-Version"
LEGACY = "X-OpenStack-Nova-API-Version"


def _answered(client: FlaskClient, headers: list[tuple[str, str]]) -> tuple[int, str | None, str | None]:
    response = client.get("/v2.1/servers", headers=[*ADMIN.items(), *headers])
    assert {STANDARD, LEGACY} <= set(response.vary)
    return response.status_code, response.headers.get(STANDARD), response.headers.get(LEGACY)


@pytest.mark.parametrize(
    ("headers", "version"),
    [
        ([], "2.1"),
        ([(STANDARD, "compute 2.6")], "2.6"),
        ([(STANDARD, "COMPUTE   2.10 ")], "2.10"),
        ([(STANDARD, "compute latest")], str(MAX)),
        ([(LEGACY, "2.8")], "2.8"),
        ([(LEGACY, "latest")], str(MAX)),
        ([(LEGACY, "2.3, 2.4")], "2.4"),
        ([(STANDARD, "compute 2.6"), (LEGACY, "2.3")], "2.6"),
        ([(STANDARD, "placement 1.2, compute 2.7, identity 3.0")], "2.7"),
        ([(STANDARD, "compute 2.6, compute 2.9")], "2.9"),
        ([(STANDARD, "placement 1.30")], "2.1"),
        ([(STANDARD, "placement 1.30"), (LEGACY, "2.5")], "2.5"),
        ([(STANDARD, "porthole 2.6")], "2.6"),
        ([(STANDARD, "compute")], "2.1"),
        ([(STANDARD, "")], "2.1"),
    ],
)
def test_the_version_of_the_answer_is_the_one_asked_for(
    client: FlaskClient, headers: list[tuple[str, str]], version: str
) -> None:
    assert _answered(client, headers) == (200, f"compute {version}", version)


@pytest.mark.parametrize(
    "text",
    [
        "2",
        "2.",
        ".1",
        "2.01",
        "02.1",
        "2.1.1",
        "two",
        "Latest",
        "2.-1",
        "2.1\t3",
        "\N{ARABIC-INDIC DIGIT TWO}.1",
        "2.¹",
        "2.1e1",
        "9" * 5000,
    ],
)
def test_what_is_no_version_is_400_with_novas_words(client: FlaskClient, text: str) -> None:
    response = client.get("/v2.1/servers", headers=ADMIN | {LEGACY: text})

    fault = response.get_json()["badRequest"]
    assert (response.status_code, fault["code"]) == (400, 400)
    assert fault["message"].startswith("API Version String ")
    assert fault["message"].endswith(" is of invalid format. Must be of format MajorNum.MinorNum.")
    assert len(fault["message"]) < 200
    assert STANDARD not in response.headers


@pytest.mark.parametrize("version", ["1.1", "2.0", f"2.{MAX.minor + 1}", "2.1040", "2.999999999", "3.0", "999.1"])
def test_a_version_beyond_ours_is_406_with_novas_body(client: FlaskClient, version: str) -> None:
    response = client.get("/v2.1/servers", headers=ADMIN | {STANDARD: f"compute {version}"})

    assert response.status_code == 406
    assert response.get_json() == {
        "computeFault": {
            "code": 406,
            "message": f"Version {version} is not supported by the API. Minimum is 2.1 and maximum is {MAX}.",
        }
    }
    assert response.headers[STANDARD] == f"compute {version}"


def test_no_header_can_be_smuggled_into_the_answer(client: FlaskClient) -> None:
    for text in ("2.6%0d%0aX-Evil: 1", "2.6 X-Evil: 1", "2.6;X-Evil=1"):
        response = client.get("/v2.1/servers", headers=ADMIN | {LEGACY: text})
        assert response.status_code == 400
        assert "X-Evil" not in str(response.headers)


def test_error_answers_say_the_version_too(client: FlaskClient) -> None:
    response = client.get(f"/v2.1/servers/{NO_ONE}", headers=ADMIN | {LEGACY: "2.6"})

    assert response.status_code == 404
    assert response.headers[STANDARD] == "compute 2.6"


def test_a_sign_in_is_asked_for_before_the_version_is_looked_at(client: FlaskClient) -> None:
    assert client.get("/v2.1/servers", headers={LEGACY: "rubbish"}).status_code == 401


class TestVersionDocument:
    """``/v2.1/`` tells clients what they can ask for, without a sign-in, as Nova's does."""

    def test_the_list_at_the_root_is_for_clients_that_take_json(self, client: FlaskClient) -> None:
        response = client.get("/", headers={"Accept": "application/json"})

        (version,) = response.get_json()["versions"]
        assert (version["id"], version["status"]) == ("v2.1", "CURRENT")
        assert (version["min_version"], version["version"]) == ("2.1", "2.104")
        assert version["links"] == [{"rel": "self", "href": "http://localhost/v2.1/"}]
        assert "Accept" in response.vary

    @pytest.mark.parametrize(
        "accept", [None, "*/*", "text/html", "text/html, application/json;q=0.9", "text/html, application/json", "x"]
    )
    def test_others_get_the_page_that_is_there(self, client: FlaskClient, accept: str | None) -> None:
        response = client.get("/", headers={"Accept": accept} if accept else {})

        assert response.status_code == 404  # this application has no pages
        assert "Accept" in response.vary

    @pytest.mark.parametrize("path", ["/v2.1", "/v2.1/"])
    def test_it_names_the_range_of_versions(self, client: FlaskClient, path: str) -> None:
        response = client.get(path)

        version = response.get_json()["version"]
        assert response.status_code == 200
        assert (version["id"], version["status"]) == ("v2.1", "CURRENT")
        assert (version["min_version"], version["version"]) == ("2.1", str(MAX))
        assert version["links"][0] == {"rel": "self", "href": "http://localhost/v2.1/"}

    def test_no_other_address_is_open(self, client: FlaskClient) -> None:
        for path in ("/v2.1/servers", "/v2.1/nothing", "/v2.1/v2.1", "/v2.1/servers/", "/v2.1/.", "/v2.1/os-x/y"):
            response = client.get(path)
            assert response.status_code in (401, 404), path
            assert "version" not in response.get_json()
