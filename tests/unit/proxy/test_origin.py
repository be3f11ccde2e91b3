"""Which pages may open a console: CVE-2015-0259, and a Host header that must not widen the list."""

from __future__ import annotations

import pytest

from porthole.proxy.origin import OriginPolicy

BASE = "https://consoles.example.org/vnc_auto.html"


def allows(origin: str | None, *allowed: str, host: str | None = "10.0.0.1:6080", scheme: str = "http") -> bool:
    return OriginPolicy(BASE, allowed).allows(origin, scheme, host)


def test_a_client_that_is_no_browser_has_no_origin() -> None:
    assert allows(None)


def test_the_page_itself_may() -> None:
    assert allows("http://10.0.0.1:6080")
    assert allows("http://[fd00::1]:6080", host="[fd00::1]:6080")
    assert allows("https://c.example", host="c.example:443", scheme="https")


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "http://10.0.0.1",
        "http://10.0.0.1:6081",
        "https://10.0.0.1:6080",
        "http://10.0.0.1.evil.example:6080",
        "http://evil.example@10.0.0.1:6080",
        "http://10.0.0.1:6080@evil.example",
        "null",
        "",
        "file://",
        "ws://10.0.0.1:6080",
        "http://10.0.0.1:notaport",
        "http://[::1",
        "javascript:alert(1)",
    ],
)
def test_another_site_may_not(origin: str) -> None:
    assert not allows(origin)


def test_the_address_that_is_handed_out_is_always_allowed() -> None:
    assert allows("https://consoles.example.org")
    assert not allows("http://consoles.example.org")


@pytest.mark.parametrize(
    ("entry", "origin", "allowed"),
    [
        ("dash.example", "https://dash.example", True),
        ("dash.example", "http://dash.example:8080", True),
        ("dash.example:8443", "https://dash.example:8443", True),
        ("dash.example:8443", "https://dash.example", False),
        ("https://dash.example", "https://dash.example", True),
        ("https://dash.example", "https://dash.example:443", True),
        ("https://dash.example", "http://dash.example", False),
        ("dash.example", "https://sub.dash.example", False),
        ("DASH.example", "https://dash.EXAMPLE", True),
    ],
)
def test_allowed_origins(entry: str, origin: str, allowed: bool) -> None:
    assert allows(origin, entry) is allowed


def test_a_missing_host_header_allows_nothing_more() -> None:
    assert not allows("http://10.0.0.1:6080", host=None)


def test_one_requests_host_is_not_remembered_for_the_next() -> None:
    policy = OriginPolicy(BASE, ())
    assert policy.allows("http://evil.example", "http", "evil.example")
    assert not policy.allows("http://evil.example", "http", "10.0.0.1:6080")


class TestFramesWithoutAnOrigin:
    """Any site can have such a page, so it needs a token of its own, and an operator who wants it."""

    def allows(self, *, sandboxed: bool, has_token: bool) -> bool:
        return OriginPolicy(BASE, (), sandboxed=sandboxed).allows("null", "https", "c.example", has_token=has_token)

    def test_they_may_where_other_sites_are_named_and_with_the_token_in_the_address(self) -> None:
        assert self.allows(sandboxed=True, has_token=True)

    def test_never_with_a_cookie_and_never_where_no_site_is_named(self) -> None:
        assert not self.allows(sandboxed=True, has_token=False)
        assert not self.allows(sandboxed=False, has_token=True)

    def test_no_host_header_makes_null_an_origin_of_ours(self) -> None:
        assert not OriginPolicy(BASE, ()).allows("null", "http", "null")
