"""Under which key wrong passwords of a user of Keystone are counted."""

from __future__ import annotations

import pytest

from porthole.auth.authenticator import Login
from porthole.auth.keystone.spelling import user_key

ALICE = user_key(Login("alice", "hush"))


@pytest.mark.parametrize(
    "name",
    [
        "Alice",
        "ALICE",
        "alice ",
        " alice",
        "alice\t",
        "a\u200blice",
        "\ufeffalice",
        "al\u0000ice",
        "\uff21lice",
        "\u00e0l\u00eece",
        "al\u0131ce",
        "AL\u0130CE",
        "a\u0142ice",
    ],
)
def test_spellings_of_one_user_are_counted_together(name: str) -> None:
    assert user_key(Login(name, "guess")) == ALICE


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Weiß", "weiss"),
        ("Weiß", "weis"),
        ("WEIẞ", "weis"),
        ("Søren", "soren"),
        ("Đura", "dura"),
        ("sigurðr", "sigurdr"),
        ("Ħal", "hal"),
        ("Ŧor", "tor"),
        ("ada  b", "ada b"),
        ("ada\u00a0b", "ada b"),
        (" ada \u3000 b ", "ada b"),
    ],
)
def test_so_are_those_that_only_some_collations_take_for_one(one: str, other: str) -> None:
    assert user_key(Login(one, "")) == user_key(Login(other, ""))


@pytest.mark.parametrize("domain", ["", "Default", "default", "DEFAULT ", "default\u200b"])
def test_no_domain_is_the_default_one(domain: str) -> None:
    assert user_key(Login("alice", "guess", domain)) == ALICE


@pytest.mark.parametrize(
    "login", [Login("alicia", ""), Login("alice", "", "customers"), Login("", "", "alice"), Login("al ice", "")]
)
def test_others_have_a_count_of_their_own(login: Login) -> None:
    assert user_key(login) != ALICE


def test_a_name_cannot_be_made_to_look_like_one_with_a_domain() -> None:
    customers = user_key(Login("alice", "", "customers"))
    assert user_key(Login("alice\ncustomers", "")) != customers
    assert user_key(Login("alice@customers", "")) != customers


def test_the_project_and_the_password_do_not_matter() -> None:
    assert user_key(Login("alice", "other", project="web", project_domain="d")) == ALICE
