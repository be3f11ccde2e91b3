"""Under which name wrong passwords are counted."""

from __future__ import annotations

import pytest

from porthole.auth.authenticator import Login

ALICE = Login("alice", "hush").who


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
    ],
)
def test_spellings_of_one_user_are_counted_together(name: str) -> None:
    assert Login(name, "guess").who == ALICE


@pytest.mark.parametrize("domain", ["", "Default", "default", "DEFAULT ", "default\u200b"])
def test_no_domain_is_the_default_one(domain: str) -> None:
    assert Login("alice", "guess", domain).who == ALICE


@pytest.mark.parametrize("login", [Login("alicia", ""), Login("alice", "", "customers"), Login("", "", "alice")])
def test_others_have_a_count_of_their_own(login: Login) -> None:
    assert login.who != ALICE


def test_a_name_cannot_be_made_to_look_like_one_with_a_domain() -> None:
    assert Login("alice\ncustomers", "").who != Login("alice", "", "customers").who
    assert Login("alice@customers", "").who != Login("alice", "", "customers").who


def test_the_project_and_the_password_do_not_matter() -> None:
    assert Login("alice", "other", project="web", project_domain="d").who == ALICE
