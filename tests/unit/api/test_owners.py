"""Whose an instance or a session is: what others see of it, which is nothing."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.unit.api.conftest import (
    ADMIN,
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
    nova,
)

HIDDEN = replace(WEB, id="55555555-5555-4555-8555-555555555555", name="theirs", project_id="another", user_id="eve")
NOBODYS = replace(HIDDEN, id="66666666-6666-4666-8666-666666666666", name="nobodys", project_id="", user_id="")
NO_NAME = "no-one"
VNC = {"remote_console": {"protocol": "vnc", "type": "novnc"}}
OLD_VNC = {"os-getVNCConsole": {"type": "novnc"}}
SHOWS_ALL = '"os_compute_api:servers:show": "role:reader"\n'


@pytest.fixture
def api(api: Api) -> Api:
    """With an instance of another project, and one that is nobody's."""
    api.computes.instances += [HIDDEN, NOBODYS]
    return api


@pytest.fixture
def client(api: Api) -> FlaskClient:
    return api.client


def ids(client: FlaskClient, path: str, headers: dict[str, str]) -> set[str]:
    body = client.get(path, headers=headers).get_json()
    return {one["id"] for one in body.get("instances") or body["servers"]}


class TestLists:
    @pytest.mark.parametrize("path", ["/v1/instances", "/v2.1/servers", "/v2.1/servers/detail"])
    def test_they_show_what_is_of_the_project_and_administrators_everything(
        self, client: FlaskClient, path: str
    ) -> None:
        own = {WEB.id, DB.id, TWIN_A.id, TWIN_B.id}
        assert ids(client, path, MEMBER) == ids(client, path, READER) == own
        assert ids(client, path, ADMIN) == own | {HIDDEN.id, NOBODYS.id}

    @pytest.mark.parametrize("path", ["/v2.1/servers", "/v2.1/servers/detail"])
    def test_all_projects_are_for_whom_novas_rule_allows_it_and_others_are_forbidden(
        self, client: FlaskClient, path: str
    ) -> None:
        for word in ("1", "True", "yes", ""):
            assert HIDDEN.id in ids(client, f"{path}?all_tenants={word}", ADMIN)
            refused = client.get(f"{path}?all_tenants={word}", headers=MEMBER)
            assert refused.status_code == 403
            assert ":get_all_tenants" in refused.get_json()["forbidden"]["message"]

    def test_all_tenants_0_is_the_callers_own_project_for_administrators_too(self, client: FlaskClient) -> None:
        own = {WEB.id, DB.id, TWIN_A.id, TWIN_B.id}
        assert ids(client, "/v2.1/servers?all_tenants=0", ADMIN) == ids(client, "/v2.1/servers", MEMBER) == own

    def test_all_tenants_is_true_or_false(self, client: FlaskClient) -> None:
        refused = client.get("/v2.1/servers?all_tenants=maybe", headers=MEMBER)
        assert refused.status_code == 400
        assert "all_tenants. Value: maybe" in refused.get_json()["badRequest"]["message"]

    @pytest.mark.parametrize(
        "api",
        [ApiSettings(rules=f'{SHOWS_ALL}"os_compute_api:servers:index:get_all_tenants": "!"')],
        indirect=True,
    )
    def test_whoever_may_see_others_and_not_list_them_finds_them_by_their_id_alone(self, client: FlaskClient) -> None:
        for path in ("/v1/instances", "/v2.1/servers"):
            assert HIDDEN.id not in ids(client, path, MEMBER) | ids(client, path, ADMIN)
        assert HIDDEN.id in ids(client, "/v2.1/servers/detail", ADMIN), "which has a rule of its own"
        assert client.get(f"/v2.1/servers/{HIDDEN.id}", headers=MEMBER).status_code == 200

    @pytest.mark.parametrize(
        "api",
        [ApiSettings(rules=f'{SHOWS_ALL}"os_compute_api:servers:index:get_all_tenants": "role:member"')],
        indirect=True,
    )
    def test_by_rules_members_list_everybodys(self, client: FlaskClient) -> None:
        for path in ("/v1/instances", "/v2.1/servers", "/v2.1/servers?all_tenants=1"):
            assert {HIDDEN.id, NOBODYS.id} < ids(client, path, MEMBER)

    def test_a_marker_that_may_not_be_seen_is_one_that_does_not_exist(self, client: FlaskClient) -> None:
        answers = [client.get(f"/v2.1/servers?marker={one}", headers=MEMBER) for one in (HIDDEN.id, NO_ONE)]
        assert [answer.status_code for answer in answers] == [400, 400]
        assert answers[0].text.replace(HIDDEN.id, NO_ONE) == answers[1].text

    def test_filters_find_nothing_of_others(self, client: FlaskClient) -> None:
        assert client.get("/v2.1/servers?name=theirs", headers=MEMBER).get_json() == {"servers": []}


