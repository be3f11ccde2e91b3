"""Every error has one place in the table, and none says more than it should."""

from __future__ import annotations

import inspect
from types import ModuleType

import pytest
from flask.testing import FlaskClient
from structlog.testing import capture_logs

import porthole.auth.errors
import porthole.compute.errors
import porthole.consoleauth.errors
import porthole.proxy.errors
from porthole.api.errors import TABLE, kind_of
from porthole.audit import AuditUnavailable
from porthole.auth.errors import AuthError, Forbidden, NotAuthenticated, TooBusy
from porthole.compute.errors import ComputeError, ComputeUnavailable, InstanceNotFound, InstanceNotRunning
from porthole.compute.model import PowerState
from porthole.consoleauth.errors import TokenError, TokenExpired, TokenInvalid, TokenMissing
from porthole.proxy.errors import (
    BadUpgrade,
    OriginRefused,
    ServiceStopping,
    TargetInsecure,
    TargetLocked,
    TargetUnreachable,
    TooManySessions,
    UpgradeRefused,
)
from porthole.proxy.handler import REFUSAL
from porthole.state.sqlite import StoreUnavailable
from tests.unit.api.conftest import ADMIN, MEMBER, NO_ONE, WEB, Api, nova

BASES = {
    porthole.auth.errors: AuthError,
    porthole.compute.errors: ComputeError,
    porthole.consoleauth.errors: TokenError,
    porthole.proxy.errors: UpgradeRefused,
}
REFUSALS: list[tuple[Exception, int, str]] = [
    (TokenMissing(), 403, "token-missing"),
    (TokenExpired("0a7a9a6e-3a5e-4a52-b1c9-2a7f0d3f4d11"), 403, "token-expired"),
    (TokenInvalid(), 403, "token-invalid"),
    (OriginRefused(), 403, "origin-refused"),
    (Forbidden("os_compute_api:os-remote-consoles"), 403, "forbidden"),
    (BadUpgrade("The key is missing."), 400, "bad-request"),
    (BadUpgrade("Version 8.", wrong_version=True), 426, "bad-request"),
    (InstanceNotFound(NO_ONE), 404, "instance-not-found"),
    (InstanceNotRunning(WEB.id, PowerState.SHUTDOWN), 409, "instance-not-running"),
    (ComputeUnavailable("compute-a", "timed out"), 503, "compute-unavailable"),
    (TargetUnreachable("192.0.2.11:5901 refused the connection"), 503, "compute-unavailable"),
    (TargetInsecure("192.0.2.11 port 5901 is without TLS"), 502, "screen-not-secure"),
    (TargetLocked("192.0.2.11 port 5901 does not accept it"), 502, "screen-locked"),
    (TooManySessions(), 503, "too-many-sessions"),
    (ServiceStopping(), 503, "service-stopping"),
    (StoreUnavailable("disk full at /var/lib/x"), 503, "store-unavailable"),
    (AuditUnavailable("disk full at /var/lib/x"), 503, "audit-unavailable"),
]


@pytest.mark.parametrize(("module", "base"), list(BASES.items()), ids=lambda value: value.__name__)
def test_the_table_has_every_error_of_the_packages(module: ModuleType, base: type[Exception]) -> None:
    errors = [e for _, e in inspect.getmembers(module, inspect.isclass) if issubclass(e, base) and e is not base]

    assert errors
    assert [error for error in errors if error not in TABLE] == []


def test_codes_are_slugs_and_each_has_one_status() -> None:
    statuses: dict[str, set[int]] = {}
    for kind in TABLE.values():
        statuses.setdefault(kind.code, set()).add(kind.status)
        assert kind.code.replace("-", "").isalpha()
        assert (kind.retry_after > 0) == (kind.status in (429, 503))

    assert all(len(each) == 1 for each in statuses.values())


