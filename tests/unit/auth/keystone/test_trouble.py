"""What is said to be wrong with Keystone, and which answers show that it is over."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import gevent
import pytest
from structlog.testing import capture_logs

from porthole.auth.authenticator import Login
from porthole.auth.errors import AuthError
from porthole.auth.keystone.identity import PROBE_EVERY, PROVE_EVERY, Identity
from porthole.auth.keystone.trouble import LAPSES
from tests.unit.auth.keystone.conftest import ERROR, USER, Reply, StandIn, settings

ADA = Login("ada", "hush", project="alpha")
DOWN = Reply(503, "no server is available")


class Clock:
    """Goes on when it is told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def identity(stand_in: StandIn, clock: Clock) -> Iterator[Identity]:
    identity = Identity(settings(stand_in.url), clock)
    yield identity
    identity.close()


def tried(question: Callable[[], object]) -> None:
    """Ask, whatever comes of it."""
    try:
        question()
    except AuthError:
        return


def looked(identity: Identity, clock: Clock, seconds: float = PROBE_EVERY) -> str:
    """What is wrong after the look that is due after so many seconds."""
    clock.now += seconds
    identity.problem()
    probe = identity._probe
    assert probe is not None
    gevent.joinall([probe], timeout=30, raise_error=True)
    return identity.problem()


def test_a_sign_in_does_not_show_that_tokens_are_checked(identity: Identity, stand_in: StandIn) -> None:
    stand_in.own = Reply(401, ERROR)
    tried(lambda: identity.validate(USER))
    assert "checks no tokens for this service" in identity.problem()
    identity.password(ADA)
    assert "checks no tokens for this service" in identity.problem()
    stand_in.own = StandIn().own
    identity.validate(USER)
    assert identity.problem() == ""


def test_nor_does_its_being_there(identity: Identity, stand_in: StandIn, clock: Clock) -> None:
    stand_in.own = Reply(401, ERROR)
    tried(lambda: identity.validate(USER))
    assert "checks no tokens for this service" in looked(identity, clock)
    assert stand_in.asked[-1] == "GET /v3"


def test_that_is_found_out_without_a_user(identity: Identity, stand_in: StandIn, clock: Clock) -> None:
    """A password that is wrong in the configuration is seen in /readyz before the first user comes."""
    right, stand_in.own = stand_in.own, Reply(401, ERROR)
    assert "checks no tokens for this service" in looked(identity, clock)
    stand_in.own, stand_in.token = right, Reply(404, ERROR)
    assert looked(identity, clock, PROVE_EVERY) == ""


def test_once_it_is_known_nobody_asks_about_tokens_that_are_none(
    identity: Identity, stand_in: StandIn, clock: Clock
) -> None:
    identity.validate(USER)
    stand_in.asked.clear()
    assert looked(identity, clock, PROVE_EVERY) == ""
    assert stand_in.asked == ["GET /v3"]


def test_any_answer_of_keystones_shows_that_it_is_reached(identity: Identity, stand_in: StandIn) -> None:
    stand_in.token = DOWN
    tried(lambda: identity.validate(USER))
    assert "cannot be asked" in identity.problem()
    stand_in.sign_in = Reply(401, ERROR)
    tried(lambda: identity.password(ADA))
    assert identity.problem() == ""


@pytest.mark.parametrize(
    "other",
    [Reply(200, "<html>Welcome to nginx!</html>"), Reply(200, {"status": "ok"}), Reply(401, "no"), Reply(404, "no")],
)
def test_another_servers_shows_nothing(identity: Identity, stand_in: StandIn, clock: Clock, other: Reply) -> None:
    identity.validate(USER)
    stand_in.token = stand_in.sign_in = DOWN
    tried(lambda: identity.validate(USER))
    stand_in.version = stand_in.sign_in = other
    tried(lambda: identity.password(ADA))
    assert "cannot be asked" in looked(identity, clock)
    stand_in.version = None
    assert "fails when users sign in" in looked(identity, clock, PROVE_EVERY), "that was not answered either"


def test_a_sign_in_that_fails_says_nothing_of_tokens_nor_they_of_it(identity: Identity, stand_in: StandIn) -> None:
    stand_in.sign_in = Reply(500, ERROR)
    tried(lambda: identity.password(ADA))
    assert "fails when users sign in" in identity.problem()
    identity.validate(USER)
    assert "fails when users sign in" in identity.problem()
    stand_in.sign_in = Reply(401, ERROR)
    tried(lambda: identity.password(ADA))
    assert identity.problem() == "", "a refusal is an answer"


def test_it_counts_until_none_has_failed_for_a_while(identity: Identity, stand_in: StandIn, clock: Clock) -> None:
    """Nobody may sign in for hours, and nothing but that shows that it works."""
    identity.validate(USER)
    stand_in.sign_in = Reply(500, ERROR)
    with capture_logs() as logs:
        for _ in range(2):
            tried(lambda: identity.password(ADA))
            clock.now += LAPSES - 1
            assert "fails when users sign in" in identity.problem()
        clock.now += 1
        assert identity.problem() == ""
        tried(lambda: identity.password(ADA))
        assert "fails when users sign in" in identity.problem()
    assert [line["event"] for line in logs] == ["Keystone cannot be asked"] * 2, "once for each time that it began"


def test_nobody_asks_about_a_token_because_of_it(identity: Identity, stand_in: StandIn, clock: Clock) -> None:
    identity.validate(USER)
    stand_in.sign_in = Reply(500, ERROR)
    tried(lambda: identity.password(ADA))
    stand_in.asked.clear()
    assert "fails when users sign in" in looked(identity, clock, PROVE_EVERY)
    assert stand_in.asked == ["GET /v3"]


def test_a_revocation_that_fails_says_nothing_of_sign_ins(identity: Identity, stand_in: StandIn) -> None:
    stand_in.token = Reply(500, ERROR)
    identity.revoke(USER)
    assert identity.problem() == ""


def test_each_trouble_is_logged_when_it_begins_and_when_it_is_over(identity: Identity, stand_in: StandIn) -> None:
    stand_in.own = Reply(401, ERROR)
    with capture_logs() as logs:
        for _ in range(3):
            tried(lambda: identity.validate(USER))
            identity.password(ADA)
        stand_in.own = StandIn().own
        identity.validate(USER)
    assert [(line["event"], line["about"]) for line in logs] == [
        ("Keystone cannot be asked", "tokens"), ("Keystone answers again", "tokens"),
    ]  # fmt: skip
    assert "The request requires authentication." in logs[0]["why"]
