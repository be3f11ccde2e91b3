"""A few thousand inputs for each target, and that the fuzzer would find something if there were something."""

from __future__ import annotations

from random import Random

import pytest

from porthole.proxy.errors import FrameError
from porthole.proxy.frames import FrameParser
from porthole.proxy.rfb import client_messages
from tests.fuzz.__main__ import NAMES
from tests.fuzz.running import Found, check, run, targets
from tests.fuzz.targets import PARSED

INPUTS = 3000


@pytest.mark.parametrize(
    ("name", "errors"),
    [
        ("CLIENT_MESSAGES", {"ClientMessageError"}),
        ("SERVER", {"ProtocolBroken", "PeerRefused", "PasswordRefused", "SecurityMismatch"}),
        ("FRAMES", {"FrameError"}),
    ],
)
def test_every_input_is_parsed_or_refused_with_a_documented_error(name: str, errors: set[str]) -> None:
    outcomes = run(name, INPUTS, seed=1)
    assert set(outcomes) == {PARSED, *errors}, "and each of these was seen"
    assert min(outcomes.values()) > INPUTS // 100


def test_the_command_line_offers_every_target() -> None:
    assert set(NAMES) == set(targets())


def test_what_a_viewer_may_send_is_never_refused_however_it_is_cut() -> None:
    target = targets()["CLIENT_MESSAGES"]
    random = Random(1)  # noqa: S311 - the same each time
    for _ in range(300):
        dialogue = target.dialogue(random)[1:]
        for view_in_pieces_of in (0, 1, 5, 40):
            settings = bytes([4 * view_in_pieces_of + 1])
            assert check("CLIENT_MESSAGES", target, settings + dialogue) == PARSED


@pytest.mark.parametrize("name", NAMES)
def test_nothing_at_all_is_an_input_too(name: str) -> None:
    assert check(name, targets()[name], b"") == PARSED


def test_the_same_seed_gives_the_same_inputs() -> None:
    assert run("SERVER", 300, seed=5) == run("SERVER", 300, seed=5) != run("SERVER", 300, seed=6)


def test_an_error_that_is_not_documented_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(parser: FrameParser, payload: bytes) -> bytes:
        raise IndexError

    monkeypatch.setattr(FrameParser, "feed", broken)
    with pytest.raises(Found, match=r"again with: python -m tests\.fuzz FRAMES --input [0-9a-f]+") as caught:
        run("FRAMES", 300, seed=1)
    assert isinstance(caught.value.__cause__, IndexError)
    assert not isinstance(caught.value.__cause__, FrameError)


@pytest.mark.parametrize("kind", [4, 5, 6, 150, 248, 250, 251, 255])
def test_a_message_that_a_view_only_session_would_let_through_is_found(
    monkeypatch: pytest.MonkeyPatch, kind: int
) -> None:
    monkeypatch.setattr(client_messages, "_ASKS_FOR_THE_PICTURE", frozenset({0, 2, 3, kind}))
    with pytest.raises(Found):
        run("CLIENT_MESSAGES", 1000, seed=1)


def test_an_offer_that_a_view_only_session_would_let_through_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_messages, "picture_only", lambda message: message)
    with pytest.raises(Found):
        run("CLIENT_MESSAGES", 1000, seed=1)
