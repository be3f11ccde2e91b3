"""Tokens and sign-ins that were changed, cut, forged or made for something else: none is taken, and none is a 5xx."""

from __future__ import annotations

import http.client
import json
import string
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest

from porthole.auth.signin import SIGN_IN_SALT
from porthole.consoleauth.keys import KeyRing, add_key
from porthole.consoleauth.tokens import CONSOLE_SALT
from tests.hosts import ComputeHost, Guest, Network
from tests.service import Appliance, RfbClient

UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg==",
    "Sec-WebSocket-Version": "13",
    "Accept": "application/json",
}
LETTERS = string.ascii_letters + string.digits + "-_"


@pytest.fixture(scope="module")
def guest(computes: tuple[ComputeHost, ComputeHost]) -> Iterator[Guest]:
    yield computes[0].start_guest("web-1")
    for host in computes:
        host.remove_guests()


@pytest.fixture(scope="module")
def appliance(
    network: Network, computes: tuple[ComputeHost, ComputeHost], guest: Guest, novnc: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Appliance]:  # fmt: skip
    folder = tmp_path_factory.mktemp("tokens")
    appliance = Appliance(folder, network.appliance, network.appliance_ip, computes, port=6340)
    appliance.start()
    yield appliance
    assert not appliance.log_lines("unexpected error")
    appliance.stop()


def changed(text: str) -> Iterator[str]:
    """Each byte as its neighbour in the alphabet, as one of the other half of it, and as one that is none of it."""
    for number, letter in enumerate(text):
        at = LETTERS.find(letter)
        for other in (LETTERS[(at + 1) % 64], LETTERS[(at + 32) % 64], "." if letter != "." else "~"):
            if other != letter:
                yield text[:number] + other + text[number + 1 :]


def misshapen(text: str) -> Iterator[str]:
    """Cut at each byte, doubled, turned round, with something around it, and in another case."""
    yield from (text[:size] for size in range(1, len(text)))
    yield from (text[number:] for number in range(1, len(text), 7))
    yield from (text * 2, text[::-1], text.swapcase(), text.upper(), text.replace(".", ""), f"{text}.{text}")
    yield from (
        f" {text}",
        f"{text} ",
        f"{text}=",
        f"{text}\0",
        f"\0{text}",
        f"{text}\n",
        f"ü{text}",
        f"{text}{'A' * 3000}",
    )


def forged(folder: Path, token: str) -> Iterator[str]:
    """Of another key, of another kind, of this key and kind and never issued, and signed by nobody."""
    ours = KeyRing.from_file(folder / "token.keys")
    add_key(folder / "stranger.keys")
    strangers = KeyRing.from_file(folder / "stranger.keys")
    claims = ours.serializer(CONSOLE_SALT).loads(token)
    yield str(strangers.serializer(CONSOLE_SALT).dumps(claims))
    for salt in (SIGN_IN_SALT, "", "porthole.console-token.", "itsdangerous"):
        yield str(ours.serializer(salt).dumps(claims))
    for other in (
        {**claims, "token_id": "0" * 32},
        {**claims, "user_id": "ann"},
        {**claims, "mode": "view"},
        {**claims, "expires": claims["expires"] + 1},
        {**claims, "more": 1},
        list(claims),
        None,
        7,
        {},
    ):
        yield str(ours.serializer(CONSOLE_SALT).dumps(other))
    payload, _, signature = token.rpartition(".")
    other_payload = str(ours.serializer(CONSOLE_SALT).dumps({**claims, "user_id": "ann"})).rpartition(".")[0]
    yield from (f"{other_payload}.{signature}", f"{payload}.", f".{signature}", payload, signature)


class Asking:
    """Questions over one connection, as long as the service leaves it open."""

    def __init__(self, appliance: Appliance) -> None:
        self._connection = http.client.HTTPConnection(appliance.ip, appliance.port, timeout=30)

    def _ask(self, method: str, path: str, body: object, headers: dict[str, str]) -> tuple[int, object]:
        data = None if body is None else json.dumps(body)
        self._connection.request(method, path, data, headers)
        answer = self._connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text).get("code") if text.startswith(b"{") else None

    def check(self, token: str) -> tuple[int, object]:
        """What the console page asks."""
        return self._ask("POST", "/v1/consoles/check", {"token": token}, {"Content-Type": "application/json"})

    def upgrade(self, token: str) -> tuple[int, object]:
        """What the WebSocket asks."""
        return self._ask("GET", f"/?token={urllib.parse.quote(token)}", None, UPGRADE)

    def sign_in(self, cookie: str) -> tuple[int, object]:
        """Who is signed in with this cookie."""
        return self._ask("GET", "/v1/session", None, {"Cookie": f"porthole_session={cookie}"})