class TestNovasView:
    def test_it_has_the_instances_own_project_and_user(self, client: FlaskClient) -> None:
        server = client.get(f"/v2.1/servers/{HIDDEN.id}", headers=ADMIN).get_json()["server"]
        assert (server["tenant_id"], server["user_id"]) == ("another", "eve")
        listed = client.get("/v2.1/servers/detail?name=nobodys", headers=ADMIN).get_json()["servers"]
        assert [(server["tenant_id"], server["user_id"]) for server in listed] == [("", "")]

    def test_two_projects_cannot_compare_their_hosts(self, client: FlaskClient) -> None:
        servers = {s["id"]: s for s in client.get("/v2.1/servers/detail", headers=ADMIN).get_json()["servers"]}
        assert servers[HIDDEN.id]["OS-EXT-SRV-ATTR:host"] == servers[WEB.id]["OS-EXT-SRV-ATTR:host"]
        assert servers[HIDDEN.id]["hostId"] != servers[WEB.id]["hostId"]


def v1_console(api: Api, one: str) -> TestResponse:
    return api.client.post("/v1/consoles", json={"instance": one}, headers=MEMBER)


def server(api: Api, one: str) -> TestResponse:
    return api.client.get(f"/v2.1/servers/{one}", headers=MEMBER)


def remote_console(api: Api, one: str) -> TestResponse:
    return api.client.post(f"/v2.1/servers/{one}/remote-consoles", json=VNC, headers=nova("bob", "2.6"))


def action(api: Api, one: str) -> TestResponse:
    return api.client.post(f"/v2.1/servers/{one}/action", json=OLD_VNC, headers=MEMBER)


def check(api: Api, one: str) -> TestResponse:
    """With a token from when the instance was there, and was its user's."""
    return api.client.post("/v1/consoles/check", json={"token": api.token(replace(WEB, id=one))})


ASKED = [
    *((ask, hidden, NO_ONE) for ask in (v1_console, server, remote_console, action, check)
      for hidden in (HIDDEN.id, NOBODYS.id)),
    *((ask, hidden, NO_NAME) for ask in (v1_console, server, remote_console) for hidden in ("theirs", "nobodys")),
]  # fmt: skip


