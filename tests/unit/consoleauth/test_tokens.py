"""Tokens: what they say, when they end, and that no changed one is taken."""

from __future__ import annotations

import string
from dataclasses import asdict
from pathlib import Path

import pytest

from porthole.consoleauth.errors import TokenExpired, TokenInvalid, TokenMissing
from porthole.consoleauth.keys import KeyRing
from porthole.consoleauth.tokens import CONSOLE_SALT, MAX_TOKEN_LENGTH, ConsoleAuth, IssuedToken
from porthole.state.sessions import SessionTable
from porthole.state.sqlite import SqliteStore

INSTANCE = "0a7a9a6e-3a5e-4a52-b1c9-2a7f0d3f4d11"
NOW = 1_700_000_000


class Clock:
    def __init__(self) -> None:
        self.now = float(NOW)

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> SqliteStore:
    return SqliteStore(tmp_path / "store", clock=clock)


@pytest.fixture
def console_auth(store: SqliteStore, clock: Clock) -> ConsoleAuth:
    return ConsoleAuth(KeyRing((b"k" * 32,)), store, token_ttl=600, clock=clock)


def issue(console_auth: ConsoleAuth) -> IssuedToken:
    return console_auth.authorize(instance_id=INSTANCE, console_type="novnc", user_id="ann", project_id="p1")


def test_a_token_says_what_was_authorised(console_auth: ConsoleAuth) -> None:
    issued = issue(console_auth)
    claims = console_auth.check(issued.token)
    assert claims == issued.claims
    assert (claims.instance_id, claims.console_type, claims.mode) == (INSTANCE, "novnc", "full")
    assert (claims.user_id, claims.project_id, claims.expires) == ("ann", "p1", NOW + 600)


def test_it_names_no_address(console_auth: ConsoleAuth) -> None:
    assert set(issue(console_auth).claims.__slots__) == {
        "token_id", "instance_id", "console_type", "mode", "user_id", "project_id", "expires", "share_uses", "roles",
    }  # fmt: skip


def test_two_tokens_are_never_the_same(console_auth: ConsoleAuth) -> None:
    assert issue(console_auth).token != issue(console_auth).token


def test_roles_are_signed_and_recorded_and_other_ones_open_nothing(console_auth: ConsoleAuth) -> None:
    issued = console_auth.authorize(
        instance_id=INSTANCE, console_type="novnc", user_id="ann", project_id="p1", roles="reader"
    )
    assert console_auth.check(issued.token).roles == "reader"
    # Whoever has got hold of a key signs what he likes; it is not what was recorded.
    forged = {**asdict(issued.claims), "roles": "admin"}
    with pytest.raises(TokenInvalid):
        console_auth.check(str(KeyRing((b"k" * 32,)).serializer(CONSOLE_SALT).dumps(forged)))


def test_without_roles_it_is_one_that_the_release_before_knows(console_auth: ConsoleAuth) -> None:
    said = KeyRing((b"k" * 32,)).serializer(CONSOLE_SALT).loads(issue(console_auth).token)
    assert "roles" not in said


def test_it_is_not_shown_by_repr(console_auth: ConsoleAuth) -> None:
    issued = issue(console_auth)
    assert issued.token not in repr(issued)


class TestExpiry:
    """Nova's rule (nova/objects/console_auth_token.py): expired when ``expires <= now``."""

    def test_good_in_its_last_second(self, console_auth: ConsoleAuth, clock: Clock) -> None:
        token = issue(console_auth).token
        clock.now = NOW + 599.999
        console_auth.check(token)

    @pytest.mark.parametrize("now", [NOW + 600, NOW + 600.5, NOW + 601, NOW + 10**8])
    def test_expired_at_the_second_it_names(self, console_auth: ConsoleAuth, clock: Clock, now: float) -> None:
        token = issue(console_auth).token
        clock.now = now
        with pytest.raises(TokenExpired):
            console_auth.check(token)


class TestRefused:
    @pytest.mark.parametrize("token", [None, ""])
    def test_no_token(self, console_auth: ConsoleAuth, token: str | None) -> None:
        with pytest.raises(TokenMissing):
            console_auth.check(token)

    def test_a_token_changed_at_any_one_character(self, console_auth: ConsoleAuth) -> None:
        token = issue(console_auth).token
        for at, old in enumerate(token):
            for new in {"A", "B", "Q", ".", "_"} - {old}:
                with pytest.raises(TokenInvalid):
                    console_auth.check(token[:at] + new + token[at + 1 :])

    def test_a_token_whose_last_letter_is_any_other(self, console_auth: ConsoleAuth) -> None:
        """Base64 would decode four of them to the same signature."""
        token = issue(console_auth).token
        for new in set(string.ascii_letters + string.digits + "-_=") - {token[-1]}:
            with pytest.raises(TokenInvalid):
                console_auth.check(token[:-1] + new)

    def test_a_token_cut_anywhere(self, console_auth: ConsoleAuth) -> None:
        token = issue(console_auth).token
        for end in range(1, len(token)):
            with pytest.raises(TokenInvalid):
                console_auth.check(token[:end])

    @pytest.mark.parametrize(
        "token", ["x" * (MAX_TOKEN_LENGTH + 1), "ü", "\x00", "a.b", ".", "é.é", "a" * 43 + "." * 5]
    )
    def test_what_is_no_token_at_all(self, console_auth: ConsoleAuth, token: str) -> None:
        with pytest.raises(TokenInvalid):
            console_auth.check(token)

    def test_one_signed_with_another_key(self, console_auth: ConsoleAuth, store: SqliteStore) -> None:
        other = ConsoleAuth(KeyRing((b"o" * 32,)), store, token_ttl=600)
        with pytest.raises(TokenInvalid):
            console_auth.check(issue(other).token)

    def test_one_of_another_kind(self, console_auth: ConsoleAuth) -> None:
        sign_in = KeyRing((b"k" * 32,)).serializer("porthole.sign-in").dumps({"token_id": "x"})
        with pytest.raises(TokenInvalid):
            console_auth.check(str(sign_in))

    @pytest.mark.parametrize("claims", [{}, [], "text", {"token_id": "x"}, None])
    def test_one_that_says_something_else(self, console_auth: ConsoleAuth, claims: object) -> None:
        signed = KeyRing((b"k" * 32,)).serializer(CONSOLE_SALT).dumps(claims)
        with pytest.raises(TokenInvalid):
            console_auth.check(str(signed))

    def test_one_that_was_revoked(self, console_auth: ConsoleAuth, store: SqliteStore) -> None:
        issued = issue(console_auth)
        assert SessionTable(store, 60).revoke(issued.claims.token_id, 4002, "revoked")
        with pytest.raises(TokenInvalid):
            console_auth.check(issued.token)

    def test_one_that_this_store_has_never_seen(self, console_auth: ConsoleAuth, tmp_path: Path) -> None:
        elsewhere = ConsoleAuth(KeyRing((b"k" * 32,)), SqliteStore(tmp_path / "other"), token_ttl=600)
        with pytest.raises(TokenInvalid):
            console_auth.check(issue(elsewhere).token)