@pytest.fixture
def asking(appliance: Appliance) -> Asking:
    return Asking(appliance)


INVALID = (403, "token-invalid")


class TestConsoleTokens:
    @pytest.fixture
    def token(self, appliance: Appliance, guest: Guest) -> Iterator[str]:
        """A good one, which opens its console after all that was done with its likes."""
        token = appliance.token(guest.uuid)
        yield token
        client = RfbClient(appliance.upgrade(token)).handshake()
        assert client.name == "QEMU (web-1)"
        client.close()

    def test_a_token_changed_at_any_byte_is_refused_everywhere(self, asking: Asking, token: str) -> None:
        tried = list(changed(token))
        assert len(tried) >= 2 * len(token)
        for other in tried:
            assert asking.check(other) == INVALID, other
        for other in tried:
            assert asking.upgrade(other) == INVALID, other

    def test_so_is_one_that_was_cut_doubled_or_wrapped(self, asking: Asking, token: str) -> None:
        for other in misshapen(token):
            if len(other) <= 2048:
                assert asking.check(other) == INVALID, other
            assert asking.upgrade(other) == INVALID, other

    def test_so_is_one_of_another_key_another_kind_or_never_issued(
        self, appliance: Appliance, asking: Asking, token: str
    ) -> None:
        for other in forged(appliance.folder, token):
            assert asking.check(other) == INVALID, other
            assert asking.upgrade(other) == INVALID, other

    def test_a_sign_in_is_no_token_and_a_token_is_no_sign_in(self, asking: Asking, cookie: str, token: str) -> None:
        assert asking.check(cookie) == asking.upgrade(cookie) == INVALID
        assert asking.sign_in(token) == (401, "not-authenticated")


@pytest.fixture
def cookie(appliance: Appliance) -> str:
    """A sign-in's."""
    answer = appliance.call(
        "POST", "/v1/session", None, json={"username": "max", "password": appliance.passwords["max"]}
    )
    return str(answer.cookies["porthole_session"])


class TestSignIns:
    def test_a_cookie_changed_at_any_byte_is_no_sign_in(self, asking: Asking, cookie: str) -> None:
        for other in changed(cookie):
            assert asking.sign_in(other) == (401, "not-authenticated"), other
        assert asking.sign_in(cookie)[0] == 200

    def test_nor_is_one_that_was_cut_or_doubled(self, asking: Asking, cookie: str) -> None:
        for other in misshapen(cookie):
            if other.isascii() and other.isprintable() and " " not in other:  # others cannot be in a cookie
                assert asking.sign_in(other) == (401, "not-authenticated"), other
        assert asking.sign_in(cookie)[0] == 200

    def test_nor_is_one_of_another_key_or_kind(self, appliance: Appliance, asking: Asking, cookie: str) -> None:
        ours = KeyRing.from_file(appliance.folder / "token.keys")
        add_key(appliance.folder / "other.keys")
        signed = ours.serializer(SIGN_IN_SALT).loads(cookie)
        others = [
            KeyRing.from_file(appliance.folder / "other.keys").serializer(SIGN_IN_SALT).dumps(signed),
            ours.serializer(CONSOLE_SALT).dumps(signed),
            ours.serializer(SIGN_IN_SALT).dumps([signed[0], "nobody", *signed[2:]]),
            ours.serializer(SIGN_IN_SALT).dumps([*signed[:2], "another password", signed[3]]),
            ours.serializer(SIGN_IN_SALT).dumps([*signed[:3], 0]),
        ]
        nonsense: list[object] = [None, [], {}, [1, 2, 3, 4], "abcd"]
        others += [ours.serializer(SIGN_IN_SALT).dumps(one) for one in nonsense]
        for other in others:
            assert asking.sign_in(str(other)) == (401, "not-authenticated"), other
        assert asking.sign_in(cookie)[0] == 200
