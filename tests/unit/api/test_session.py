"""Signing in with the browser: the cookie, and that no other site's page can use it."""

from __future__ import annotations

from typing import Any

import gevent
import pytest
from flask.testing import FlaskClient
from gevent.event import Event
from werkzeug.test import TestResponse

from porthole.api.limits import SIGN_INS_PER_ADDRESS
from porthole.auth.users import add_user, remove_user
from tests.unit.api.conftest import ADMIN, BASE_URL, HOST_ORIGIN, ORIGIN, PASSWORD, Api, ApiSettings, basic

COOKIE = "porthole_session"
OWN = {"Origin": HOST_ORIGIN}


def _sign_in(client: FlaskClient, user: str = "alice", password: str = PASSWORD, **headers: str) -> TestResponse:
    return client.post("/v1/session", json={"username": user, "password": password}, headers=headers)


def _cookie(client: FlaskClient) -> str:
    cookie = client.get_cookie(COOKIE)
    assert cookie is not None
    return cookie.value


def _code(response: TestResponse) -> tuple[int, str]:
    body = response.get_json()
    assert body["status"] == response.status_code
    assert body["type"] == f"/problems/{body['code']}"
    assert body["detail"].endswith(".")
    assert response.content_type == "application/problem+json"
    return response.status_code, body["code"]


