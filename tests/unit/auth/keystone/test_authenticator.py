"""What is decided without asking Keystone; the rest is asked of a real one (tests/openstack)."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from porthole.auth.authenticator import Login
from porthole.auth.errors import IdentityUnavailable, NotAuthenticated
from porthole.auth.keystone.authenticator import MAX_TOKEN_LENGTH, KeystoneAuthenticator
from porthole.auth.principal import Principal, Role
from porthole.auth.signin import SignIn
from porthole.config import AuthStrategy, KeystoneSettings
from porthole.consoleauth.tokens import Claims
from porthole.state.kept import KeptTokens
from porthole.state.sqlite import SqliteStore

CLAIMS = Claims("f" * 32, "i", "novnc", "full", "u", "p", 2_000_000_000)


@pytest.fixture
def authenticator(tmp_path: Path) -> Iterator[KeystoneAuthenticator]:
    """One whose Keystone nobody reaches."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/v3"
        settings = KeystoneSettings(
            url, "https://keystone.example.org/v3", "password", "porthole", "a secret of ours", "service", "Default",
            "Default", None, False, "internal", "", 5.0, 60,
        )  # fmt: skip
        store = SqliteStore(tmp_path / "store")
        authenticator = KeystoneAuthenticator(settings, KeptTokens(store))
        yield authenticator
        authenticator.close()
        store.close()


def test_it_says_where_tokens_come_from(authenticator: KeystoneAuthenticator) -> None:
    assert authenticator.strategy is AuthStrategy.KEYSTONE
    assert authenticator.challenge == 'Keystone uri="https://keystone.example.org/v3"'


def test_spellings_of_a_user_share_a_count(authenticator: KeystoneAuthenticator) -> None:
    assert authenticator.counted_as(Login("ÀDA ", "x")) == authenticator.counted_as(Login("ada", "y", "default"))
    assert authenticator.counted_as(Login("ada", "x")) != authenticator.counted_as(Login("ada", "x", "customers"))


@pytest.mark.parametrize("token", ["", " ", "two words", "ä", "a\0", "a\n", "x" * (MAX_TOKEN_LENGTH + 1)])
def test_what_cannot_be_a_token_is_refused_without_a_question(authenticator: KeystoneAuthenticator, token: str) -> None:
    with pytest.raises(NotAuthenticated):
        authenticator.validate(token)
    assert authenticator.problem() == ""


def test_a_keystone_that_cannot_be_reached_is_told_from_a_wrong_token(authenticator: KeystoneAuthenticator) -> None:
    for ask in (lambda: authenticator.validate("gAAAAAB"), lambda: authenticator.sign_in(Login("ada", "hush"))):
        with pytest.raises(IdentityUnavailable) as refused:
            ask()
        assert "Unable to establish connection" in refused.value.why
        assert "hush" not in refused.value.why
        assert "secret" not in refused.value.why
    assert "Keystone" in authenticator.problem()


def test_a_cookie_of_http_basic_is_no_sign_in_here(authenticator: KeystoneAuthenticator) -> None:
    with pytest.raises(NotAuthenticated):
        authenticator.still(SignIn("i" * 32, "alice", "0" * 16, 2_000_000_000))
    authenticator.sign_out(SignIn("i" * 32, "alice", "0" * 16, 2_000_000_000))


class TestRolesOfConsoleTokens:
    @pytest.mark.parametrize("roles", [{Role.ADMIN}, {Role.MEMBER, Role.READER}, set()])
    def test_what_is_recorded_is_what_counts_at_the_connect(
        self, authenticator: KeystoneAuthenticator, roles: set[Role]
    ) -> None:
        principal = Principal("u", "p", frozenset(roles))
        recorded = authenticator.recorded_roles(principal)
        assert recorded
        assert authenticator.holder(replace(CLAIMS, roles=recorded)) == principal

    def test_a_token_that_records_none_was_issued_by_http_basic_and_is_nobodys(
        self, authenticator: KeystoneAuthenticator
    ) -> None:
        assert authenticator.holder(CLAIMS) is None

    def test_roles_that_are_not_known_do_not_count(self, authenticator: KeystoneAuthenticator) -> None:
        holder = authenticator.holder(replace(CLAIMS, roles="member,root"))
        assert holder is not None
        assert holder.roles == {Role.MEMBER}
