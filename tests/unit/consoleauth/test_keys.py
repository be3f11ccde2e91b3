"""The key file: what is taken, what is refused, and rotation."""

from __future__ import annotations

import base64
import os
import stat
from pathlib import Path

import pytest
from itsdangerous import BadSignature

from porthole.consoleauth.keys import MAX_KEYS, KeyFileError, KeyRing, add_key


def key_file(path: Path, *keys: bytes) -> Path:
    path.write_bytes(b"".join(base64.urlsafe_b64encode(key) + b"\n" for key in keys))
    path.chmod(0o600)
    return path


class TestAdd:
    def test_the_first_key_makes_a_private_file(self, tmp_path: Path) -> None:
        path = tmp_path / "keys"
        assert add_key(path) == 1
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert len(KeyRing.from_file(path).keys[0]) == 32

    def test_a_further_key_goes_in_front_and_keeps_the_mode(self, tmp_path: Path) -> None:
        path = tmp_path / "keys"
        add_key(path)
        path.chmod(0o640)
        (old,) = KeyRing.from_file(path).keys
        assert add_key(path) == 2
        assert KeyRing.from_file(path).keys[1] == old
        assert stat.S_IMODE(path.stat().st_mode) == 0o640

    def test_nothing_is_left_behind(self, tmp_path: Path) -> None:
        add_key(tmp_path / "keys")
        add_key(tmp_path / "keys")
        assert os.listdir(tmp_path) == ["keys"]

    def test_a_file_that_cannot_be_used_is_not_replaced(self, tmp_path: Path) -> None:
        path = tmp_path / "keys"
        path.write_text("not a key\n")
        path.chmod(0o600)
        with pytest.raises(KeyFileError):
            add_key(path)
        assert path.read_text() == "not a key\n"

    def test_there_is_an_end_to_it(self, tmp_path: Path) -> None:
        path = key_file(tmp_path / "keys", *[bytes([n]) * 32 for n in range(MAX_KEYS)])
        with pytest.raises(KeyFileError, match="remove the oldest"):
            add_key(path)


class TestKeep:
    def test_only_the_newest_stay(self, tmp_path: Path) -> None:
        path = key_file(tmp_path / "keys", *[bytes([n]) * 32 for n in range(5)])
        assert add_key(path, keep=3) == 3
        assert KeyRing.from_file(path).keys[1:] == (bytes(32), b"\1" * 32)

    def test_one_is_the_new_one_alone(self, tmp_path: Path) -> None:
        path = key_file(tmp_path / "keys", bytes(32))
        assert add_key(path, keep=1) == 1
        assert KeyRing.from_file(path).keys[0] != bytes(32)

    def test_more_than_there_are_is_all(self, tmp_path: Path) -> None:
        path = key_file(tmp_path / "keys", bytes(32))
        assert add_key(path, keep=9) == 2

    def test_a_full_file_has_room_then(self, tmp_path: Path) -> None:
        path = key_file(tmp_path / "keys", *[bytes([n]) * 32 for n in range(MAX_KEYS)])
        assert add_key(path, keep=MAX_KEYS) == MAX_KEYS

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
    def test_roots_new_key_leaves_the_file_to_its_owner(self, tmp_path: Path) -> None:
        path = key_file(tmp_path / "keys", bytes(32))
        os.chown(path, 12345, 23456)
        path.chmod(0o440)
        add_key(path, keep=2)
        status = path.stat()
        assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (12345, 23456, 0o440)


class TestRotation:
    def test_the_first_key_signs_and_all_verify(self, tmp_path: Path) -> None:
        path = tmp_path / "keys"
        add_key(path)
        before = KeyRing.from_file(path)
        old_token = before.serializer("s").dumps({"a": 1})
        add_key(path)
        after = KeyRing.from_file(path)
        assert after.serializer("s").loads(old_token) == {"a": 1}
        new_token = after.serializer("s").dumps({"a": 1})
        with pytest.raises(BadSignature):
            before.serializer("s").loads(new_token)
        assert KeyRing(after.keys[:1]).serializer("s").loads(new_token) == {"a": 1}

    def test_each_kind_of_token_has_its_salt(self, tmp_path: Path) -> None:
        add_key(tmp_path / "keys")
        keys = KeyRing.from_file(tmp_path / "keys")
        with pytest.raises(BadSignature):
            keys.serializer("sign-in").loads(keys.serializer("console").dumps({}))


class TestRefused:
    @pytest.mark.parametrize("text", ["", "# nothing but a comment\n", "\n\n"])
    def test_no_key(self, tmp_path: Path, text: str) -> None:
        path = key_file(tmp_path / "keys")
        path.write_text(text)
        with pytest.raises(KeyFileError, match="holds no key"):
            KeyRing.from_file(path)

    @pytest.mark.parametrize("line", ["short", "!" * 60, base64.urlsafe_b64encode(bytes(31)).decode()])
    def test_a_line_that_is_no_key_is_named_and_not_shown(self, tmp_path: Path, line: str) -> None:
        path = key_file(tmp_path / "keys", bytes(32))
        path.write_text(path.read_text() + line + "\n")
        with pytest.raises(KeyFileError, match="line 2") as caught:
            KeyRing.from_file(path)
        assert line not in str(caught.value)

    def test_a_file_that_everybody_may_read(self, tmp_path: Path) -> None:
        path = key_file(tmp_path / "keys", bytes(32))
        path.chmod(0o644)
        with pytest.raises(KeyFileError, match="chmod"):
            KeyRing.from_file(path)

    def test_a_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(KeyFileError, match="cannot be read"):
            KeyRing.from_file(tmp_path / "keys")
