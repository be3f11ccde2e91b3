"""What is said to a user when a Keystone answers, and not as it should."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from porthole.auth.authenticator import Login
from porthole.auth.errors import IdentityUnavailable, NotAuthenticated
from porthole.auth.keystone.authenticator import KeystoneAuthenticator
from porthole.auth.keystone.identity import Identity
from tests.unit.auth.keystone.conftest import ERROR, OWN, USER, Reply, StandIn, settings, token_body

Ask = Callable[..., KeystoneAuthenticator]

ADA = Login("ada", "hush", project="alpha")


@pytest.mark.parametrize("seconds", [0.3, 0.9, 2.5])
def test_a_part_of_a_second_is_a_time_too(stand_in: StandIn, seconds: float) -> None:
    """keystonemiddleware's own option has whole seconds, so that 0.9 was 0, which is none that requests takes."""
    identity = Identity(settings(stand_in.url, http_connect_timeout=seconds))
    assert identity._protocol._session.timeout == seconds
    assert identity._session.timeout == seconds
    identity.close()


NO_TOKENS = [
    Reply(200, "<html>Welcome to nginx!</html>"),
    Reply(200, []),
    Reply(200, {}),
    Reply(200, {"token": {}}),
    Reply(200, {"token": []}),
    Reply(200, {"access": {"token": {}}}),
]
HALF_TOKENS = [
    Reply(200, token_body(user=None)),
    Reply(200, token_body(user="ada")),
    Reply(200, token_body(project="alpha")),
    Reply(200, token_body(roles=[7])),
    Reply(200, token_body(roles=7)),
    Reply(200, token_body(expires_at=None)),
    Reply(200, token_body(expires_at="soon")),
    Reply(200, token_body(application_credential=7)),
]
FAILURES = [
    Reply(204),
    Reply(500, ERROR),
    Reply(502, "Bad Gateway"),
    Reply(418, "a teapot"),
]


def name(reply: Reply) -> str:
    return f"{reply.status} {json.dumps(reply.body):.30}"


class TestOdd:
    @pytest.mark.parametrize("reply", [*NO_TOKENS, *HALF_TOKENS, *FAILURES], ids=name)
    def test_nobody_can_say_who_asks(self, ask: Ask, stand_in: StandIn, reply: Reply) -> None:
        stand_in.token = reply
        stand_in.sign_in = Reply(reply.status, reply.body, {"X-Subject-Token": USER})
        authenticator = ask()
        for question in (lambda: authenticator.validate(USER), lambda: authenticator.sign_in(ADA)):
            with pytest.raises(IdentityUnavailable) as refused:
                question()
            assert refused.value.why
            assert "Traceback" not in refused.value.why
        assert authenticator.problem()

    @pytest.mark.parametrize("reply", [*NO_TOKENS, *FAILURES], ids=name)
    def test_nor_when_the_services_own_sign_in_has_one(self, ask: Ask, stand_in: StandIn, reply: Reply) -> None:
        stand_in.own = Reply(reply.status, reply.body, {"X-Subject-Token": OWN})
        with pytest.raises(IdentityUnavailable):
            ask().validate(USER)

    def test_a_token_without_its_header_is_no_sign_in(self, ask: Ask, stand_in: StandIn) -> None:
        stand_in.sign_in = Reply(201, token_body())
        with pytest.raises(IdentityUnavailable):
            ask().sign_in(ADA)


class TestNo:
    @pytest.mark.parametrize("status", [400, 401, 403, 404])
    def test_a_sign_in_is_refused_by_keystone(self, ask: Ask, stand_in: StandIn, status: int) -> None:
        stand_in.sign_in = Reply(status, ERROR)
        authenticator = ask()
        with pytest.raises(NotAuthenticated):
            authenticator.sign_in(ADA)
        assert authenticator.problem() == ""

    @pytest.mark.parametrize("status", [401, 403, 404])
    def test_and_by_nothing_that_stands_in_front_of_it(self, ask: Ask, stand_in: StandIn, status: int) -> None:
        stand_in.sign_in = stand_in.token = Reply(status, "<html>Not here</html>")
        authenticator = ask()
        for question in (lambda: authenticator.validate(USER), lambda: authenticator.sign_in(ADA)):
            with pytest.raises(IdentityUnavailable):
                question()

    def test_one_that_wants_a_second_proof_is_a_plain_refusal(self, ask: Ask, stand_in: StandIn) -> None:
        """Keystone's multi-factor rules: 401 and a receipt, with which the others could be sent."""
        receipt = {"methods": ["password"], "expires_at": "2099-11-01T00:00:00.000000Z"}
        body = {"receipt": receipt, "required_auth_methods": [["password", "totp"]]}
        stand_in.sign_in = stand_in.own = Reply(401, body, {"Openstack-Auth-Receipt": "r"})
        authenticator = ask()
        with pytest.raises(NotAuthenticated):
            authenticator.sign_in(ADA)
        assert authenticator.problem() == ""
        with pytest.raises(IdentityUnavailable):
            authenticator.validate(USER)

    def test_a_token_is_none_when_keystone_does_not_find_it(self, ask: Ask, stand_in: StandIn) -> None:
        stand_in.token = Reply(404, ERROR)
        with pytest.raises(NotAuthenticated):
            ask().validate(USER)

    def test_and_not_when_the_services_own_sign_in_finds_nothing(self, ask: Ask, stand_in: StandIn) -> None:
        """``auth_url`` names another server, or a folder too many."""
        stand_in.own = Reply(404, ERROR)
        with pytest.raises(IdentityUnavailable):
            ask().validate(USER)