class TestSigningIn:
    """``POST /v1/session``."""

    @pytest.mark.parametrize("scope", [{"project": "web"}, {"user_domain": "d"}, {"project_domain": "d"}])
    def test_a_project_cannot_be_chosen_where_users_have_one(self, client: FlaskClient, scope: dict[str, str]) -> None:
        response = client.post("/v1/session", json={"username": "alice", "password": PASSWORD, **scope})
        assert _code(response) == (400, "bad-request")
        assert client.get_cookie(COOKIE) is None

    def test_a_token_of_keystone_is_nobody(self, client: FlaskClient) -> None:
        response = client.get("/v1/session", headers={"X-Auth-Token": "gAAAAAB"})
        assert _code(response) == (401, "not-authenticated")
        assert client.get("/v1/session", headers={**basic("alice"), "X-Auth-Token": "gAAAAAB"}).status_code == 200

    def test_the_right_password_gives_a_cookie_for_this_site_only(self, client: FlaskClient) -> None:
        response = _sign_in(client)

        assert response.status_code == 201
        assert response.get_json() == {
            "user_id": "alice",
            "user_name": "alice",
            "project_id": "default",
            "project_name": "default",
            "roles": ["admin"],
            "sharing": {"expires_in": 3600, "longest": 86400},
        }
        attributes = {part.strip() for part in response.headers["Set-Cookie"].split(";")[1:]}
        assert {"HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"} <= attributes
        assert not any(part.startswith("Domain") for part in attributes)
        assert response.headers["Cache-Control"] == "no-store"

    def test_the_cookie_is_secure_over_tls_and_behind_it(self, api: Api) -> None:
        assert "; Secure" not in _sign_in(api.client).headers["Set-Cookie"]
        over_tls = api.client.post(
            "/v1/session", json={"username": "alice", "password": PASSWORD}, base_url="https://localhost"
        )
        assert "; Secure" in over_tls.headers["Set-Cookie"]
        api.settings.novncproxy_base_url = BASE_URL.replace("http:", "https:")
        assert "; Secure" in _sign_in(api.client).headers["Set-Cookie"]

    @pytest.mark.parametrize(
        ("user", "password"), [("alice", "not it at all"), ("nobody", PASSWORD), ("alice", "\0"), ("\0", PASSWORD)]
    )
    def test_a_wrong_one_gives_none(self, client: FlaskClient, user: str, password: str) -> None:
        response = _sign_in(client, user, password)

        assert _code(response) == (401, "not-authenticated")
        assert "Set-Cookie" not in response.headers
        assert password not in response.text

    @pytest.mark.parametrize(
        "body",
        [
            {}, [], "x", 1, False, {"username": "alice"}, {"username": None, "password": None},
            {"username": ["alice"], "password": PASSWORD}, {"username": "", "password": PASSWORD},
            {"username": "alice", "password": {"$ne": ""}},
            {"username": "alice", "password": PASSWORD, "role": "admin"},
            {"username": "a" * 256, "password": PASSWORD}, {"username": "alice", "password": "p" * 1025},
            {"username": "ali\ud800ce", "password": PASSWORD}, {"username": "alice", "password": "\udc00"},
        ],
    )  # fmt: skip
    def test_a_body_of_another_form_is_400_or_401_and_repeats_no_password(self, client: FlaskClient, body: Any) -> None:
        response = client.post("/v1/session", json=body)

        assert _code(response) in ((400, "bad-request"), (401, "not-authenticated"))
        assert PASSWORD not in response.text
        assert "pppp" not in response.text

    def test_one_address_has_a_part_of_the_turns(self, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        """So nobody keeps all others from signing in by asking often."""
        go, checked = Event(), []

        def slow(_checker: object, name: bytes, *_more: object) -> bool:
            checked.append(name)
            return go.wait(20)

        def answer(address: str) -> TestResponse:
            login = {"username": "alice", "password": PASSWORD}
            client = api.client.application.test_client()
            return client.post("/v1/session", json=login, environ_base={"REMOTE_ADDR": address})

        monkeypatch.setattr("porthole.auth.passwords.PasswordChecker.matches", slow)
        asking = [gevent.spawn(answer, "192.0.2.1") for _ in range(SIGN_INS_PER_ADDRESS)]
        gevent.sleep(0.1)
        one_more = answer("192.0.2.1")
        assert _code(one_more) == (503, "too-busy")
        assert one_more.headers["Retry-After"] == "5"
        assert len(checked) == SIGN_INS_PER_ADDRESS
        elsewhere = gevent.spawn(answer, "192.0.2.2")
        gevent.sleep(0.1)
        go.set()
        gevent.joinall([*asking, elsewhere], timeout=20, raise_error=True)
        assert [ended.get().status_code for ended in (*asking, elsewhere)] == [201] * (SIGN_INS_PER_ADDRESS + 1)
        assert answer("192.0.2.1").status_code == 201

    @pytest.mark.parametrize("api", [ApiSettings(failed_sign_ins=3)], indirect=True)
    def test_wrong_passwords_count_for_the_name_as_it_is(self, client: FlaskClient) -> None:
        """The user file's names are exact, so nobody is kept out by guesses for a name that is spelt like his."""
        for name in ("ALICE", "alice ", "al\u00efce"):
            assert _sign_in(client, name, "wrong").status_code == 401
        assert _sign_in(client).status_code == 201
        assert _sign_in(client, password="wrong").status_code == 401
        assert _sign_in(client, password="wrong").status_code == 401
        assert client.get("/v1/instances", headers=basic("alice", "wrong")).status_code == 401
        assert _code(_sign_in(client)) == (429, "locked-out"), "programs and the page share a count"
        assert _sign_in(client, "bob").status_code == 201

    def test_an_unknown_key_is_named_with_those_there_are(self, client: FlaskClient) -> None:
        response = client.post("/v1/session", json={"username": "alice", "password": PASSWORD, "role": "admin"})

        assert response.get_json()["detail"] == (
            'There is no key "role" here; this call takes "username", "password", "project", "user_domain" and '
            '"project_domain".'
        )

    @pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 60_000, b'"' + b"a" * 10, b"9" * 60_000])
    def test_what_is_no_json_is_400(self, client: FlaskClient, data: bytes) -> None:
        assert _code(client.post("/v1/session", data=data, content_type="application/json")) == (400, "bad-request")

    @pytest.mark.parametrize(
        "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None]
    )
    def test_a_form_of_another_site_cannot_send_it(self, client: FlaskClient, content_type: str | None) -> None:
        response = client.post(
            "/v1/session", data='{"username": "alice", "password": "' + PASSWORD + '"}', content_type=content_type
        )

        assert _code(response) == (415, "unsupported-media-type")
        assert "Set-Cookie" not in response.headers

    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
        ],
    )
    def test_another_site_cannot_sign_a_visitor_in_as_somebody_else(
        self, client: FlaskClient, headers: dict[str, str]
    ) -> None:
        response = client.post("/v1/session", json={"username": "alice", "password": PASSWORD}, headers=headers)

        assert _code(response) == (403, "cross-site")
        assert "Set-Cookie" not in response.headers

    def test_results_are_counted_without_names(self, api: Api) -> None:
        _sign_in(api.client)
        _sign_in(api.client, password="wrong")

        text = api.metrics.exposition()
        assert b'porthole_sign_ins_total{result="ok"} 1.0' in text
        assert b'porthole_sign_ins_total{result="refused"} 1.0' in text
        assert b"alice" not in text


