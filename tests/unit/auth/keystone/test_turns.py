"""Each kind of question to Keystone has turns of its own, and waits for them no longer than is said."""

from __future__ import annotations

import gevent
import pytest
from gevent.event import Event
from keystoneauth1.identity import v3

from porthole.auth.authenticator import Login
from porthole.auth.errors import IdentityUnavailable
from porthole.auth.keystone.identity import AT_ONCE, MAX_SIGN_INS, SIGN_INS_AT_ONCE, Identity
from porthole.auth.keystone.turns import NoTurn, TooLate, Turns
from tests.unit.auth.keystone.conftest import USER, StandIn, settings


def test_no_more_are_at_once_and_the_next_has_its_turn_when_one_is_done() -> None:
    turns, go, seen = Turns(2, 5, 5, 10), Event(), []

    def ask(number: int) -> None:
        with turns.one():
            seen.append(number)
            go.wait(5)

    asking = [gevent.spawn(ask, number) for number in range(4)]
    gevent.sleep(0.02)
    assert seen == [0, 1]
    go.set()
    gevent.joinall(asking, timeout=5, raise_error=True)
    assert sorted(seen) == [0, 1, 2, 3]


def test_beyond_the_bound_none_waits() -> None:
    turns = Turns(1, 1, 5, 10)
    with turns.one(), pytest.raises(NoTurn, match="1 questions wait"), turns.one():
        pass
    with turns.one():
        """It is free again."""


def test_who_gets_no_turn_is_not_told_that_there_was_no_answer() -> None:
    turns = Turns(1, 5, 0.05, 10)
    with turns.one(), pytest.raises(NoTurn, match=r"longer than 0\.05 s"), turns.one():
        pass


def test_an_answer_has_its_time() -> None:
    turns = Turns(1, 5, 0.01, 0.05)
    with pytest.raises(TooLate), turns.one():
        gevent.sleep(5)
    with turns.one():
        """It is free again."""


def test_a_flood_of_passwords_takes_no_turn_from_a_token(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords that Keystone takes long to check; the token of a program is checked meanwhile."""
    go = Event()

    class Slow:
        def __init__(self, *_arguments: object, **_more: object) -> None:
            """As v3.Password."""

        def get_auth_ref(self, _session: object) -> None:
            go.wait(20)
            raise OSError("enough")

    identity = Identity(settings(stand_in.url))
    identity.validate(USER)  # so that it has signed in itself
    monkeypatch.setattr(v3, "Password", Slow)
    ended: list[str] = []

    def sign_in() -> None:
        with pytest.raises(IdentityUnavailable) as refused:
            identity.password(Login("ada", "hush"))
        ended.append(refused.value.why)

    asking = [gevent.spawn(sign_in) for _ in range(MAX_SIGN_INS + 20)]
    gevent.sleep(0.05)
    assert ended == [f"{MAX_SIGN_INS} questions wait for it already"] * 20
    assert SIGN_INS_AT_ONCE < AT_ONCE
    assert identity.validate(USER).user_id == "u1"
    assert identity.problem() == "", "who had to wait says nothing about Keystone"
    go.set()
    gevent.joinall(asking, timeout=10, raise_error=True)
    identity.close()
