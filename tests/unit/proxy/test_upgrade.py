"""Which requests are upgrades, and what is wrong with those that are refused."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest

from porthole.proxy import upgrade
from porthole.proxy.errors import BadUpgrade


def environ(**changes: Any) -> dict[str, Any]:
    """A browser's request, with changes; None takes a header away."""
    request = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/",
        "QUERY_STRING": "token=abc",
        "wsgi.url_scheme": "http",
        "HTTP_HOST": "10.0.0.1:6080",
        "HTTP_ORIGIN": "http://10.0.0.1:6080",
        "HTTP_UPGRADE": "websocket",
        "HTTP_CONNECTION": "keep-alive, Upgrade",
        "HTTP_SEC_WEBSOCKET_VERSION": "13",
        "HTTP_SEC_WEBSOCKET_KEY": "dGhlIHNhbXBsZSBub25jZQ==",
        **changes,
    }
    return {name: value for name, value in request.items() if value is not None}


@pytest.mark.parametrize("path", ["/", "/vnc.html", "/vnc_lite.html", "/vnc_auto.html", "/websockify"])
def test_upgrades_are_taken_where_novnc_asks_for_them(path: str) -> None:
    assert upgrade.is_upgrade(environ(PATH_INFO=path))


@pytest.mark.parametrize("changes", [{"PATH_INFO": "/v2.1/servers"}, {"HTTP_UPGRADE": None}, {"HTTP_UPGRADE": "h2c"}])
def test_other_requests_are_ordinary_ones(changes: dict[str, Any]) -> None:
    assert not upgrade.is_upgrade(environ(**changes))


def test_a_browsers_upgrade_is_in_order() -> None:
    upgrade.check_upgrade(environ(), "HTTP/1.1")


@pytest.mark.parametrize(
    "changes",
    [
        {"REQUEST_METHOD": "POST"},
        {"HTTP_CONNECTION": None},
        {"HTTP_CONNECTION": "notupgrade"},
        {"HTTP_SEC_WEBSOCKET_KEY": None},
        {"HTTP_SEC_WEBSOCKET_KEY": "x"},
        {"HTTP_SEC_WEBSOCKET_KEY": "not base64 at all!!"},
        {"HTTP_SEC_WEBSOCKET_KEY": base64.b64encode(bytes(15)).decode()},
        {"HTTP_SEC_WEBSOCKET_KEY": base64.b64encode(bytes(17)).decode()},
        {"HTTP_SEC_WEBSOCKET_KEY": "dGhlIHNhbXBsZSBub25jZQ==\xfc"},
        {"CONTENT_LENGTH": "5"},
        {"HTTP_TRANSFER_ENCODING": "chunked"},
    ],
)
def test_a_malformed_one_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(BadUpgrade) as caught:
        upgrade.check_upgrade(environ(**changes), "HTTP/1.1")
    assert not caught.value.wrong_version


def test_http_1_0_cannot_be_upgraded() -> None:
    with pytest.raises(BadUpgrade):
        upgrade.check_upgrade(environ(), "HTTP/1.0")


@pytest.mark.parametrize("version", [None, "", "7", "8", "12", "14", "13, 8", "x"])
def test_other_versions_are_told_which_one_is_right(version: str | None) -> None:
    with pytest.raises(BadUpgrade) as caught:
        upgrade.check_upgrade(environ(HTTP_SEC_WEBSOCKET_VERSION=version), "HTTP/1.1")
    assert caught.value.wrong_version


class TestToken:
    def token(self, **changes: Any) -> str | None:
        return upgrade.upgrade_request(environ(**changes), "192.0.2.1").token

    def test_from_the_query(self) -> None:
        assert self.token(QUERY_STRING="a=b&token=t0k%2En") == "t0k.n"

    def test_from_the_cookie_as_nova_does(self) -> None:
        assert self.token(QUERY_STRING="", HTTP_COOKIE="a=b; token=fromcookie") == "fromcookie"

    def test_the_query_wins(self) -> None:
        assert self.token(QUERY_STRING="token=q", HTTP_COOKIE="token=c") == "q"

    def test_whether_the_browser_added_it_by_itself(self) -> None:
        def from_cookie(query: str) -> bool:
            made = environ(QUERY_STRING=query, HTTP_COOKIE="token=c")
            return upgrade.upgrade_request(made, "192.0.2.1").token_from_cookie

        assert from_cookie("")
        assert not from_cookie("token=q")

    @pytest.mark.parametrize("cookie", ["", "token", ";;;", "token=", "x" * 9000 + "; token=c", 'a="\\'])
    def test_none_from_a_broken_cookie(self, cookie: str) -> None:
        assert not self.token(QUERY_STRING="", HTTP_COOKIE=cookie)

    def test_none_from_an_endless_query(self) -> None:
        assert self.token(QUERY_STRING="&".join(f"a{n}=1" for n in range(1000)) + "&token=t") is None

    def test_it_is_not_in_the_requests_repr(self) -> None:
        assert "t0psecret" not in repr(upgrade.upgrade_request(environ(QUERY_STRING="token=t0psecret"), "192.0.2.1"))


class TestSubprotocol:
    @pytest.mark.parametrize(
        ("offered", "echoed"),
        [("binary", True), ("base64, binary", True), (None, False), ("base64", False), ("xbinary", False), ("", False)],
    )
    def test_binary_is_echoed_when_it_is_among_those_offered(self, offered: str | None, echoed: bool) -> None:
        assert upgrade.offers_subprotocol(environ(HTTP_SEC_WEBSOCKET_PROTOCOL=offered)) is echoed


class TestResumeSecret:
    SECRET = "0aZ_-" + "x" * 38

    def offered(self, *names: str) -> dict[str, Any]:
        return environ(HTTP_SEC_WEBSOCKET_PROTOCOL=", ".join(names))

    def test_only_its_hash_goes_on(self) -> None:
        offer = self.offered("binary", f"porthole.resume.{self.SECRET}")
        upgrade.check_upgrade(offer, "HTTP/1.1")
        request = upgrade.upgrade_request(offer, "192.0.2.1")
        assert request.resume_hash == hashlib.sha256(self.SECRET.encode()).hexdigest()
        assert self.SECRET not in repr(request)
        assert upgrade.offers_subprotocol(offer)

    def test_without_one_there_is_none(self) -> None:
        for names in ([], ["binary"], ["xporthole.resume.y"]):
            assert upgrade.upgrade_request(self.offered(*names), "192.0.2.1").resume_hash is None

    @pytest.mark.parametrize("secrets", [[""], ["x" * 42], ["x" * 44], ["x" * 42 + "="], ["x" * 43, "y" * 43]])
    def test_another_form_is_refused_without_being_repeated(self, secrets: list[str]) -> None:
        with pytest.raises(BadUpgrade) as caught:
            upgrade.check_upgrade(self.offered(*(f"porthole.resume.{secret}" for secret in secrets)), "HTTP/1.1")
        assert "xx" not in str(caught.value)
