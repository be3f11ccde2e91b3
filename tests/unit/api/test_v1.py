"""The plain calls: listing instances, asking for a console, checking a token."""

from __future__ import annotations

import io
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from porthole.auth.users import add_user, remove_user
from porthole.config import TokenAuthority
from tests.unit.api.conftest import (
    ADMIN,
    BASE_URL,
    DB,
    MEMBER,
    NO_ONE,
    READER,
    TWIN_A,
    TWIN_B,
    WEB,
    Api,
    ApiSettings,
    basic,
)


def _code(response: TestResponse) -> tuple[int, str]:
    assert response.content_type == "application/problem+json"
    return response.status_code, response.get_json()["code"]


def _open(api: Api, instance: Any, headers: dict[str, str] = MEMBER) -> TestResponse:
    return api.client.post("/v1/consoles", json={"instance": instance}, headers=headers)


def _check(api: Api, token: Any) -> TestResponse:
    return api.client.post("/v1/consoles/check", json={"token": token})


class TestInstances:
    """``GET /v1/instances``."""

    @pytest.mark.parametrize("headers", [ADMIN, MEMBER, READER])
    def test_everybody_with_a_role_sees_names_states_and_computes(
        self, client: FlaskClient, headers: dict[str, str]
    ) -> None:
        instances = client.get("/v1/instances", headers=headers).get_json()["instances"]

        assert instances[0] == {"id": DB.id, "name": "db-1", "state": "shutdown", "compute": "compute-b"}
        assert [i["state"] for i in instances] == ["shutdown", "paused", "running", "running"]

    def test_somebody_without_a_role_is_told_which_it_takes(self, client: FlaskClient) -> None:
        response = client.get("/v1/instances", headers=basic("dave"))

        assert _code(response) == (403, "forbidden")
        assert "role admin or member or reader" in response.get_json()["detail"]

    def test_computes_that_do_not_answer_are_named_to_administrators_only(self, api: Api) -> None:
        api.computes.down.add("compute-b")
        for headers, expected in ((ADMIN, ["compute-b"]), (MEMBER, 1), (READER, 1)):
            body = api.client.get("/v1/instances", headers=headers).get_json()
            assert body["unreachable_computes"] == expected
            assert len(body["instances"]) == 4


class TestOpening:
    """``POST /v1/consoles``."""

    @pytest.mark.parametrize("instance", [WEB.id, WEB.id.upper(), "web-1"])
    def test_one_plain_call_gives_url_token_id_and_expiry(self, api: Api, instance: str) -> None:
        response = _open(api, instance)

        body = response.get_json()
        assert response.status_code == 201
        assert set(body) == {"url", "token_id", "expires_at", "instance"}
        assert body["instance"] == {"id": WEB.id, "name": "web-1"}
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", body["expires_at"])
        assert body["url"].startswith(f"{BASE_URL}?path=%3Ftoken%3D")
        token = parse_qs(urlsplit(body["url"]).query)["path"][0].removeprefix("?token=")
        assert api.console_auth.check(token).token_id == body["token_id"]
        assert body["token_id"] not in token

    @pytest.mark.parametrize(
        ("instance", "expected"),
        [
            (NO_ONE, (404, "instance-not-found")),
            ("nobody", (404, "instance-not-found")),
            ("\0", (404, "instance-not-found")),
            ("<script>", (404, "instance-not-found")),
            ("twin", (409, "instance-ambiguous")),
            ("db-1", (409, "instance-not-running")),
        ],
    )
    def test_what_stands_in_the_way_is_said(self, api: Api, instance: str, expected: tuple[int, str]) -> None:
        response = _open(api, instance)

        assert _code(response) == expected
        assert response.get_json()["detail"]

    def test_an_ambiguous_name_comes_with_the_ids(self, api: Api) -> None:
        assert TWIN_A.id in _open(api, "twin").get_json()["detail"]

    def test_an_instance_without_a_display_is_400(self, api: Api) -> None:
        api.computes.headless.add(WEB.id)

        assert _code(_open(api, "web-1")) == (400, "console-type-unavailable")

    @pytest.mark.parametrize("instance", ["nobody", TWIN_B.id])
    def test_a_compute_that_is_down_is_503_with_its_name_for_administrators_only(self, api: Api, instance: str) -> None:
        api.computes.down.add("compute-b")
        for headers in (ADMIN, MEMBER):
            response = _open(api, instance, headers)
            assert _code(response) == (503, "compute-unavailable")
            assert response.headers["Retry-After"] == "5"
            assert ("compute-b" in response.text) == (headers is ADMIN)

    @pytest.mark.parametrize("instance", ["web-1", "nobody", "db-1", "twin"])
    def test_a_reader_gets_the_same_answer_for_every_instance(self, api: Api, instance: str) -> None:
        response = _open(api, instance, READER)

        assert _code(response) == (403, "forbidden")
        assert response.data == _open(api, "something else", READER).data

    @pytest.mark.parametrize(
        ("body", "detail"),
        [
            ({}, 'The key "instance" is missing.'),
            ([], 'The body has to be a JSON object with "instance" and "mode".'),
            ("web-1", 'The body has to be a JSON object with "instance" and "mode".'),
            ({"instance": 1}, 'The key "instance" is not right: input should be a valid string.'),
            ({"instance": ["web-1"]}, 'The key "instance" is not right: input should be a valid string.'),
            ({"instance": ""}, 'The key "instance" is not right: string should have at least 1 character.'),
            ({"instance": "x" * 256}, 'The key "instance" is not right: string should have at most 255 characters.'),
            ({"instance": "web-1", "way": "in"}, 'There is no key "way" here; this call takes "instance" and "mode".'),
            ({"instance": "web-1", "mode": "x"}, "The key \"mode\" is not right: input should be 'full' or 'view'."),
        ],
    )
    def test_a_body_of_another_form_is_told_what_would_be_right(self, api: Api, body: Any, detail: str) -> None:
        response = api.client.post("/v1/consoles", json=body, headers=MEMBER)

        assert _code(response) == (400, "bad-request")
        assert response.get_json()["detail"] == detail

    def test_a_surrogate_in_the_name_is_no_error_of_ours(self, api: Api) -> None:
        assert _open(api, "a\ud800b").status_code in (400, 404)

    def test_many_wrong_keys_do_not_make_a_long_answer(self, api: Api) -> None:
        response = api.client.post("/v1/consoles", json={f"{'k' * 100}{n}": n for n in range(500)}, headers=MEMBER)

        assert response.status_code == 400
        assert len(response.data) < 2_000

    def test_a_huge_body_is_413(self, api: Api) -> None:
        assert _code(_open(api, "x" * 70_000)) == (413, "too-large")

    @pytest.mark.parametrize("path", ["/v1/consoles", f"/v2.1/servers/{WEB.id}/action"])
    def test_a_huge_body_that_does_not_say_its_length_is_413_too(self, api: Api, path: str) -> None:
        body = b'{"instance": "web-1"}' + b" " * 70_000
        response = api.client.post(
            path,
            input_stream=io.BytesIO(body),
            content_type="application/json",
            headers=MEMBER,
            environ_overrides={"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"},
        )

        assert response.status_code == 413

    @pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "PROPFIND"])
    def test_other_methods_are_405_with_those_there_are(self, client: FlaskClient, method: str) -> None:
        response = client.open("/v1/consoles", method=method, headers=MEMBER)

        assert _code(response) == (405, "method-not-allowed")
        assert set(response.headers["Allow"].split(", ")) == {"POST", "OPTIONS"}


