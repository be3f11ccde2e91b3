"""The command line of script/lab, and the addresses that come of it."""

from __future__ import annotations

import socket

import pytest

from local_lab.options import Options, address_for_others, bracketed, check_can_listen, parse
from provision.progress import StepFailed


def test_defaults() -> None:
    assert parse([]) == Options("127.0.0.1", 6080, 2, "text")


@pytest.mark.parametrize(
    ("given", "host"),
    [("::1", "::1"), ("[::1]", "::1"), ("0:0::1", "::1"), ("localhost", "localhost"), ("0.0.0.0", "0.0.0.0")],
)
def test_a_host_is_an_address_or_a_name(given: str, host: str) -> None:
    assert parse(["--host", given]).host == host


@pytest.mark.parametrize("given", ["", "-", "a b", "a_b", "1.2.3", "host/", "host:80", "::g"])
def test_anything_else_is_refused(given: str) -> None:
    with pytest.raises(SystemExit) as end:
        parse([f"--host={given}"])
    assert end.value.code == 2


@pytest.mark.parametrize("options", [Options("::1", 1, 20, "smoke"), Options("a.example", 65535, 1, "json")])
def test_options_survive_being_handed_on(options: Options) -> None:
    assert parse(options.arguments()) == options


def test_a_url_never_has_the_address_that_means_every_address() -> None:
    assert address_for_others("127.0.0.1") == "127.0.0.1"
    assert address_for_others("a.example") == "a.example"
    assert address_for_others("0.0.0.0") != "0.0.0.0"
    assert address_for_others("::") != "::"


def test_an_ipv6_address_gets_brackets() -> None:
    assert bracketed("::1") == "[::1]"
    assert bracketed("127.0.0.1") == "127.0.0.1"


def test_a_port_that_is_taken_is_told_before_anything_is_installed() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen(1)
        port = other.getsockname()[1]
        with pytest.raises(StepFailed, match=f"port {port} on 127.0.0.1 is in use"):
            check_can_listen("127.0.0.1", port)
    check_can_listen("127.0.0.1", port)


def test_a_name_that_does_not_resolve_is_told() -> None:
    with pytest.raises(StepFailed, match="cannot be resolved"):
        check_can_listen("no-such-host.invalid", 6080)
