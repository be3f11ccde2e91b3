"""The console page in a frame without an origin: what it may ask, and what nobody may."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from tests.unit.api.conftest import MEMBER, Api, ApiSettings

CHECK = "/v1/consoles/check"
NULL = {"Origin": "null"}
FRAMED = ApiSettings(frame_ancestors=("'self'", "https://dashboard.example.org"))
PREFLIGHT = {
    **NULL, "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "content-type,x-requested-with",
}  # fmt: skip


def allowed(client: FlaskClient, method: str, path: str, headers: dict[str, str]) -> str | None:
    return client.open(path, method=method, headers=headers, json={}).headers.get("Access-Control-Allow-Origin")


@pytest.mark.parametrize("api", [FRAMED], indirect=True)
class TestFramed:
    def test_it_may_ask_whether_its_token_is_good(self, client: FlaskClient, api: Api) -> None:
        preflight = client.options(CHECK, headers=PREFLIGHT)
        assert preflight.status_code == 200
        assert preflight.headers["Access-Control-Allow-Origin"] == "null"
        assert preflight.headers["Access-Control-Allow-Methods"] == "POST"
        assert preflight.headers["Access-Control-Allow-Headers"] == "content-type, x-requested-with"
        answer = client.post(CHECK, json={"token": api.token()}, headers=NULL)
        assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (200, "null")
        assert "Origin" in answer.headers["Vary"]

    def test_and_reads_a_refusal_too(self, client: FlaskClient) -> None:
        answer = client.post(CHECK, json={"token": "no"}, headers=NULL)
        assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (403, "null")

    def test_never_with_a_cookie(self, client: FlaskClient) -> None:
        assert "Access-Control-Allow-Credentials" not in client.options(CHECK, headers=PREFLIGHT).headers

    @pytest.mark.parametrize("path", ["/v1/consoles", "/v1/session", "/v1/instances", "/v1/sessions", "/readyz"])
    @pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
    def test_nothing_else(self, client: FlaskClient, method: str, path: str) -> None:
        assert allowed(client, method, path, {**PREFLIGHT, **MEMBER}) is None

    @pytest.mark.parametrize("origin", ["https://dashboard.example.org", "https://evil.example", "NULL", ""])
    def test_nobody_who_has_an_origin(self, client: FlaskClient, origin: str) -> None:
        assert allowed(client, "POST", CHECK, {"Origin": origin}) is None


def test_where_no_other_site_is_named_it_may_not(client: FlaskClient) -> None:
    assert allowed(client, "POST", CHECK, NULL) is None
    assert allowed(client, "OPTIONS", CHECK, PREFLIGHT) is None