class TestNoOracle:
    """Nothing tells an instance that may not be seen from one that does not exist."""

    def answer(self, api: Api, ask: Any, one: str) -> tuple[int, str, list[tuple[str, str]], int]:
        before = api.computes.look_ups
        answer = ask(api, one)
        changing = ("X-OpenStack-Request-ID", "X-Compute-Request-ID", "Content-Length")
        headers = [(name, value) for name, value in answer.headers if name not in changing]
        return answer.status_code, answer.text.replace(one, "IT"), headers, api.computes.look_ups - before

    @pytest.mark.parametrize("state", list(type(WEB.state)))
    @pytest.mark.parametrize(("ask", "hidden", "absent"), ASKED)
    def test_same_status_body_headers_and_look_ups(
        self, api: Api, ask: Any, hidden: str, absent: str, state: Any
    ) -> None:
        api.computes.instances = [replace(one, state=state) for one in api.computes.instances]
        api.computes.headless.add(HIDDEN.id)
        said = self.answer(api, ask, hidden)
        assert said == self.answer(api, ask, absent)
        assert said[0] == 404

    @pytest.mark.parametrize(("ask", "hidden", "absent"), ASKED)
    def test_while_a_compute_is_down_neither_is_denied(self, api: Api, ask: Any, hidden: str, absent: str) -> None:
        api.computes.down.add("compute-b")
        said = self.answer(api, ask, hidden)
        assert said == self.answer(api, ask, absent)
        # Nova's calls take no names, and nobody is asked for one.
        assert said[0] == (404 if ask in (server, remote_console) and absent == NO_NAME else 503)

    def test_a_name_is_not_ambiguous_for_one_of_others(self, api: Api) -> None:
        api.computes.instances = [WEB, replace(HIDDEN, name="web-1")]
        answer = v1_console(api, "web-1")
        assert answer.get_json()["instance"]["id"] == WEB.id
        both = api.client.post("/v1/consoles", json={"instance": "web-1"}, headers=ADMIN)
        assert both.status_code == 409
        api.computes.instances = [WEB, replace(TWIN_A, name="web-1"), replace(HIDDEN, name="web-1")]
        assert HIDDEN.id not in v1_console(api, "web-1").text

    def test_the_refusals_are_recorded_alike(self, api: Api) -> None:
        for one in (HIDDEN.id, NO_ONE):
            v1_console(api, one)
            check(api, one)
        lines = [
            {key: line[key] for key in ("event", "who", "reason")}
            for line in api.audited.lines()
            if line["event"].endswith("refused")
        ]
        assert [line["event"] for line in lines] == ["console-refused", "connect-refused"] * 2
        assert lines[:2] == lines[2:]


@pytest.mark.parametrize("ask", [v1_console, remote_console])
def test_an_instance_that_is_anothers_when_libvirt_is_asked_is_not_there(api: Api, ask: Any) -> None:
    """It was found in memory, which an event is about to change."""

    def give_away() -> None:
        api.computes.instances = [replace(WEB, project_id="another")]

    api.computes.before_the_connect = give_away
    assert ask(api, WEB.id).status_code == 404
    assert api.metrics.registry.get_sample_value("porthole_console_tokens_total") == 0


OWN_ONLY = ApiSettings(rules='"os_compute_api:os-remote-consoles": "rule:project_member_api and user_id:%(user_id)s"')


@pytest.mark.parametrize("api", [OWN_ONLY], indirect=True)
def test_a_rule_of_ones_own_counts_for_both_apis_and_for_tokens(api: Api) -> None:
    api.computes.instances = [replace(WEB, user_id="bob"), replace(TWIN_B, user_id="carol")]
    assert v1_console(api, WEB.id).status_code == 201
    assert remote_console(api, WEB.id).status_code == 200
    for ask in (v1_console, remote_console, action, check):
        assert ask(api, TWIN_B.id).status_code == 403, ask
    assert server(api, TWIN_B.id).status_code == 200
    api.computes.before_the_connect = lambda: api.computes.instances.__setitem__(0, replace(WEB, user_id="carol"))
    assert v1_console(api, WEB.id).status_code == 403, "whose it is at the look-up counts"


# --- sessions and tokens


def session(api: Api, user: str = "bob") -> tuple[str, str]:
    """A session on record: its id, and its token's."""
    claims = api.console_auth.verify(api.token(user=user))
    return api.records.open(claims, "192.0.2.9", None).session_id, claims.token_id


def sessions(api: Api, user: str) -> list[str]:
    listed = api.client.get("/v1/sessions", headers=basic(user))
    assert listed.status_code == 200, listed.text
    return [one["id"] for one in listed.get_json()["sessions"]]


