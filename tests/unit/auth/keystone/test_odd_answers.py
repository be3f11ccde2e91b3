"""What is said to a user when a Keystone answers, and not as it should."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from porthole.auth.authenticator import Login
from porthole.auth.keystone.authenticator import KeystoneAuthenticator
from tests.unit.auth.keystone.conftest import USER, StandIn

Ask = Callable[..., KeystoneAuthenticator]

ADA = Login("ada", "hush", project="alpha")


@pytest.mark.parametrize("seconds", [0.3, 0.9, 2.5])
def test_a_part_of_a_second_is_a_time_too(ask: Ask, stand_in: StandIn, seconds: float) -> None:
    """keystonemiddleware's own option has whole seconds, so that 0.9 was 0, which is none that requests takes."""
    authenticator = ask(http_connect_timeout=seconds)
    assert authenticator.sign_in(ADA).principal.user_id == "u1"
    assert authenticator.validate(USER).project_id == "p1"
    assert stand_in.asked[-1].startswith("GET /v3/auth/tokens")