class TestBeingSignedIn:
    """``GET /v1/session`` and everything else with the cookie."""

    def test_the_cookie_says_who(self, client: FlaskClient) -> None:
        _sign_in(client, "bob")

        said = client.get("/v1/session").get_json()
        assert (said["user_id"], said["project_id"], said["roles"]) == ("bob", "default", ["member"])
        assert client.get("/v1/instances").status_code == 200
        assert client.get("/v2.1/servers").status_code == 200

    def test_without_it_a_program_is_challenged_and_a_page_is_not(self, client: FlaskClient) -> None:
        program = client.get("/v1/session")
        page = client.get("/v1/session", headers={"X-Requested-With": "porthole"})

        assert _code(program) == _code(page) == (401, "not-authenticated")
        assert program.headers["WWW-Authenticate"] == 'Basic realm="Porthole", charset="UTF-8"'
        assert "WWW-Authenticate" not in page.headers

    def test_roles_are_those_of_this_moment(self, api: Api) -> None:
        _sign_in(api.client, "bob")
        api.roles.write_text("admin: bob\n")

        assert api.client.get("/v1/session").get_json()["roles"] == ["admin"]

    def test_a_changed_password_or_a_removed_user_ends_every_sign_in(self, api: Api) -> None:
        for change in (
            lambda: add_user(api.users, api.roles, "bob", "a new password", "member", cost=4),
            lambda: remove_user(api.users, api.roles, "bob"),
        ):
            _sign_in(api.client, "bob", PASSWORD)
            assert api.client.get("/v1/session").status_code in (200, 401)
            change()
            assert _code(api.client.get("/v1/session")) == (401, "not-authenticated")

    def test_it_is_over_after_twelve_hours(self, api: Api) -> None:
        _sign_in(api.client)
        api.clock.ahead = 12 * 3600 - 5
        assert api.client.get("/v1/session").status_code == 200
        api.clock.ahead = 12 * 3600 + 1

        assert _code(api.client.get("/v1/session")) == (401, "not-authenticated")

    def test_a_cookie_changed_at_any_byte_is_refused(self, client: FlaskClient) -> None:
        _sign_in(client)
        cookie = _cookie(client)
        for at in range(len(cookie)):
            client.set_cookie(COOKIE, cookie[:at] + ("A" if cookie[at] != "A" else "B") + cookie[at + 1 :])
            assert client.get("/v1/session").status_code == 401

    @pytest.mark.parametrize("value", ["", "x", "a.b", "%00", "x" * 4000, '"', "é"])
    def test_rubbish_is_refused(self, client: FlaskClient, value: str) -> None:
        client.set_cookie(COOKIE, value)

        assert _code(client.get("/v1/session")) == (401, "not-authenticated")

    def test_a_console_token_is_no_sign_in(self, api: Api) -> None:
        api.client.set_cookie(COOKIE, api.token())

        assert api.client.get("/v1/session").status_code == 401

    def test_a_password_with_the_request_counts_more_than_the_cookie(self, client: FlaskClient) -> None:
        _sign_in(client, "carol")

        assert client.get("/v1/session", headers=ADMIN).get_json()["user_id"] == "alice"
        assert client.get("/v1/session", headers=basic("alice", "wrong")).status_code == 401