class TestSessions:
    def test_everybody_sees_his_own_and_administrators_all(self, api: Api) -> None:
        (bobs, _), (carols, _), (alices, _) = (session(api, user) for user in ("bob", "carol", "alice"))
        assert (sessions(api, "bob"), sessions(api, "carol")) == ([bobs], [carols])
        assert set(sessions(api, "alice")) == {bobs, carols, alices}

    @pytest.mark.parametrize("method", ["GET", "DELETE"])
    def test_somebody_elses_is_as_one_that_does_not_exist(self, api: Api, method: str) -> None:
        session_id, token_id = session(api, "bob")
        for path, absent in ((f"/v1/sessions/{session_id}", f"/v1/sessions/{'0' * 32}"),
                             (f"/v1/tokens/{token_id}", f"/v1/tokens/{'0' * 32}")):  # fmt: skip
            if method == "GET" and "tokens" in path:
                continue
            answers = [api.client.open(one, method=method, headers=READER) for one in (path, absent)]
            assert [answer.status_code for answer in answers] == [404, 404]
            assert answers[0].data == answers[1].data
        assert sessions(api, "bob") == [session_id]

    def test_its_user_and_an_administrator_end_it(self, api: Api) -> None:
        for caller in (MEMBER, ADMIN):
            session_id, token_id = session(api, "bob")
            assert api.client.delete(f"/v1/sessions/{session_id}", headers=caller).status_code == 204
            assert api.client.delete(f"/v1/tokens/{token_id}", headers=caller).status_code == 204
            assert sessions(api, "bob") == []
        assert [line["reason"] for line in api.audited.lines("session-killed")] == [
            "The user of this session ended it from elsewhere.",
            "An administrator ended this session.",
        ]

    def test_without_a_role_one_is_forbidden_and_not_missing(self, api: Api) -> None:
        session_id, token_id = session(api, "bob")
        for method, path in (("GET", "sessions"), ("GET", f"sessions/{session_id}"), ("DELETE", f"sessions/{'0' * 32}"),
                             ("DELETE", f"sessions/{session_id}"), ("DELETE", f"tokens/{token_id}")):  # fmt: skip
            assert api.client.open(f"/v1/{path}", method=method, headers=basic("dave")).status_code == 403

    def test_a_renewal_needs_the_instance_to_be_ones_own_still(self, api: Api) -> None:
        session_id, _ = session(api, "bob")
        api.computes.instances = [replace(WEB, project_id="another")]
        assert api.client.post(f"/v1/sessions/{session_id}/renew", json={}, headers=MEMBER).status_code == 404

    @pytest.mark.parametrize(
        "api", [ApiSettings(rules='"porthole:sessions:show": "rule:project_reader_api"')], indirect=True
    )
    def test_by_a_rule_one_may_see_it_and_not_end_it(self, api: Api) -> None:
        session_id, token_id = session(api, "bob")
        assert sessions(api, "carol") == [session_id]
        assert api.client.get(f"/v1/sessions/{session_id}", headers=READER).status_code == 200
        assert api.client.delete(f"/v1/sessions/{session_id}", headers=READER).status_code == 403
        assert api.client.delete(f"/v1/tokens/{token_id}", headers=READER).status_code == 404
        assert sessions(api, "bob") == [session_id]

    @pytest.mark.parametrize(
        "api",
        [ApiSettings(rules='"porthole:sessions:show": "role:reader"\n"porthole:sessions:delete": "role:reader"')],
        indirect=True,
    )
    def test_by_rules_another_user_ends_it_and_is_not_called_an_administrator(self, api: Api) -> None:
        session_id, _ = session(api, "bob")
        assert api.client.delete(f"/v1/sessions/{session_id}", headers=READER).status_code == 204
        (line,) = api.audited.lines("session-killed")
        assert line["reason"] == "Another user, who may do so, ended this session."

    @pytest.mark.parametrize("api", [ApiSettings(rules='"porthole:sessions:list:get_all_tenants": "!"')], indirect=True)
    def test_sessions_of_other_projects_take_a_rule_of_their_own(self, api: Api) -> None:
        claims = replace(api.console_auth.verify(api.token()), project_id="another", token_id="t" * 32)
        api.store.add_token(**asdict(claims))
        others = api.records.open(claims, "192.0.2.9", None).session_id
        mine, _ = session(api, "bob")
        assert sessions(api, "alice") == [mine]
        assert api.client.get(f"/v1/sessions/{others}", headers=ADMIN).status_code == 200

    @pytest.mark.parametrize("api", [ApiSettings(rules='"porthole:tokens:delete": "!"')], indirect=True)
    def test_by_a_rule_nobody_revokes_tokens(self, api: Api) -> None:
        _, token_id = session(api, "bob")
        assert api.client.delete(f"/v1/tokens/{token_id}", headers=ADMIN).status_code == 403
