"""A line: its form, its bounds, and its mac."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from porthole.audit import Entry, Event, Head, Result, Who
from porthole.audit.entry import MAX_DETAILS, MAX_TEXT
from porthole.audit.keys import AuditKeys
from porthole.audit.line import MAX_LINE, START, encode, read
from porthole.consoleauth.keys import KeyFileError
from tests.unit.audit.conftest import KEY, KEYS, NOW, OTHER_KEY, OTHER_KEYS, entry, key_file

LONGEST = "\U0001f600" * 1000


def test_the_fields_stand_in_a_fixed_order() -> None:
    line, _ = encode(entry(), START, KEYS)

    assert list(json.loads(line)) == [
        "seq", "time", "event", "result", "who", "client", "instance", "compute", "token_id", "session_id",
        "reason", "details", "key", "prev", "mac",
    ]  # fmt: skip


def test_the_time_is_utc_with_milliseconds() -> None:
    line, _ = encode(entry(), START, KEYS)

    assert json.loads(line)["time"] == "2023-11-14T22:13:20.250Z"


def test_a_line_names_the_mac_of_the_line_before() -> None:
    first, head = encode(entry(), START, KEYS)
    second, _ = encode(entry(), head, KEYS)

    assert json.loads(first)["prev"] == "0" * 64
    assert json.loads(second)["prev"] == json.loads(first)["mac"]
    assert json.loads(second)["seq"] == 2


def test_the_mac_is_hmac_sha256_of_the_mac_before_and_the_line_without_its_own() -> None:
    line, head = encode(entry(), Head(4, "ab" * 32), KEYS)
    body = line[: line.index(b',"mac":')] + b"}"
    derived = hmac.new(KEY, b"porthole audit mac", hashlib.sha256).digest()

    assert head == Head(5, hmac.new(derived, b"ab" * 32 + body, hashlib.sha256).hexdigest())


@pytest.mark.parametrize(
    ("event", "result"),
    [(Event.SIGN_IN, "success"), (Event.SIGN_IN_REFUSED, "refused"), (Event.CONNECT_REFUSED, "refused")],
)
def test_without_a_result_the_event_says_it(event: Event, result: str) -> None:
    assert Entry(event=event, time=NOW).fields()["result"] == result


def test_a_result_that_is_given_counts() -> None:
    assert Entry(event=Event.ADMIN_ACT, time=NOW, result=Result.FAILED).fields()["result"] == "failed"


def test_a_long_text_is_cut_with_a_mark() -> None:
    fields = Entry(event=Event.SIGN_IN, time=NOW, reason="x" * (MAX_TEXT + 7)).fields()

    assert fields["reason"] == "x" * MAX_TEXT + "...(+7)"


def test_details_are_few_and_say_how_many_more_there_were() -> None:
    fields = Entry(event=Event.SIGN_IN, time=NOW, details={f"d{n}": n for n in range(MAX_DETAILS + 3)}).fields()

    assert isinstance(fields["details"], dict)
    assert len(fields["details"]) == MAX_DETAILS + 1
    assert fields["details"]["more"] == 3


def test_a_huge_number_is_not_written_out() -> None:
    assert Entry(event=Event.SIGN_IN, time=NOW, details={"n": 1 << 10_000}).fields()["details"] == {
        "n": "about 2^10000"
    }


def test_a_token_that_is_passed_as_an_id_is_not_written() -> None:
    line, _ = encode(Entry(event=Event.TOKEN_ISSUED, time=NOW, token_id="WyJhYiJd.c2lnbmF0dXJl"), START, KEYS)

    assert b"c2lnbmF0dXJl" not in line
    assert json.loads(line)["token_id"] == "(no id)"


def test_the_longest_line_is_within_the_bound() -> None:
    longest = Entry(
        event=Event.STRANGER_ON_SCREEN, time=NOW, who=Who(LONGEST, LONGEST), client=LONGEST, instance=LONGEST,
        compute=LONGEST, token_id=LONGEST, session_id=LONGEST, reason=LONGEST,
        details={LONGEST[: 100 + n]: LONGEST for n in range(20)} | {f"{n}{LONGEST}": LONGEST for n in range(20)},
    )  # fmt: skip
    line, _ = encode(longest, Head(10**17, "f" * 64), KEYS)

    assert len(line) < MAX_LINE
    found = read(line[:-1], KEYS)
    assert found is not None
    assert found.genuine


@given(st.text(st.characters(exclude_categories=()), max_size=30))
def test_any_text_is_one_line_of_plain_ascii_and_comes_back(text: str) -> None:
    line, head = encode(Entry(event=Event.SIGN_IN, time=NOW, who=Who(text), reason=text), START, KEYS)
    found = read(line[:-1], KEYS)

    assert line.endswith(b"\n")
    assert all(0x20 <= byte < 0x7F for byte in line[:-1])
    assert found is not None
    assert found.genuine
    assert found.head == head
    assert found.fields()["reason"] == text


def test_a_text_that_looks_like_the_end_of_a_line_is_only_a_text() -> None:
    fake = f'","key":"{KEYS.signing_id}","prev":"{"0" * 64}","mac":"{"0" * 64}"}}'
    line, _ = encode(Entry(event=Event.SIGN_IN, time=NOW, reason=fake), START, KEYS)
    found = read(line[:-1], KEYS)

    assert found is not None
    assert found.genuine
    assert found.fields()["reason"] == fake


def test_a_line_of_another_key_has_the_form_and_is_not_genuine() -> None:
    line, _ = encode(entry(), START, OTHER_KEYS)
    found = read(line[:-1], KEYS)

    assert found is not None
    assert not found.known_key
    assert not found.genuine


@pytest.mark.parametrize(
    "raw", [b"", b"{}", b"null", b'{"seq":1}', b"\x00" * 300, b"x" * (MAX_LINE + 1), b'{"seq":0,' + b"," * 300]
)
def test_what_has_not_our_form_is_no_line(raw: bytes) -> None:
    assert read(raw, KEYS) is None


class TestKeys:
    def test_the_first_signs_and_all_verify(self) -> None:
        old_line, head = encode(entry(), START, KEYS)
        both = AuditKeys([OTHER_KEY, KEY])
        new_line, _ = encode(entry(), head, both)

        assert both.signing_id == OTHER_KEYS.signing_id
        for line in (old_line, new_line):
            found = read(line[:-1], both)
            assert found is not None
            assert found.genuine

    def test_they_are_not_shown(self) -> None:
        assert KEY.hex() not in repr(KEYS)
        assert repr(KEY) not in repr(KEYS)

    def test_without_one_there_is_no_log(self) -> None:
        with pytest.raises(ValueError, match="needs a key"):
            AuditKeys([])

    @pytest.mark.parametrize("text", [base64.urlsafe_b64encode(KEY), KEY.hex().encode()], ids=["base64url", "hex"])
    def test_a_file_of_either_spelling_is_read(self, tmp_path: Path, text: bytes) -> None:
        path = tmp_path / "audit.keys"
        path.write_bytes(text + b"\n")
        path.chmod(0o600)

        assert AuditKeys.from_file(path).signing_id in AuditKeys.from_file(path)

    def test_a_file_that_everybody_may_read_is_refused(self, tmp_path: Path) -> None:
        path = key_file(tmp_path / "audit.keys", KEY)
        path.chmod(0o644)
        with pytest.raises(KeyFileError, match="everybody may read it"):
            AuditKeys.from_file(path)