def test_a_subclass_is_what_its_base_is() -> None:
    class Special(TokenInvalid):
        pass

    assert kind_of(Special()) is TABLE[TokenInvalid]
    assert kind_of(ValueError()) is None


class TestRefusedUpgrades:
    """A refused WebSocket upgrade is an ordinary HTTP answer, and the connection ends."""

    @pytest.mark.parametrize(("refusal", "status", "code"), REFUSALS, ids=lambda value: getattr(value, "code", None))
    @pytest.mark.parametrize("path", ["/", "/vnc.html", "/vnc_lite.html", "/vnc_auto.html", "/websockify"])
    def test_it_is_a_problem_for_programs(
        self, client: FlaskClient, refusal: Exception, status: int, code: str, path: str
    ) -> None:
        response = client.get(f"{path}?token=secret", environ_overrides={REFUSAL: refusal})

        body = response.get_json()
        assert response.status_code == body["status"] == status
        assert body["code"] == code
        assert "close" in response.headers["Connection"]
        assert response.headers["Cache-Control"] == "no-store"
        assert (status == 503) == ("Retry-After" in response.headers)
        for secret in ("secret", "compute-a", "192.0.2", "/var/lib"):
            assert secret not in response.text

    def test_it_is_a_short_page_for_a_browser(self, client: FlaskClient) -> None:
        refusal = BadUpgrade("<script>alert(1)</script> & so on.")
        response = client.get(
            "/",
            environ_overrides={REFUSAL: refusal},
            headers={"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"},
        )

        assert response.content_type == "text/html; charset=utf-8"
        assert "<h1>Not a WebSocket upgrade</h1>" in response.text
        assert "<script>" not in response.text
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]

    def test_another_protocol_version_is_told_ours(self, client: FlaskClient) -> None:
        response = client.get("/", environ_overrides={REFUSAL: BadUpgrade("Version 8.", wrong_version=True)})

        assert response.headers["Sec-WebSocket-Version"] == "13"

    def test_an_error_of_our_own_at_the_gate_is_500_and_closes_too(self, client: FlaskClient) -> None:
        response = client.get("/", environ_overrides={REFUSAL: RuntimeError("token=secret")})

        assert response.status_code == 500
        assert response.headers["Connection"] == "close"
        assert "secret" not in response.text

    def test_a_client_cannot_make_one_up(self, client: FlaskClient) -> None:
        response = client.get("/healthz", headers={"Porthole-Refusal": "x", "porthole.refusal": "x"})

        assert response.status_code == 200

    def test_refusals_are_counted_by_code(self, api: Api) -> None:
        api.client.get("/", environ_overrides={REFUSAL: OriginRefused()})

        assert b'porthole_refusals_total{code="origin-refused"} 1.0' in api.metrics.exposition()


class TestUnexpectedErrors:
    """An exception nobody thought of."""

    @pytest.mark.parametrize("path", ["/v1/instances", "/v2.1/servers"])
    def test_it_is_500_with_an_id_that_is_in_the_log_and_nothing_else(self, api: Api, path: str) -> None:
        api.computes.broken = RuntimeError("inner words")
        with capture_logs() as lines:
            response = api.client.get(f"{path}?token=secret-query", headers=ADMIN)

        assert response.status_code == 500
        assert "inner words" not in response.text
        assert "Traceback" not in response.text
        (line,) = [line for line in lines if line["event"] == "unexpected error"]
        assert line["error_id"] in response.text
        assert line["exc_info"] is api.computes.broken
        assert line["route"] == path
        assert "secret-query" not in str(lines)

    def test_the_path_is_not_logged_because_it_may_be_a_token(self, api: Api) -> None:
        token = api.token()
        api.computes.broken = RuntimeError("inner words")
        with capture_logs() as lines:
            response = api.client.get(f"/v2.1/os-console-auth-tokens/{token}", headers=nova("alice", "2.31"))

        assert response.status_code == 500
        assert response.get_json()["computeFault"]["code"] == 500
        assert token not in str(lines)
        assert token not in response.text

    def test_the_body_is_not_logged_because_it_may_hold_a_password(self, api: Api) -> None:
        api.computes.broken = RuntimeError("inner words")
        with capture_logs() as lines:
            api.client.post("/v1/consoles", json={"instance": "secret-body"}, headers=MEMBER)

        assert lines
        assert "secret-body" not in str(lines)


