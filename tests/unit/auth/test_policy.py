"""What a principal may do by the defaults, for those who have no policy of the service's."""

from __future__ import annotations

import pytest

from porthole.auth import policy
from porthole.auth.policy import Action, Forbidden, Policy, enforce, may, visible
from porthole.auth.principal import Principal, Role
from porthole.compute import Instance, PowerState

MEMBER = Principal("alice", "web", frozenset({Role.MEMBER}))
READER = Principal("rea", "web", frozenset({Role.READER}))


def instance(project: str) -> Instance:
    return Instance("7b1b4f4e-2a57-4d5b-9c39-0d9a1f3f8a10", "a", "c1", PowerState.RUNNING, "a", project)


OWN, OTHERS, NOBODYS = instance("web"), instance("db"), instance("")


def test_the_owner_of_an_instance_counts() -> None:
    assert may(MEMBER, Action.CREATE_CONSOLE, OWN)
    assert not may(MEMBER, Action.CREATE_CONSOLE, OTHERS)
    assert not may(MEMBER, Action.SHOW_INSTANCE, NOBODYS)


def test_without_an_instance_it_is_asked_for_ones_own() -> None:
    assert may(MEMBER, Action.CREATE_CONSOLE)
    assert not may(READER, Action.CREATE_CONSOLE)


def test_a_refusal_has_novas_words_and_says_which_role_it_takes() -> None:
    enforce(MEMBER, Action.CREATE_CONSOLE, OWN)
    with pytest.raises(Forbidden) as refused:
        enforce(READER, Action.CREATE_CONSOLE)

    assert str(refused.value) == (
        "Policy doesn't allow os_compute_api:os-remote-consoles to be performed. "
        "It needs the role admin or member; an administrator can give it."
    )


def test_a_list_is_what_may_be_seen() -> None:
    assert visible(READER, [OTHERS, OWN, NOBODYS]) == [OWN]
    assert visible(READER, [OWN], Action.SHOW_SESSION) == []


def test_the_functions_and_the_methods_can_take_each_others_place() -> None:
    """Whoever has a policy of the service's calls the same names."""
    for name in ("may", "enforce", "visible"):
        assert callable(getattr(policy, name))
        assert callable(getattr(Policy(), name))
