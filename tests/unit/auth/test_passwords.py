"""Passwords are checked beside everything else, and a good one is remembered for a minute."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import bcrypt
import gevent
import pytest

from porthole.auth.errors import TooBusy
from porthole.auth.passwords import REMEMBER_SECONDS, PasswordChecker

HASH = bcrypt.hashpw(b"right", bcrypt.gensalt(4))


class Bcrypt:
    """Counts the checks and holds them back while ``gate`` is closed. The comparison is bcrypt's."""

    def __init__(self) -> None:
        self.calls = 0
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, password: bytes, password_hash: bytes) -> bool:
        self.calls += 1
        self.gate.wait(10)
        return bcrypt.checkpw(password, password_hash)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def counted() -> Iterator[Bcrypt]:
    made = Bcrypt()
    yield made
    made.gate.set()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def checker(counted: Bcrypt, clock: Clock) -> Iterator[PasswordChecker]:
    made = PasswordChecker(max_waiting=4, max_remembered=3, clock=clock, check=counted)
    yield made
    counted.gate.set()
    made.close()


def _let_run(counted: Bcrypt, calls: int) -> None:
    for _ in range(1000):
        if counted.calls >= calls:
            return
        gevent.sleep(0.005)
    pytest.fail(f"{counted.calls} checks began, {calls} were expected")


def test_a_right_password_is_checked_once_a_minute(checker: PasswordChecker, counted: Bcrypt, clock: Clock) -> None:
    assert checker.matches(b"alice", b"right", HASH)
    clock.now += REMEMBER_SECONDS - 1
    assert checker.matches(b"alice", b"right", HASH)
    assert counted.calls == 1

    clock.now += 1
    assert checker.matches(b"alice", b"right", HASH)
    assert counted.calls == 2


def test_a_wrong_password_is_never_remembered(checker: PasswordChecker, counted: Bcrypt) -> None:
    for _ in range(3):
        assert not checker.matches(b"alice", b"wrong", HASH)

    assert counted.calls == 3


def test_being_remembered_helps_no_other_user_password_or_hash(checker: PasswordChecker, counted: Bcrypt) -> None:
    checker.matches(b"alice", b"right", HASH)
    other_hash = bcrypt.hashpw(b"other", bcrypt.gensalt(4))

    assert not checker.matches(b"alice", b"right", other_hash)
    assert not checker.matches(b"alice", b"righ", HASH)
    assert checker.matches(b"alic", b"right", HASH)
    assert counted.calls == 4


def test_the_oldest_is_forgotten_when_too_many_are_remembered(checker: PasswordChecker, counted: Bcrypt) -> None:
    for user in (b"1", b"2", b"3", b"4"):
        checker.matches(user, b"right", HASH)
    checker.matches(b"4", b"right", HASH)
    assert counted.calls == 4

    checker.matches(b"1", b"right", HASH)
    assert counted.calls == 5


def test_what_is_remembered_holds_no_password(checker: PasswordChecker) -> None:
    checker.matches(b"alice", b"right", HASH)

    assert b"right" not in repr(vars(checker)).encode()


def test_two_checks_of_the_same_at_once_share_one_run(checker: PasswordChecker, counted: Bcrypt) -> None:
    counted.gate.clear()
    asking = [gevent.spawn(checker.matches, b"alice", b"right", HASH) for _ in range(10)]
    _let_run(counted, 1)
    counted.gate.set()

    assert [greenlet.get(timeout=10) for greenlet in asking] == [True] * 10
    assert counted.calls == 1


def test_those_who_wait_are_not_left_waiting_when_the_one_they_wait_for_is_killed(
    checker: PasswordChecker, counted: Bcrypt
) -> None:
    counted.gate.clear()
    first = gevent.spawn(checker.matches, b"alice", b"right", HASH)
    _let_run(counted, 1)
    second = gevent.spawn(checker.matches, b"alice", b"right", HASH)
    gevent.sleep(0)
    first.kill()

    with pytest.raises(TooBusy):
        second.get(timeout=10)


def test_beyond_the_queue_everybody_is_told_to_come_back(checker: PasswordChecker, counted: Bcrypt) -> None:
    counted.gate.clear()
    asking = [gevent.spawn(checker.matches, f"user{n}".encode(), b"right", HASH) for n in range(4)]
    _let_run(counted, 2)

    with pytest.raises(TooBusy) as refused:
        checker.matches(b"one more", b"right", HASH)
    assert refused.value.retry_after > 0

    counted.gate.set()
    assert [greenlet.get(timeout=10) for greenlet in asking] == [True] * 4
    assert checker.matches(b"one more", b"right", HASH)


def test_a_remembered_user_is_served_while_the_queue_is_full(checker: PasswordChecker, counted: Bcrypt) -> None:
    checker.matches(b"alice", b"right", HASH)
    counted.gate.clear()
    asking = [gevent.spawn(checker.matches, f"user{n}".encode(), b"right", HASH) for n in range(4)]
    _let_run(counted, 3)

    assert checker.matches(b"alice", b"right", HASH)
    counted.gate.set()
    gevent.joinall(asking, timeout=10)


def test_the_hub_goes_on_while_a_password_is_checked(checker: PasswordChecker, counted: Bcrypt) -> None:
    counted.gate.clear()
    checking = gevent.spawn(checker.matches, b"alice", b"right", HASH)
    _let_run(counted, 1)
    turns = 0
    until = time.monotonic() + 0.05
    while time.monotonic() < until:
        gevent.sleep(0.001)
        turns += 1

    assert turns > 1
    assert not checking.ready()
    counted.gate.set()
    assert checking.get(timeout=10)


def test_a_failure_of_bcrypt_reaches_the_one_who_asked(clock: Clock) -> None:
    def broken(_password: bytes, _hash: bytes) -> bool:
        raise ValueError("Invalid salt")

    checker = PasswordChecker(clock=clock, check=broken)
    with pytest.raises(ValueError, match="Invalid salt"):
        checker.matches(b"alice", b"right", HASH)
    with pytest.raises(ValueError, match="Invalid salt"):
        checker.matches(b"alice", b"right", HASH)
    checker.close()
