"""Nova's tokens: their form, and what Nova says of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from porthole.consoleauth.errors import TokenOfAnotherConsole
from porthole.consoleauth.keys import KeyRing
from porthole.consoleauth.nova import (
    NOVA_USER,
    BadAnswer,
    NovaConsole,
    claims_of,
    is_nova_token,
    read_console,
    token_id,
)
from porthole.consoleauth.tokens import ConsoleAuth
from porthole.state.sqlite import SqliteStore

TOKEN = "f807a660-ebf7-461a-94bc-1305f44a9e12"
ID = "0a7a9a6e-3a5e-4a52-b1c9-2a7f0d3f4d11"


def answer(**values: Any) -> dict[str, Any]:
    console = {"instance_uuid": ID, "host": "10.0.0.5", "port": 5900, "internal_access_path": None}
    return {"console": {**console, **values}}


class TestForm:
    def test_a_token_is_a_uuid_as_nova_makes_it(self) -> None:
        assert is_nova_token(TOKEN)

    @pytest.mark.parametrize(
        "token", [None, "", TOKEN.upper(), TOKEN.replace("-", ""), f" {TOKEN}", f"{TOKEN}\n", f"{TOKEN}/../x", "x" * 36]
    )
    def test_nothing_else_is(self, token: str | None) -> None:
        assert not is_nova_token(token)

    def test_least_of_all_one_of_ours(self, tmp_path: Path) -> None:
        store = SqliteStore(tmp_path / "store")
        ours = ConsoleAuth(KeyRing((b"k" * 32,)), store, 600).authorize(
            instance_id=ID, console_type="novnc", user_id="max", project_id="p"
        )
        store.close()
        assert not is_nova_token(ours.token)

    def test_its_name_does_not_give_it_away(self) -> None:
        assert len(token_id(TOKEN)) == 32
        assert token_id(TOKEN) not in TOKEN
        assert token_id(TOKEN) == token_id(TOKEN) != token_id(TOKEN.replace("f", "e"))


class TestAnswer:
    def test_says_instance_host_and_port(self) -> None:
        assert read_console(answer()) == NovaConsole(ID, "10.0.0.5", 5900, "")

    def test_in_whichever_spelling(self) -> None:
        found = read_console(answer(instance_uuid=ID.upper(), port="5900", internal_access_path="/c?ref=1", more=1))
        assert found == NovaConsole(ID, "10.0.0.5", 5900, "/c?ref=1")

    @pytest.mark.parametrize("values", [{"tls_port": 5999}, {"tls_port": None}, {"port": None}])
    def test_a_console_of_spice_is_another_one(self, values: dict[str, Any]) -> None:
        with pytest.raises(TokenOfAnotherConsole, match="of type novnc"):
            read_console(answer(**values))

    @pytest.mark.parametrize(
        "values",
        [
            {"instance_uuid": None}, {"instance_uuid": "../x"}, {"instance_uuid": 7}, {"host": None}, {"host": ""},
            {"host": "a b"}, {"host": "x" * 256}, {"port": 0}, {"port": 65536}, {"port": -1}, {"port": True},
            {"port": 5900.5}, {"port": "x"}, {"port": "٥٩٠٠"}, {"internal_access_path": "/a b"},
            {"internal_access_path": "/a\r\nHost: b"}, {"internal_access_path": "/é"},
            {"internal_access_path": "/" * 2049}, {"internal_access_path": 7},
        ],
    )  # fmt: skip
    def test_what_is_not_in_the_schema_is_not_used(self, values: dict[str, Any]) -> None:
        with pytest.raises(BadAnswer):
            read_console(answer(**values))

    @pytest.mark.parametrize("whole", [None, [], "x", {}, {"console": None}, {"console": []}])
    def test_nor_another_answer(self, whole: Any) -> None:
        with pytest.raises(BadAnswer):
            read_console(whole)


def test_the_claims_have_no_address_and_name_no_person() -> None:
    claims = claims_of(TOKEN, NovaConsole(ID, "10.0.0.5", 5900), "p", 1_700_000_600)
    assert (claims.instance_id, claims.user_id, claims.project_id) == (ID, NOVA_USER, "p")
    assert (claims.console_type, claims.mode, claims.share_uses, claims.expires) == ("novnc", "full", 0, 1_700_000_600)
    assert claims.token_id == token_id(TOKEN)
    assert TOKEN not in repr(claims)
    assert "10.0.0.5" not in repr(claims)
