"""Whose address a request has, behind proxies and without any."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from porthole.proxy.forwarded import MAX_HOPS, TrustedProxies

PROXIES = TrustedProxies([ip_network("10.0.0.0/24"), ip_network("fd00::/8")])
PROXY, OTHER_PROXY, BROWSER = "10.0.0.1", "10.0.0.2", "203.0.113.7"


@pytest.mark.parametrize(
    ("forwarded_for", "client"),
    [
        ("", PROXY),
        (BROWSER, BROWSER),
        (f"198.51.100.1, {BROWSER}", BROWSER),
        (f"198.51.100.1,{BROWSER} , {OTHER_PROXY}", BROWSER),
        (f"{OTHER_PROXY}, {OTHER_PROXY}", OTHER_PROXY),
        (f"{BROWSER}:41234", BROWSER),
        ("[2001:db8::1]:41234", "2001:db8::1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        (f"::ffff:{BROWSER}", BROWSER),
    ],
)
def test_it_is_read_from_the_right_as_far_as_the_proxies_are_trusted(forwarded_for: str, client: str) -> None:
    assert PROXIES.client(PROXY, forwarded_for) == client


@pytest.mark.parametrize(
    "nonsense", ["unknown", "_hidden", "", " ", "1.2.3", "x" * 10_000, "fe80::1%eth0; DROP", "[", "[]:"]
)
def test_what_is_no_address_ends_the_reading(nonsense: str) -> None:
    assert PROXIES.client(PROXY, f"{BROWSER}, {nonsense}") == PROXY
    assert PROXIES.client(PROXY, f"{BROWSER}, {nonsense}, {OTHER_PROXY}") == OTHER_PROXY


def test_a_browser_that_says_something_of_itself_is_not_believed() -> None:
    assert PROXIES.client(BROWSER, "198.51.100.1") == BROWSER
    assert TrustedProxies([]).client(PROXY, BROWSER) == PROXY


def test_a_peer_of_ipv4_on_a_socket_of_ipv6_is_the_same_proxy() -> None:
    assert PROXIES.client(f"::ffff:{PROXY}", BROWSER) == BROWSER


def test_an_endless_chain_is_not_followed() -> None:
    chain = ", ".join([BROWSER, *[OTHER_PROXY] * 100_000])
    assert PROXIES.client(PROXY, chain) == OTHER_PROXY
    assert PROXIES.client(PROXY, ", ".join([BROWSER, *[OTHER_PROXY] * (MAX_HOPS - 1)])) == BROWSER


def test_a_peer_without_an_address_is_nobodys() -> None:
    assert PROXIES.client("", BROWSER) == ""


@pytest.mark.parametrize(
    ("said", "scheme"),
    [
        ("https", "https"),
        ("HTTPS ", "https"),
        ("wss", "https"),
        ("ws", "http"),
        ("", "http"),
        ("https, http", "http"),
        ("http, https", "https"),
        ("javascript", "http"),
        ("https;", "http"),
    ],
)
def test_a_trusted_proxys_own_word_says_how_the_browser_came(said: str, scheme: str) -> None:
    assert PROXIES.scheme(PROXY, said, "http") == scheme


def test_it_counts_more_than_how_the_proxy_itself_came() -> None:
    assert PROXIES.scheme(PROXY, "http", "https") == "http"
    assert PROXIES.scheme(PROXY, "", "https") == "https"


def test_nobody_else_is_believed_how_it_came() -> None:
    assert PROXIES.scheme(BROWSER, "https", "http") == "http"
    assert PROXIES.scheme(BROWSER, "http", "https") == "https"
    assert TrustedProxies(()).scheme(PROXY, "https", "http") == "http"
