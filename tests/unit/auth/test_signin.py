"""The sign-in cookie: what it says, how long, and that nobody can make or change one."""

from __future__ import annotations

import base64
import json
import string

import pytest

from porthole.auth.errors import NotAuthenticated
from porthole.auth.principal import Principal, Role
from porthole.auth.signin import SIGN_IN_SALT, SignIns
from porthole.consoleauth.keys import KeyRing

ALICE = Principal("alice", "default", frozenset({Role.ADMIN}))
KEYS = KeyRing((b"k" * 32,))


class Ended:
    """The interface of the store in memory; the real one has tests of its own, and the API's tests use it."""

    def __init__(self) -> None:
        self.ended: dict[str, int] = {}

    def sign_out(self, sign_in_id: str, expires: int) -> None:
        self.ended[sign_in_id] = expires

    def is_signed_out(self, sign_in_id: str) -> bool:
        return sign_in_id in self.ended


class Clock:
    """Unix time that stands still."""

    def __init__(self) -> None:
        self.now = 1_000_000.9

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store() -> Ended:
    return Ended()


@pytest.fixture
def sign_ins(store: Ended, clock: Clock) -> SignIns:
    return SignIns(KEYS, store, lifetime=100, clock=clock)


def test_a_cookie_says_who_and_nothing_of_roles(sign_ins: SignIns) -> None:
    sign_in = sign_ins.check(sign_ins.issue(ALICE, "stamp"))

    assert (sign_in.user_id, sign_in.stamp, sign_in.expires) == ("alice", "stamp", 1_000_100)


def test_each_sign_in_has_an_id_of_its_own(sign_ins: SignIns) -> None:
    assert sign_ins.issue(ALICE) != sign_ins.issue(ALICE)


def test_it_is_over_at_its_last_second(sign_ins: SignIns, clock: Clock) -> None:
    cookie = sign_ins.issue(ALICE)
    clock.now = 1_000_099.99
    sign_ins.check(cookie)

    clock.now = 1_000_100
    with pytest.raises(NotAuthenticated):
        sign_ins.check(cookie)


def test_signing_out_ends_every_copy_and_no_other_sign_in(sign_ins: SignIns, store: Ended) -> None:
    cookie, other = sign_ins.issue(ALICE), sign_ins.issue(ALICE)
    sign_ins.end(cookie)

    with pytest.raises(NotAuthenticated):
        sign_ins.check(cookie)
    assert sign_ins.check(other).user_id == "alice"
    assert list(store.ended.values()) == [1_000_100]


def test_ending_something_that_is_no_sign_in_records_nothing(sign_ins: SignIns, store: Ended) -> None:
    for cookie in ("", "rubbish", sign_ins.issue(ALICE)[:-1]):
        sign_ins.end(cookie)

    assert store.ended == {}


def test_a_cookie_changed_at_any_byte_is_refused(sign_ins: SignIns) -> None:
    cookie = sign_ins.issue(ALICE)
    for at in range(len(cookie)):
        for other in string.ascii_letters + string.digits + "-_.=":
            changed = cookie[:at] + other + cookie[at + 1 :]
            if changed == cookie:
                continue
            with pytest.raises(NotAuthenticated):
                sign_ins.check(changed)


def test_a_cookie_cut_or_lengthened_anywhere_is_refused(sign_ins: SignIns) -> None:
    cookie = sign_ins.issue(ALICE)
    for changed in [cookie[:at] for at in range(len(cookie))] + [cookie + "A", "A" + cookie, cookie + "\0", cookie * 2]:
        with pytest.raises(NotAuthenticated):
            sign_ins.check(changed)


@pytest.mark.parametrize(
    "content",
    [
        None, 1, "alice", [], {}, ["id", "alice", "stamp"], ["id", "alice", "stamp", None],
        ["id", "alice", "stamp", "tomorrow"], ["id", "alice", "stamp", 9_999_999_999, 1],
        {"a": 1, "b": 2, "c": 3, "d": 4},
    ],
)  # fmt: skip
def test_something_else_that_we_signed_is_no_sign_in(sign_ins: SignIns, content: object) -> None:
    with pytest.raises(NotAuthenticated):
        sign_ins.check(str(KEYS.serializer(SIGN_IN_SALT).dumps(content)))


def test_neither_another_key_nor_another_salt_signs_for_us(sign_ins: SignIns) -> None:
    content = ["0" * 32, "alice", "", 9_999_999_999]
    for serializer in (KeyRing((b"x" * 32,)).serializer(SIGN_IN_SALT), KEYS.serializer("porthole.console-token")):
        with pytest.raises(NotAuthenticated):
            sign_ins.check(str(serializer.dumps(content)))


@pytest.mark.parametrize("cookie", ["", "ä" * 10, "\0", "a.b", "a.b.c.d", "." * 4096, "a" * 1_000_000, "{}", "\ud800"])
def test_rubbish_is_refused(sign_ins: SignIns, cookie: str) -> None:
    with pytest.raises(NotAuthenticated):
        sign_ins.check(cookie)


def test_an_unsigned_cookie_is_refused(sign_ins: SignIns) -> None:
    content = base64.urlsafe_b64encode(json.dumps(["0" * 32, "alice", "", 9_999_999_999]).encode()).decode().rstrip("=")
    for cookie in (content, content + ".", content + "." + "A" * 43):
        with pytest.raises(NotAuthenticated):
            sign_ins.check(cookie)


def test_after_a_new_key_is_put_in_front_old_sign_ins_go_on(store: Ended, clock: Clock, sign_ins: SignIns) -> None:
    cookie = sign_ins.issue(ALICE)
    rotated = SignIns(KeyRing((b"n" * 32, *KEYS.keys)), store, lifetime=100, clock=clock)

    assert rotated.check(cookie).user_id == "alice"
    with pytest.raises(NotAuthenticated):
        sign_ins.check(rotated.issue(ALICE))


def test_the_longest_name_fits(sign_ins: SignIns) -> None:
    names = ["ア" * 255, "".join(chr(0x1F300 + n) for n in range(255))]
    for name in names:
        cookie = sign_ins.issue(Principal(name, "default", frozenset()), "0" * 16)
        assert sign_ins.check(cookie).user_id == name
