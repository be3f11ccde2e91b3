"""``/v1/shares``: links for people without an account, made, listed and revoked."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from porthole.consoleauth.errors import TokenInvalid, TokenUsed
from porthole.proxy.upgrade import resume_hash
from porthole.sessions.records import Lifetime
from tests.unit.api.conftest import ADMIN, DB, MEMBER, READER, WEB, Api, ApiSettings, basic


def share(api: Api, headers: dict[str, str] = MEMBER, **body: object) -> TestResponse:
    return api.client.post("/v1/shares", json={"instance": "web-1", **body}, headers=headers)


def made(api: Api, headers: dict[str, str] = MEMBER, **body: object) -> dict[str, Any]:
    answer = share(api, headers, **body)
    assert answer.status_code == 201, answer.text
    link: dict[str, Any] = answer.get_json()
    return link


def token_of(link: dict[str, Any]) -> str:
    return str(link["url"]).rpartition("token%3D")[2]


def listed(client: FlaskClient, headers: dict[str, str] = MEMBER) -> list[dict[str, Any]]:
    answer = client.get("/v1/shares", headers=headers)
    assert answer.status_code == 200
    shares: list[dict[str, Any]] = answer.get_json()["shares"]
    return shares


def seconds_left(api: Api, link: dict[str, Any]) -> float:
    return datetime.fromisoformat(link["expires_at"]).astimezone(UTC).timestamp() - api.clock()


class TestMaking:
    def test_it_is_a_view_only_token_with_an_expiry_of_its_own(self, api: Api) -> None:
        link = made(api)
        claims = api.console_auth.check(token_of(link))
        assert (claims.mode, claims.user_id, claims.instance_id) == ("view", "bob", WEB.id)
        assert (link["token_id"], link["uses"]) == (claims.token_id, 1)
        assert link["instance"] == {"id": WEB.id, "name": "web-1"}
        assert 3590 < seconds_left(api, link) <= 3600
        assert 890 < seconds_left(api, made(api, expires_in=900)) <= 900
        api.clock.ahead = 601
        assert api.console_auth.check(token_of(link)) == claims, "after a console's own URL has expired"

    def test_the_mode_cannot_be_chosen(self, api: Api) -> None:
        answer = share(api, mode="full")
        assert answer.status_code == 400
        assert 'There is no key "mode" here' in answer.get_json()["detail"]

    def test_longer_than_allowed_is_refused_with_what_is_allowed(self, api: Api) -> None:
        answer = share(api, expires_in=86401)
        assert (answer.status_code, answer.get_json()["code"]) == (400, "bad-request")
        assert answer.get_json()["detail"].endswith("a share link works for 86400 seconds at most here.")
        assert made(api, expires_in=86400)

    @pytest.mark.parametrize(
        "wrong",
        [{"expires_in": 0}, {"expires_in": -1}, {"expires_in": "900"}, {"expires_in": 1.5}, {"expires_in": 10**30},
         {"uses": 0}, {"uses": 101}, {"uses": True}],
    )  # fmt: skip
    def test_what_is_no_time_and_no_number_of_uses_is_400(self, api: Api, wrong: dict[str, object]) -> None:
        answer = share(api, MEMBER, **wrong)
        assert answer.status_code == 400
        assert f'"{next(iter(wrong))}" is not right' in answer.get_json()["detail"]

    @pytest.mark.parametrize("api", [ApiSettings(share_ttl=7200, share_ttl_max=600)], indirect=True)
    def test_the_usual_time_is_never_longer_than_the_longest(self, api: Api) -> None:
        assert seconds_left(api, made(api)) <= 600
        assert api.client.get("/v1/session", headers=MEMBER).get_json()["sharing"] == {
            "expires_in": 600,
            "longest": 600,
        }

    @pytest.mark.parametrize("api", [ApiSettings(share_ttl_max=0)], indirect=True)
    def test_0_switches_links_off_those_that_exist_too(self, api: Api) -> None:
        answer = share(api)
        assert (answer.status_code, answer.get_json()["code"]) == (403, "forbidden")
        assert answer.get_json()["detail"] == "Share links are switched off here ([consoleauth] share_ttl_max is 0)."
        assert api.client.get("/v1/session", headers=ADMIN).get_json()["sharing"] is None
        issued = api.console_auth.authorize(
            instance_id=WEB.id, console_type="novnc", user_id="bob", project_id="default", mode="view", share_uses=1
        )
        check = api.client.post("/v1/consoles/check", json={"token": issued.token})
        assert (check.status_code, check.get_json()["code"]) == (403, "token-invalid")

    @pytest.mark.parametrize("api", [ApiSettings(shares_per_user=2)], indirect=True)
    def test_a_user_has_so_many_at_once_until_one_is_revoked(self, api: Api) -> None:
        first, _ = made(api), made(api)
        answer = share(api)
        assert (answer.status_code, answer.get_json()["code"]) == (429, "share-limit")
        assert int(answer.headers["Retry-After"]) > 0
        assert "You have 2 share links that work" in answer.get_json()["detail"]
        made(api, ADMIN)
        assert api.client.delete(f"/v1/tokens/{first['token_id']}", headers=MEMBER).status_code == 204
        made(api)

    def test_readers_and_strangers_make_none(self, api: Api) -> None:
        refused = [share(api, READER), share(api, basic("dave")), api.client.post("/v1/shares", json={})]
        assert [answer.status_code for answer in refused] == [403, 403, 401]
        assert api.client.get("/v1/session", headers=READER).get_json()["sharing"] is None
        assert [line["who"]["user"] for line in api.audited.lines("console-refused")] == ["carol", "dave"]

    @pytest.mark.parametrize("api", [ApiSettings(rules='"porthole:share": "rule:context_is_admin"')], indirect=True)
    def test_who_may_is_a_rule_of_its_own(self, api: Api) -> None:
        answer = share(api)
        assert answer.status_code == 403
        assert "porthole:share" in answer.get_json()["detail"]
        assert api.client.post("/v1/consoles", json={"instance": "web-1"}, headers=MEMBER).status_code == 201
        assert made(api, ADMIN)

    @pytest.mark.parametrize("api", [ApiSettings(rules='"os_compute_api:os-remote-consoles": "!"')], indirect=True)
    def test_what_may_not_be_opened_is_not_shared(self, api: Api) -> None:
        assert share(api, ADMIN).status_code == 403

    def test_another_projects_instance_is_none(self, api: Api) -> None:
        api.computes.instances = [replace(WEB, project_id="another")]
        assert share(api).status_code == 404
        assert made(api, ADMIN)

    def test_nor_can_one_that_becomes_anothers_in_between(self, api: Api) -> None:
        def taken() -> None:
            api.computes.instances = [replace(WEB, project_id="another")]

        api.computes.before_the_connect = taken
        assert share(api).status_code == 404
        assert listed(api.client, ADMIN) == []

    def test_a_guest_that_is_off_has_nothing_to_show(self, api: Api) -> None:
        assert share(api, instance=DB.id).status_code == 409


class TestListing:
    def test_ones_own_and_everybodys_for_administrators(self, api: Api) -> None:
        bobs, alices = made(api, uses=3, expires_in=60), made(api, ADMIN)
        (mine,) = listed(api.client)
        assert mine == {
            "token_id": bobs["token_id"], "instance_id": WEB.id, "user_id": "bob", "project_id": "default",
            "expires_at": bobs["expires_at"], "uses": 3, "used": 0,
        }  # fmt: skip
        assert [one["token_id"] for one in listed(api.client, ADMIN)] == [bobs["token_id"], alices["token_id"]]
        assert listed(api.client, READER) == []

    def test_no_list_has_a_link(self, api: Api) -> None:
        token = token_of(made(api))
        assert token not in api.client.get("/v1/shares", headers=ADMIN).text
        assert token not in api.client.get("/v1/sessions", headers=ADMIN).text

    def test_it_is_there_until_it_expires_or_is_revoked(self, api: Api) -> None:
        _, long = made(api, expires_in=60), made(api)
        api.clock.ahead = 61
        assert [one["token_id"] for one in listed(api.client)] == [long["token_id"]]
        assert api.client.delete(f"/v1/tokens/{long['token_id']}", headers=MEMBER).status_code == 204
        assert listed(api.client) == []

    def test_a_consoles_own_url_is_no_share(self, api: Api) -> None:
        api.token()
        assert listed(api.client, ADMIN) == []

    @pytest.mark.parametrize("api", [ApiSettings(rules='"porthole:sessions:list:get_all_tenants": "!"')], indirect=True)
    def test_those_of_other_projects_take_the_rule_for_that(self, api: Api) -> None:
        claims = api.console_auth.check(token_of(made(api)))
        api.store.add_token(**asdict(replace(claims, token_id="0" * 32, project_id="another")))
        assert [one["token_id"] for one in listed(api.client, ADMIN)] == [claims.token_id]


class TestUses:
    def check_that_a_visitor_is_sent_to_the_sharer(self, api: Api, token: str, why: str) -> None:
        """And is not offered a console of the instance, for which it would need an account."""
        problem = api.client.post("/v1/consoles/check", json={"token": token}).get_json()
        assert problem["detail"] == f"{why} Ask whoever sent it for another one."
        assert "instance_id" not in problem

    def test_one_that_has_expired(self, api: Api) -> None:
        token = token_of(made(api))
        api.clock.ahead = 3601
        self.check_that_a_visitor_is_sent_to_the_sharer(api, token, "This link has expired.")

    def open(self, api: Api, token: str) -> str:
        claims = api.console_auth.check(token)
        api.records.check(claims, "192.0.2.9")
        return api.records.open(claims, "192.0.2.9", None).session_id

    @pytest.mark.parametrize("api", [ApiSettings(token_uses=0), ApiSettings(token_uses=1)], indirect=True)
    @pytest.mark.parametrize("uses", [1, 3])
    def test_it_opens_as_many_sessions_as_it_says_whatever_consoles_do(self, api: Api, uses: int) -> None:
        token = token_of(made(api, uses=uses))
        for _ in range(uses):
            self.open(api, token)
        with pytest.raises(TokenUsed):
            self.open(api, token)
        self.check_that_a_visitor_is_sent_to_the_sharer(api, token, "This link has been used already.")
        assert listed(api.client)[0]["used"] == uses, "and it is still listed, for its sessions go on"

    def test_a_signed_token_that_claims_more_uses_than_were_recorded_is_none(self, api: Api) -> None:
        claims = replace(api.console_auth.check(token_of(made(api))), share_uses=100)
        with pytest.raises(TokenInvalid):
            api.console_auth.check_claims(claims)
        with pytest.raises(TokenInvalid):
            api.records.open(claims, "192.0.2.9", None)

    def test_its_session_says_where_it_came_from(self, api: Api) -> None:
        session_id = self.open(api, token_of(made(api)))
        session = api.client.get(f"/v1/sessions/{session_id}", headers=MEMBER).get_json()
        assert (session["shared"], session["mode"], session["user_id"]) == (True, "view", "bob")

    @pytest.mark.parametrize(
        "api", [ApiSettings(), ApiSettings(lifetime=Lifetime(with_token=True, token_ttl=600))], indirect=True
    )
    def test_its_session_ends_with_it_and_nobody_renews_that(self, api: Api) -> None:
        link = made(api, expires_in=60)
        session_id = self.open(api, token_of(link))
        assert (
            api.client.get(f"/v1/sessions/{session_id}", headers=MEMBER).get_json()["expires_at"] == link["expires_at"]
        )
        for caller in (MEMBER, ADMIN):
            answer = api.client.post(f"/v1/sessions/{session_id}/renew", json={}, headers=caller)
            assert answer.status_code == 409
            assert answer.get_json()["detail"].startswith("This session came from a share link")
        assert api.client.post(f"/v1/sessions/{session_id}/renew", json={}).status_code == 401
        api.clock.ahead = 61
        assert api.client.get(f"/v1/sessions/{session_id}", headers=MEMBER).status_code == 404

    @pytest.mark.parametrize("api", [ApiSettings(lifetime=Lifetime(with_token=True))], indirect=True)
    def test_its_page_is_told_that_it_cannot(self, api: Api) -> None:
        token, secret = token_of(made(api)), "s" * 43
        api.records.open(api.console_auth.check(token), "192.0.2.9", resume_hash(secret))
        said = api.client.post("/v1/consoles/check", json={"token": token, "resume": secret}).get_json()
        assert (said["shared"], said["session"]["renewable"]) == (True, False)

    def test_whoever_shared_it_ends_it_and_is_called_that(self, api: Api) -> None:
        session_id = self.open(api, token_of(made(api)))
        assert api.client.delete(f"/v1/sessions/{session_id}", headers=MEMBER).status_code == 204
        (line,) = api.audited.lines("session-killed")
        assert line["reason"] == "The person who shared this console ended this session."


class TestRecords:
    def test_who_shared_what_until_when_and_with_how_many(self, api: Api) -> None:
        link = made(api, uses=5)
        (line,) = api.audited.lines("console-shared")
        assert (line["who"]["user"], line["instance"], line["token_id"]) == ("bob", WEB.id, link["token_id"])
        expires = api.console_auth.check(token_of(link)).expires
        assert line["details"] == {"mode": "view", "expires": expires, "uses": 5}
        assert api.audited.lines("token-issued") == []

    def test_and_that_it_was_revoked(self, api: Api) -> None:
        link = made(api)
        assert api.client.delete(f"/v1/tokens/{link['token_id']}", headers=ADMIN).status_code == 204
        (line,) = api.audited.lines("token-revoked")
        assert (line["who"]["user"], line["instance"]) == ("alice", WEB.id)
        assert line["details"] == {"of": "bob", "shared": True}

    def test_one_that_cannot_be_recorded_is_not_handed_out(self, api: Api) -> None:
        made(api)
        api.audited.break_()
        assert share(api).status_code == 503
        api.audited.mend()
