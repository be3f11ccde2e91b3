"""Who may do what, by Nova's rule names."""

from __future__ import annotations

import pytest

from porthole.auth.policy import Action, Forbidden, enforce, may
from porthole.auth.principal import Principal, Role

READERS = {Role.READER, Role.MEMBER, Role.ADMIN}
MEMBERS = {Role.MEMBER, Role.ADMIN}
ADMINS = {Role.ADMIN}

ALLOWED = {
    "os_compute_api:servers:index": READERS,
    "os_compute_api:servers:detail": READERS,
    "os_compute_api:servers:show": READERS,
    "os_compute_api:os-extended-server-attributes": ADMINS,
    "os_compute_api:os-remote-consoles": MEMBERS,
    "os_compute_api:os-console-auth-tokens": ADMINS,
}


def _with(*roles: Role) -> Principal:
    return Principal("somebody", "default", frozenset(roles))


def test_every_action_has_its_rule_here() -> None:
    assert {action.value for action in Action} == set(ALLOWED)


@pytest.mark.parametrize("action", list(Action))
@pytest.mark.parametrize("role", list(Role))
def test_a_role_may_what_novas_defaults_say(action: Action, role: Role) -> None:
    assert may(_with(role), action) is (role in ALLOWED[action.value])


@pytest.mark.parametrize("action", list(Action))
def test_without_a_role_nothing_is_allowed(action: Action) -> None:
    assert not may(_with(), action)


def test_several_roles_add_up() -> None:
    assert may(_with(Role.READER, Role.ADMIN), Action.LOOK_UP_TOKEN)


def test_a_refusal_has_novas_words_and_says_which_role_it_takes() -> None:
    with pytest.raises(Forbidden) as refused:
        enforce(_with(Role.READER), Action.CREATE_CONSOLE)

    assert str(refused.value) == (
        "Policy doesn't allow os_compute_api:os-remote-consoles to be performed. "
        "It needs the role admin or member; an administrator can give it."
    )