class TestUnknownAddresses:
    """What is not there."""

    @pytest.mark.parametrize(
        "path",
        [
            "/nothing", "/v1", "/v1/", "/v1/nothing", "/docs", "/redoc", "/static/x", "/websockify",
            "//evil.example/%2F..", "///evil.example", "/%5cevil.example", "/v1//consoles", "/v1/consoles/",
            "/v1/../metrics", "/%00", "/%ff%fe", "/" + "a" * 8000, "/healthz/x", "/problems/nothing", "/problems/%00",
        ],
    )  # fmt: skip
    def test_they_are_never_a_redirection_nor_a_500(self, client: FlaskClient, path: str) -> None:
        response = client.get(path)

        assert response.status_code in (401, 404, 405)
        assert "Location" not in response.headers

    def test_nothing_is_echoed_into_the_page(self, client: FlaskClient) -> None:
        response = client.get("/<script>alert(1)</script>?<script>", headers={"Accept": "text/html"})

        assert response.status_code == 404
        assert "alert" not in response.text

    @pytest.mark.parametrize("host", ["evil.example", "a b", "\x7f", "[::1", "x" * 300, "localhost:99999", "", "é"])
    def test_a_strange_host_is_no_error_of_ours(self, client: FlaskClient, host: str) -> None:
        for path in ("/healthz", "/v2.1/", "/v2.1/servers", "/nothing"):
            response = client.get(path, headers=ADMIN | {"Host": host})
            assert response.status_code in (200, 400, 404), (path, response.text)

    def test_every_error_leads_to_what_its_code_means(self, client: FlaskClient) -> None:
        for kind in TABLE.values():
            response = client.get(f"/problems/{kind.code}")
            assert response.status_code == 200
            assert response.get_json()["code"] == kind.code


class TestBusy:
    """When passwords cannot be checked now."""

    @pytest.mark.parametrize("path", ["/v1/instances", "/v2.1/servers"])
    def test_it_is_503_and_says_when_to_try_again(self, api: Api, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
        def busy(*_args: object) -> None:
            raise TooBusy(7)

        monkeypatch.setattr("porthole.auth.passwords.PasswordChecker.matches", busy)
        response = api.client.get(path, headers=ADMIN)

        assert response.status_code == 503
        assert response.headers["Retry-After"] == "7"
        assert b'porthole_sign_ins_total{result="busy"} 1.0' in api.metrics.exposition()


def test_the_store_being_away_is_503_and_lets_nobody_in(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_args: object, **_claims: object) -> None:
        raise StoreUnavailable("disk full at /var/lib/x")

    api.client.post("/v1/session", json={"username": "alice", "password": "a good password"})
    monkeypatch.setattr(api.store, "is_signed_out", away)
    monkeypatch.setattr(api.store, "add_token", away)

    for response in (
        api.client.get("/v1/session"),
        api.client.post("/v1/consoles", json={"instance": "web-1"}, headers=MEMBER),
    ):
        assert response.status_code == 503
        assert response.get_json()["code"] == "store-unavailable"
        assert "/var/lib" not in response.text


def test_not_authenticated_never_says_whether_the_user_exists() -> None:
    assert str(NotAuthenticated()) == "The user name or the password is wrong."


@pytest.mark.parametrize("path", ["/healthz", "/v1/session", "/v2.1/servers", "/nothing"])
def test_every_answer_is_safe_to_show(client: FlaskClient, path: str) -> None:
    headers = client.get(path).headers

    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