class TestChecking:
    """``POST /v1/consoles/check``: what an upgrade with the token would be told."""

    def test_a_good_token_shows_its_instance_and_needs_no_sign_in(self, api: Api) -> None:
        response = _check(api, api.token())

        body = response.get_json()
        assert response.status_code == 200
        assert body["instance"] == {"id": WEB.id, "name": "web-1", "state": "running"}
        assert body["mode"] == "full"
        assert body["expires_at"].endswith("Z")

    @pytest.mark.parametrize(
        ("token", "code"),
        [("", "token-missing"), ("x", "token-invalid"), ("a.b", "token-invalid"), ("\0", "token-invalid"),
         ("x" * 4096, "token-invalid"), ("ä", "token-invalid"), ("." * 500, "token-invalid")],
    )  # fmt: skip
    def test_what_is_no_token_is_403(self, api: Api, token: str, code: str) -> None:
        assert _code(_check(api, token)) == (403, code)

    def test_it_is_expired_at_the_second_it_says(self, api: Api) -> None:
        token = api.token()
        api.clock.ahead = 598
        assert _check(api, token).status_code == 200
        api.clock.ahead = 601

        assert _code(_check(api, token)) == (403, "token-expired")

    def test_a_token_changed_anywhere_is_refused_without_a_hint(self, api: Api) -> None:
        token = api.token()
        answers = {
            _check(api, token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]).data
            for at in range(len(token) - 1)
        }

        assert len(answers) == 1
        assert b"token-invalid" in answers.pop()

    def test_a_revoked_one_is_invalid(self, api: Api) -> None:
        token = api.token()
        api.records.table.revoke(api.console_auth.check(token).token_id, 4002, "revoked")

        assert _code(_check(api, token)) == (403, "token-invalid")

    def test_the_permission_is_that_of_this_moment(self, api: Api) -> None:
        token = api.token(user="bob")
        add_user(api.users, api.roles, "bob", "a new password", "reader", cost=4)
        assert _code(_check(api, token)) == (403, "forbidden")
        remove_user(api.users, api.roles, "bob")
        assert _code(_check(api, token)) == (403, "token-invalid")

    def test_the_instance_is_that_of_this_moment(self, api: Api) -> None:
        api.computes.down.add("compute-b")
        assert _code(_check(api, api.token(TWIN_B))) == (503, "compute-unavailable")
        assert _code(_check(api, api.token(DB))) == (503, "compute-unavailable")
        api.computes.down.clear()
        assert _code(_check(api, api.token(DB))) == (409, "instance-not-running")
        api.computes.instances.clear()
        assert _code(_check(api, api.token(WEB))) == (404, "instance-not-found")

    def test_a_compute_is_not_named_to_the_holder_of_a_token(self, api: Api) -> None:
        api.computes.down.add("compute-b")

        assert "compute-b" not in _check(api, api.token(TWIN_B, user="alice")).text

    @pytest.mark.parametrize("token", [None, 1, [], {}, "x" * 5000])
    def test_another_type_is_400_and_is_not_repeated(self, api: Api, token: Any) -> None:
        response = _check(api, token)

        assert _code(response) == (400, "bad-request")
        assert "xxx" not in response.text


@pytest.mark.parametrize("api", [ApiSettings(token_authority=(TokenAuthority.NOVA,))], indirect=True)
def test_where_nova_hands_out_consoles_none_is_issued_here_and_it_is_said_where(api: Api) -> None:
    for path, body in (("/v1/consoles", {"instance": WEB.id}), ("/v1/shares", {"instance": WEB.id})):
        answer = api.client.post(path, json=body, headers=MEMBER)
        assert (answer.status_code, answer.get_json()["code"]) == (400, "console-type-unavailable")
        assert "openstack console url show --novnc SERVER" in answer.get_json()["detail"]