class TestSigningOut:
    """``DELETE /v1/session``."""

    def test_no_copy_of_the_cookie_works_any_more(self, client: FlaskClient) -> None:
        _sign_in(client)
        copy = _cookie(client)

        response = client.delete("/v1/session", headers=OWN)

        assert (response.status_code, response.data) == (204, b"")
        assert client.get_cookie(COOKIE) is None
        client.set_cookie(COOKIE, copy)
        assert _code(client.get("/v1/session")) == (401, "not-authenticated")

    def test_other_sign_ins_go_on(self, client: FlaskClient) -> None:
        _sign_in(client)
        other = _cookie(client)
        _sign_in(client)
        client.delete("/v1/session", headers=OWN)
        client.set_cookie(COOKIE, other)

        assert client.get("/v1/session").status_code == 200

    def test_it_is_no_error_without_a_sign_in(self, client: FlaskClient) -> None:
        assert client.delete("/v1/session").status_code == 204
        client.set_cookie(COOKIE, "rubbish")
        assert client.delete("/v1/session", headers=OWN).status_code == 204

    def test_another_site_cannot_sign_a_visitor_out(self, client: FlaskClient) -> None:
        _sign_in(client)
        for headers in ({}, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            assert _code(client.delete("/v1/session", headers=headers)) == (403, "cross-site")

        assert client.get("/v1/session").status_code == 200

    def test_a_page_may_send_an_empty_object_with_it(self, client: FlaskClient) -> None:
        _sign_in(client)

        assert client.delete("/v1/session", json={}, headers=OWN).status_code == 204


class TestCrossSite:
    """With the cookie, what changes something has to come from a page of this service."""

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"Origin": "null"},
            {"Origin": ""},
            {"Origin": "https://evil.example"},
            {"Origin": "http://localhost.evil.example"},
            {"Origin": "http://localhost:81"},
            {"Origin": "https://localhost"},
            {"Origin": "http://localhost@evil.example"},
            {"Origin": "http://user@localhost"},
            {"Origin": "http://[::1"},
            {"Origin": "http://localhost:99999"},
            {"Sec-Fetch-Site": "none"},
            {"Sec-Fetch-Site": "same-site"},
            {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
            {"Referer": "http://localhost/"},
            {"Host": "evil.example", "Origin": "http://localhost"},
        ],
    )
    @pytest.mark.parametrize("path", ["/v1/consoles", "/v2.1/servers/11111111-1111-4111-8111-111111111111/action"])
    def test_other_pages_are_refused(self, api: Api, headers: dict[str, str], path: str) -> None:
        _sign_in(api.client)
        response = api.client.post(path, json={"instance": "web-1"}, headers=headers)

        assert response.status_code == 403 or (response.status_code == 401 and "Host" in headers)
        assert b"porthole_console_tokens_total 0.0" in api.metrics.exposition()

    @pytest.mark.parametrize(
        "headers", [OWN, {"Origin": ORIGIN}, {"Sec-Fetch-Site": "same-origin"},
                    {"Sec-Fetch-Site": "same-origin", "Origin": "https://front.example"}]
    )  # fmt: skip
    def test_our_own_page_is_served(self, client: FlaskClient, headers: dict[str, str]) -> None:
        _sign_in(client)

        assert client.post("/v1/consoles", json={"instance": "web-1"}, headers=headers).status_code == 201

    def test_a_form_is_refused_even_with_our_own_origin(self, client: FlaskClient) -> None:
        _sign_in(client)
        for path in ("/v1/consoles", "/v2.1/servers/11111111-1111-4111-8111-111111111111/action"):
            for content_type in ("text/plain", "application/x-www-form-urlencoded", None):
                response = client.post(path, data='{"instance": "web-1"}', content_type=content_type, headers=OWN)
                assert response.status_code == 415

    def test_a_remembered_password_of_the_browser_is_no_way_around(self, client: FlaskClient) -> None:
        for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            response = client.post("/v1/consoles", json={"instance": "web-1"}, headers=ADMIN | headers)
            assert _code(response) == (403, "cross-site")

    def test_no_answer_lets_another_site_read_it(self, client: FlaskClient) -> None:
        for method in ("GET", "OPTIONS", "POST"):
            response = client.open("/v1/consoles", method=method, headers={"Origin": "https://evil.example"})
            assert not [name for name, _ in response.headers if name.lower().startswith("access-control-")]


class TestAuthorizationHeader:
    """http_basic as RFC 7617 has it, and what is none."""

    @pytest.mark.parametrize(
        "value",
        [
            "", "Basic", "Basic ", "Basic !!!!", "Basic YWxpY2U=", "Basic //79/A==", "Bearer abc",
            "Digest username=alice", "basic", "Basic " + "A" * 8000, "Basic YWxpY2U6\0", "Negotiate x", ",", "=",
        ],
    )  # fmt: skip
    def test_rubbish_is_401_with_a_challenge(self, client: FlaskClient, value: str) -> None:
        response = client.get("/v1/session", headers={"Authorization": value})

        assert _code(response) == (401, "not-authenticated")
        assert response.headers["WWW-Authenticate"].startswith("Basic ")

    def test_names_and_passwords_may_be_of_any_script(self, api: Api) -> None:
        add_user(api.users, api.roles, "zoë", "pässwörter", "member", cost=4)

        assert api.client.get("/v1/session", headers=basic("zoë", "pässwörter")).get_json()["user_id"] == "zoë"

    def test_a_password_may_have_colons(self, api: Api) -> None:
        add_user(api.users, api.roles, "erin", "a:b:c:d:e", "member", cost=4)

        assert api.client.get("/v1/session", headers=basic("erin", "a:b:c:d:e")).status_code == 200

    def test_two_headers_are_not_half_taken(self, client: FlaskClient) -> None:
        headers = [("Authorization", ADMIN["Authorization"]), ("Authorization", basic("bob")["Authorization"])]

        assert client.get("/v1/session", headers=headers).status_code in (200, 401)
