"""``os-console-auth-tokens``: what a token opens, for administrators, from microversion 2.31."""

from __future__ import annotations

from dataclasses import replace

import pytest
from werkzeug.test import TestResponse

from tests.unit.api.conftest import DB, TWIN_B, WEB, Api, ApiSettings, nova


def _look_up(api: Api, token: str, user: str = "alice", version: str = "2.31") -> TestResponse:
    return api.client.get(f"/v2.1/os-console-auth-tokens/{token}", headers=nova(user, version))


def test_an_administrator_sees_instance_and_address(api: Api) -> None:
    response = _look_up(api, api.token())

    assert response.status_code == 200
    assert response.get_json() == {
        "console": {"instance_uuid": WEB.id, "host": "192.0.2.11", "port": 5901, "internal_access_path": None}
    }


def test_looking_does_not_use_the_token_up(api: Api) -> None:
    token = api.token()

    assert [_look_up(api, token).status_code for _ in range(3)] == [200] * 3


@pytest.mark.parametrize("user", ["bob", "carol", "dave"])
def test_nobody_else_learns_even_whether_it_is_good(api: Api, user: str) -> None:
    good, bad = _look_up(api, api.token(user="bob"), user), _look_up(api, "rubbish", user)

    assert good.status_code == bad.status_code == 403
    assert good.get_json() == bad.get_json()
    assert good.get_json()["forbidden"]["message"].startswith(
        "Policy doesn't allow os_compute_api:os-console-auth-tokens"
    )


@pytest.mark.parametrize(
    "api",
    [ApiSettings(rules='"os_compute_api:os-console-auth-tokens": "role:reader and project_id:%(project_id)s"')],
    indirect=True,
)
def test_by_a_rule_those_of_ones_own_projects_instances_and_the_others_are_none(api: Api) -> None:
    token = api.token()
    assert _look_up(api, token, "bob").status_code == 200
    api.computes.instances = [replace(WEB, project_id="another")]
    hidden, absent = _look_up(api, token, "bob"), _look_up(api, "rubbish", "bob")
    assert hidden.status_code == absent.status_code == 404
    assert hidden.text == absent.text


@pytest.mark.parametrize("version", ["2.1", "2.30"])
def test_before_2_31_it_is_400_as_in_nova(api: Api, version: str) -> None:
    response = _look_up(api, api.token(), version=version)

    assert response.status_code == 400
    assert response.get_json()["badRequest"]["code"] == 400


@pytest.mark.parametrize(("version", "status"), [("2.98", 200), ("2.99", 400), ("2.104", 400)])
def test_parameters_are_refused_from_2_99_on(api: Api, version: str, status: int) -> None:
    assert _look_up(api, f"{api.token()}?x=1", version=version).status_code == status
    assert _look_up(api, api.token(), version=version).status_code == 200


@pytest.mark.parametrize("token", ["rubbish", "a.b.c", "%00", "x" * 5000, "..", "é", "%ff", " "])
def test_what_is_no_token_is_404(api: Api, token: str) -> None:
    response = _look_up(api, token)

    assert response.status_code == 404


def test_an_expired_a_revoked_and_an_unknown_one_look_the_same(api: Api) -> None:
    revoked, expired = api.token(), api.token()
    api.records.table.revoke(api.console_auth.check(revoked).token_id, 4002, "revoked")
    answers = [_look_up(api, revoked), _look_up(api, "rubbish")]
    api.clock.ahead = 600
    answers.append(_look_up(api, expired))

    assert {answer.status_code for answer in answers} == {404}
    assert {answer.text for answer in answers} == {'{"itemNotFound": {"code": 404, "message": "Token not found"}}'}


def test_a_token_of_an_instance_without_a_console_is_404(api: Api) -> None:
    assert _look_up(api, api.token(DB)).status_code == 404
    api.computes.headless.add(WEB.id)
    assert _look_up(api, api.token(WEB)).status_code == 404
    api.computes.instances = []
    assert _look_up(api, api.token(WEB)).status_code == 404


def test_a_token_of_one_whose_screen_has_no_address_is_404(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    token = api.token(WEB)
    info = replace(api.computes.connect_info(WEB.id), port=0, path="/run/vnc.sock")
    monkeypatch.setattr(api.computes, "connect_info", lambda *_: info)
    answer = _look_up(api, token)

    assert answer.status_code == 404
    assert "/run" not in answer.text


def test_it_is_503_while_the_compute_does_not_answer(api: Api) -> None:
    api.computes.down.add("compute-b")

    assert _look_up(api, api.token(TWIN_B)).status_code == 503


def test_the_token_is_in_no_metric_and_no_log_key(api: Api) -> None:
    token = api.token()
    _look_up(api, token)

    assert token.encode() not in api.metrics.exposition()
    assert b'route="/v2.1/os-console-auth-tokens/<token>"' in api.metrics.exposition()
