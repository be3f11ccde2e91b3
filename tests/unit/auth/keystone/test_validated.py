"""What is remembered of Keystone's tokens: for how long, of how many, and that one question is asked once."""

from __future__ import annotations

import gevent
import pytest
from gevent.event import Event

from porthole.auth.errors import IdentityUnavailable, NotAuthenticated
from porthole.auth.keystone.validated import Valid, Validated
from porthole.auth.principal import Principal, Role


def valid(user: str) -> Valid:
    return Valid(Principal(user, "p", frozenset({Role.MEMBER})), 2_000_000_000)


class Keystone:
    """Knows every token, and counts how often it is asked."""

    def __init__(self) -> None:
        self.now = 0.0
        self.asked: list[str] = []
        self.error: Exception | None = None
        self.answers = Event()
        self.answers.set()

    def ask(self, token: str) -> Valid:
        self.asked.append(token)
        self.answers.wait()
        if self.error is not None:
            raise self.error
        return valid(token[:1])

    def memory(self, seconds: float = 60, most: int = 100) -> Validated:
        return Validated(self.ask, seconds, lambda: self.now, most)


@pytest.fixture
def keystone() -> Keystone:
    return Keystone()


def test_a_token_is_asked_about_again_when_its_time_is_over(keystone: Keystone) -> None:
    memory = keystone.memory(seconds=60)
    assert [memory.get("a").principal.user_id for _ in range(3)] == ["a"] * 3
    keystone.now = 59.9
    memory.get("a")
    assert keystone.asked == ["a"]
    keystone.now = 60.0
    memory.get("a")
    assert keystone.asked == ["a", "a"]


def test_no_time_remembers_nothing(keystone: Keystone) -> None:
    memory = keystone.memory(seconds=0)
    memory.remember("a", valid("a"))
    memory.get("a")
    memory.get("a")
    assert keystone.asked == ["a", "a"]


def test_what_was_refused_is_asked_again_and_what_was_good_before_is_forgotten(keystone: Keystone) -> None:
    memory = keystone.memory()
    memory.get("a")
    keystone.now, keystone.error = 61, NotAuthenticated()
    for _ in range(2):
        with pytest.raises(NotAuthenticated):
            memory.get("a")
    keystone.error = None
    assert memory.get("a") == valid("a")
    assert len(keystone.asked) == 4


def test_the_oldest_goes_when_there_are_too_many(keystone: Keystone) -> None:
    memory = keystone.memory(most=2)
    for token in ("a", "b", "c", "b", "c", "a"):
        memory.get(token)
    assert keystone.asked == ["a", "b", "c", "a"]


def test_one_that_was_just_given_out_needs_no_question_until_it_is_forgotten(keystone: Keystone) -> None:
    memory = keystone.memory()
    memory.remember("a", valid("a"))
    memory.get("a")
    assert keystone.asked == []
    memory.forget("a")
    memory.get("a")
    assert keystone.asked == ["a"]


@pytest.mark.parametrize("error", [None, NotAuthenticated(), IdentityUnavailable("away")])
def test_who_asks_at_the_same_time_gets_the_same_answer(keystone: Keystone, error: Exception | None) -> None:
    memory = keystone.memory()
    keystone.error = error
    keystone.answers.clear()
    asking = [gevent.spawn(memory.get, "a") for _ in range(5)]
    gevent.sleep(0)
    keystone.answers.set()
    gevent.joinall(asking, timeout=5)
    assert keystone.asked == ["a"]
    assert [greenlet.exception for greenlet in asking] == [error] * 5
    assert [greenlet.value for greenlet in asking] == [None if error else valid("a")] * 5


def test_who_waits_for_somebody_who_is_cut_off_is_not_left_waiting(keystone: Keystone) -> None:
    memory = keystone.memory()
    keystone.answers.clear()
    first, second = gevent.spawn(memory.get, "a"), gevent.spawn(memory.get, "a")
    gevent.sleep(0)
    first.kill()
    second.join(5)
    assert isinstance(second.exception, IdentityUnavailable)


def test_no_token_is_in_the_memory(keystone: Keystone) -> None:
    memory = keystone.memory()
    memory.get("gAAAAABsecret")
    assert "gAAAAABsecret" not in repr(vars(memory))
