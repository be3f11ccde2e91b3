"""What the API has recorded, and what it refuses when it cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from porthole.api import recording
from tests.unit.api.conftest import (
    ADMIN,
    HOST_ORIGIN,
    MEMBER,
    NO_ONE,
    PASSWORD,
    READER,
    WEB,
    Api,
    ApiSettings,
    basic,
    nova,
)

CONSOLES = "/v1/consoles"
OURS = {"Origin": HOST_ORIGIN, "Sec-Fetch-Site": "same-origin"}


def sign_in(client: FlaskClient, password: str = PASSWORD, user: str = "bob") -> Any:
    return client.post("/v1/session", json={"username": user, "password": password}, headers=OURS)


class TestSignIn:
    def test_at_the_page(self, api: Api) -> None:
        assert sign_in(api.client).status_code == 201
        (line,) = api.audited.lines()
        assert (line["event"], line["who"], line["client"]) == (
            "sign-in", {"user": "bob", "project": "default"}, "127.0.0.1",
        )  # fmt: skip
        assert line["details"] == {"way": "page"}

    def test_with_a_password_in_each_request_it_is_recorded_now_and_then(
        self, api: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for _ in range(3):
            api.client.get("/v1/instances", headers=MEMBER)
        api.client.get("/v1/instances", headers=MEMBER, environ_base={"REMOTE_ADDR": "192.0.2.9"})
        assert [line["client"] for line in api.audited.lines("sign-in")] == ["127.0.0.1", "192.0.2.9"]
        monkeypatch.setattr(recording, "BASIC_AGAIN", 0.0)
        for _ in range(2):
            api.client.get("/v1/instances", headers=ADMIN)
        assert len(api.audited.lines("sign-in")) == 4

    def test_a_refused_one_has_the_users_name_and_no_password(self, api: Api) -> None:
        assert sign_in(api.client, "wrong-password").status_code == 401
        assert api.client.get("/v1/instances", headers=basic("bob", "wrong-password")).status_code == 401
        assert [(line["event"], line["who"]["user"]) for line in api.audited.lines()] == [
            ("sign-in-refused", "bob")
        ] * 2
        assert [line["details"]["way"] for line in api.audited.lines()] == ["page", "http_basic"]
        assert "wrong-password" not in api.audited.path.read_text()

    def test_a_name_that_nobody_has_may_be_a_password_and_is_not_written(self, api: Api) -> None:
        sign_in(api.client, PASSWORD, user="secret typed into the wrong field")
        (line,) = api.audited.lines()
        assert line["who"]["user"] == ""
        assert line["details"]["user_exists"] is False
        assert "secret typed" not in api.audited.path.read_text()

    @pytest.mark.parametrize("api", [ApiSettings(failed_sign_ins=1)], indirect=True)
    def test_one_that_is_locked_out(self, api: Api) -> None:
        for status in (401, 429):
            assert sign_in(api.client, "wrong").status_code == status
        assert [line["reason"] for line in api.audited.lines()] == ["not-authenticated", "locked-out"]

    def test_out(self, api: Api) -> None:
        sign_in(api.client)
        assert api.client.delete("/v1/session", headers=OURS).status_code == 204
        assert api.audited.events() == ["sign-in", "sign-out"]
        assert api.audited.lines()[-1]["who"]["user"] == "bob"
        assert api.client.delete("/v1/session", headers=OURS).status_code == 204
        assert len(api.audited.lines()) == 2, "nobody was signed in"


class TestConsoles:
    def test_a_token_is_on_record_by_its_name(self, api: Api) -> None:
        for path, body, headers in (
            (CONSOLES, {"instance": "web-1", "mode": "view"}, MEMBER),
            (
                f"/v2.1/servers/{WEB.id}/remote-consoles",
                {"remote_console": {"protocol": "vnc", "type": "novnc"}},
                nova("bob", "2.6"),
            ),
        ):
            assert api.client.post(path, json=body, headers=headers).status_code in (200, 201)
        first, second = api.audited.lines("token-issued")
        for line in (first, second):
            assert (line["instance"], line["compute"], line["who"]["user"]) == (WEB.id, WEB.compute, "bob")
            assert len(line["token_id"]) == 32
        assert (first["details"]["mode"], second["details"]["mode"]) == ("view", "full")

    def test_those_that_are_refused(self, api: Api) -> None:
        body = {"remote_console": {"protocol": "vnc", "type": "novnc"}}
        assert api.client.post(CONSOLES, json={"instance": "web-1"}, headers=READER).status_code == 403
        assert api.client.post(CONSOLES, json={"instance": "nowhere"}, headers=MEMBER).status_code == 404
        path = f"/v2.1/servers/{NO_ONE}/remote-consoles"
        assert api.client.post(path, json=body, headers=nova("bob", "2.6")).status_code == 404
        refused = api.audited.lines("console-refused")
        assert [(line["who"]["user"], line["instance"], line["reason"]) for line in refused] == [
            ("carol", "web-1", "forbidden"),
            ("bob", "nowhere", "instance-not-found"),
            ("bob", NO_ONE, "instance-not-found"),
        ]
        assert api.audited.lines("token-issued") == []

    def test_an_administrator_who_looks_a_token_up(self, api: Api) -> None:
        token = api.token()
        answer = api.client.get(f"/v2.1/os-console-auth-tokens/{token}", headers=nova("alice", "2.31"))
        assert answer.status_code == 200
        (line,) = api.audited.lines("admin-act")
        assert (line["who"]["user"], line["details"], line["instance"]) == ("alice", {"of": "bob"}, WEB.id)
        assert token not in api.audited.path.read_text()


class TestWithoutARecord:
    @pytest.fixture(autouse=True)
    def signed_in(self, api: Api) -> None:
        """The password in each request was recorded a moment ago."""
        api.client.get("/v1/instances", headers=MEMBER)
        api.client.get("/v1/instances", headers=nova("alice"))
        api.audited.break_()

    def test_no_token_is_given_out(self, api: Api) -> None:
        answer = api.client.post(CONSOLES, json={"instance": "web-1"}, headers=MEMBER)
        assert (answer.status_code, answer.get_json()["code"]) == (503, "audit-unavailable")
        assert answer.headers["Retry-After"] == "5"
        assert "url" not in answer.get_json()
        assert api.metrics.registry.get_sample_value("porthole_console_tokens_total") == 0

    def test_nor_by_novas_call(self, api: Api) -> None:
        body = {"os-getVNCConsole": {"type": "novnc"}}
        answer = api.client.post(f"/v2.1/servers/{WEB.id}/action", json=body, headers=nova("bob"))
        assert answer.status_code == 503
        assert "cannot record" in answer.get_json()["serviceUnavailable"]["message"]

    def test_no_answer_tells_whether_a_password_is_right(self, api: Api) -> None:
        for password in (PASSWORD, "wrong"):
            answer = sign_in(api.client, password, user="carol")
            assert (answer.status_code, answer.get_json()["code"]) == (503, "audit-unavailable")
            assert "Set-Cookie" not in answer.headers
        assert api.client.get("/v1/instances", headers=READER).status_code == 503

    def test_a_refusal_is_not_told_either(self, api: Api) -> None:
        for instance in ("nowhere", "web-1"):
            assert api.client.post(CONSOLES, json={"instance": instance}, headers=MEMBER).status_code == 503

    def test_the_list_is_still_there(self, api: Api) -> None:
        assert api.client.get("/v1/instances", headers=MEMBER).status_code == 200

    def test_a_revocation_happens_and_is_recorded_later(self, api: Api) -> None:
        claims = api.console_auth.check(api.token())
        assert api.client.delete(f"/v1/tokens/{claims.token_id}", headers=MEMBER).status_code == 204
        api.audited.mend()
        api.audited.recorder.close()
        (line,) = api.audited.lines("token-revoked")
        assert (line["token_id"], line["who"]["user"], line["details"]) == (
            claims.token_id,
            "bob",
            {"of": "bob", "shared": False},
        )


def test_why_the_log_does_not_work_is_for_the_services_log_alone(api: Api, tmp_path: Path) -> None:
    api.audited.break_()
    answer = sign_in(api.client)
    assert str(tmp_path) not in answer.get_data(as_text=True)
