"""Who is let in by the htpasswd file."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from porthole.auth.errors import NotAuthenticated
from porthole.auth.files import UserFileError
from porthole.auth.htpasswd import HtpasswdAuthenticator
from porthole.auth.passwords import PasswordChecker
from porthole.auth.principal import Principal, Role
from porthole.auth.users import remove_user
from tests.unit.auth.conftest import PASSWORD, Files


def test_the_right_password_gives_the_user_with_project_and_roles(authenticator: HtpasswdAuthenticator) -> None:
    assert authenticator.authenticate("alice", PASSWORD) == Principal("alice", "default", frozenset({Role.ADMIN}))
    assert authenticator.authenticate("carol", PASSWORD).roles == {Role.READER}


@pytest.mark.parametrize(
    ("user", "password"),
    [
        ("alice", "wrong password"),
        ("alice", PASSWORD + " "),
        ("alice", PASSWORD.upper()),
        ("Alice", PASSWORD),
        ("alice ", PASSWORD),
        ("nobody", PASSWORD),
        ("", PASSWORD),
        ("alice\0", PASSWORD),
        ("alice\nbob", PASSWORD),
        ("a" * 100_000, PASSWORD),
    ],
)
def test_a_wrong_name_and_a_wrong_password_get_the_same_words(
    authenticator: HtpasswdAuthenticator, user: str, password: str
) -> None:
    with pytest.raises(NotAuthenticated) as refused:
        authenticator.authenticate(user, password)

    assert str(refused.value) == "The user name or the password is wrong."


@pytest.mark.parametrize("user", ["alice", "nobody"])
@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("", "is empty"),
        ("a" * 73, "longer than 72 bytes"),
        ("ä" * 37, "longer than 72 bytes"),
        ("a" * 1_000_000, "longer than 72 bytes"),
        ("a\0b", "null byte"),
    ],
)
def test_what_bcrypt_cannot_take_is_said_and_is_the_same_for_every_name(
    authenticator: HtpasswdAuthenticator, user: str, password: str, words: str
) -> None:
    with pytest.raises(NotAuthenticated, match=words):
        authenticator.authenticate(user, password)


@pytest.mark.parametrize(("user", "password"), [("ali\ud800ce", PASSWORD), ("alice", "\udfff" * 10)])
def test_text_that_is_not_unicode_is_refused(authenticator: HtpasswdAuthenticator, user: str, password: str) -> None:
    with pytest.raises(NotAuthenticated):
        authenticator.authenticate(user, password)


def test_a_password_of_exactly_72_bytes_works_to_its_last_byte(
    files: Files, make_authenticator: Callable[[Files], HtpasswdAuthenticator]
) -> None:
    files.add("dave", "member", "x" * 71 + "y")
    authenticator = make_authenticator(files)

    assert authenticator.authenticate("dave", "x" * 71 + "y").user_id == "dave"
    with pytest.raises(NotAuthenticated):
        authenticator.authenticate("dave", "x" * 72)


def test_an_unknown_user_costs_one_bcrypt_check_of_the_same_cost(files: Files) -> None:
    checked: list[tuple[bytes, bytes]] = []

    def note(password: bytes, password_hash: bytes) -> bool:
        checked.append((password, password_hash))
        return False

    authenticator = HtpasswdAuthenticator(files.users, files.roles, "default", PasswordChecker(check=note))
    for user in ("alice", "nobody"):
        with pytest.raises(NotAuthenticated):
            authenticator.authenticate(user, "a wrong one")
    authenticator.close()

    (_, known), (_, dummy) = checked
    assert known[:7] == dummy[:7] == b"$2b$04$"
    assert len(known) == len(dummy)


def test_an_unknown_user_is_refused_even_if_the_dummy_hash_would_match(files: Files) -> None:
    authenticator = HtpasswdAuthenticator(
        files.users, files.roles, "default", PasswordChecker(check=lambda _password, _hash: True)
    )

    with pytest.raises(NotAuthenticated):
        authenticator.authenticate("nobody", PASSWORD)
    authenticator.close()


class TestChangesOfTheFiles:
    """The files are read again when they change, without a restart."""

    def test_a_new_password_counts_at_once_and_the_old_one_no_more(
        self, files: Files, authenticator: HtpasswdAuthenticator
    ) -> None:
        authenticator.authenticate("bob", PASSWORD)
        files.add("bob", "member", "a new password")

        assert authenticator.authenticate("bob", "a new password").user_id == "bob"
        with pytest.raises(NotAuthenticated):
            authenticator.authenticate("bob", PASSWORD)

    def test_a_removed_user_is_out_even_with_a_remembered_password(
        self, files: Files, authenticator: HtpasswdAuthenticator
    ) -> None:
        authenticator.authenticate("bob", PASSWORD)
        remove_user(files.users, files.roles, "bob")

        with pytest.raises(NotAuthenticated):
            authenticator.authenticate("bob", PASSWORD)
        assert authenticator.lookup("bob") is None
        assert authenticator.stamp("bob") == ""

    def test_a_user_removed_while_bcrypt_works_is_out(self, files: Files) -> None:
        def removing(_password: bytes, _hash: bytes) -> bool:
            remove_user(files.users, files.roles, "bob")
            return True

        authenticator = HtpasswdAuthenticator(files.users, files.roles, "default", PasswordChecker(check=removing))
        with pytest.raises(NotAuthenticated):
            authenticator.authenticate("bob", PASSWORD)
        authenticator.close()

    def test_roles_are_those_of_this_moment(self, files: Files, authenticator: HtpasswdAuthenticator) -> None:
        files.add("bob", "admin")

        assert authenticator.lookup("bob") == Principal("bob", "default", frozenset({Role.ADMIN}))

    def test_two_changes_within_one_tick_of_the_clock_are_both_seen(
        self, files: Files, authenticator: HtpasswdAuthenticator
    ) -> None:
        before = files.roles.stat()
        for text in ("admin: carol\n", "admin: alice\n"):
            files.roles.write_text(text)
            os.utime(files.roles, ns=(before.st_atime_ns, before.st_mtime_ns))
            carol = authenticator.lookup("carol")
            assert carol is not None
            assert carol.is_admin == ("carol" in text)

    def test_a_user_without_a_role_may_sign_in(self, files: Files, authenticator: HtpasswdAuthenticator) -> None:
        files.roles.write_text("")

        assert authenticator.authenticate("alice", PASSWORD).roles == frozenset()

    def test_a_broken_file_leaves_the_last_good_one_in_force_and_is_logged_once(
        self, files: Files, authenticator: HtpasswdAuthenticator
    ) -> None:
        files.users.write_text("alice:plain-secret\n")

        with capture_logs() as lines:
            for _ in range(3):
                assert authenticator.authenticate("alice", PASSWORD).user_id == "alice"

        assert [line["event"] for line in lines] == ["user file ignored"]
        assert "line 1" in lines[0]["reason"]
        assert "plain-secret" not in str(lines)

    def test_a_file_that_is_gone_leaves_the_last_one_in_force(
        self, files: Files, authenticator: HtpasswdAuthenticator
    ) -> None:
        files.users.unlink()
        assert authenticator.authenticate("alice", PASSWORD).user_id == "alice"

        files.add("erin", "member")
        assert authenticator.authenticate("erin", PASSWORD).user_id == "erin"
        with pytest.raises(NotAuthenticated):
            authenticator.authenticate("alice", PASSWORD)

    def test_a_repaired_file_counts_again(self, files: Files, authenticator: HtpasswdAuthenticator) -> None:
        good = files.users.read_text()
        files.users.write_text("broken\n")
        authenticator.lookup("alice")
        files.users.write_text(good.replace("carol:", "dora:"))

        assert authenticator.lookup("dora") is not None
        assert authenticator.lookup("carol") is None


def test_a_broken_file_at_the_start_ends_it(files: Files) -> None:
    files.roles.write_text("king: alice\n")

    with pytest.raises(UserFileError, match="line 1 has the role 'king'"):
        HtpasswdAuthenticator(files.users, files.roles, "default")


def test_the_stamp_changes_with_the_password_and_shows_nothing_of_the_hash(
    files: Files, authenticator: HtpasswdAuthenticator
) -> None:
    before = authenticator.stamp("bob")
    files.add("bob", "member", "a new password")

    assert len(before) == 16
    assert authenticator.stamp("bob") != before
    assert before not in files.users.read_text()
