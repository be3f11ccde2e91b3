"""``porthole user``: adding, changing, removing and listing users."""

from __future__ import annotations

import multiprocessing
import os
import stat
from pathlib import Path

import bcrypt
import pytest

from porthole.auth.files import UserFileError, parse_users
from porthole.auth.principal import Role
from porthole.auth.users import User, UserError, add_user, is_as_given, list_users, remove_user

PASSWORD = "a good password"


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Paths of a user and a role file that do not exist yet."""
    return tmp_path / "htpasswd", tmp_path / "roles"


def _add(pair: tuple[Path, Path], name: str, role: str, password: str = PASSWORD) -> bool:
    return add_user(*pair, name, password, role, cost=4)


def test_the_first_user_makes_the_files_private(pair: tuple[Path, Path]) -> None:
    old = os.umask(0)
    try:
        assert _add(pair, "alice", "admin")
    finally:
        os.umask(old)

    assert [stat.S_IMODE(file.stat().st_mode) for file in pair] == [0o640, 0o640]
    assert pair[1].read_text() == "admin: alice\n"
    hashes = parse_users(pair[0], pair[0].read_text())
    assert bcrypt.checkpw(PASSWORD.encode(), hashes["alice"])


def test_the_cost_is_12_when_nobody_says_otherwise(pair: tuple[Path, Path]) -> None:
    add_user(*pair, "alice", PASSWORD, "admin")

    assert parse_users(pair[0], pair[0].read_text())["alice"].startswith(b"$2b$12$")


def test_adding_a_user_again_replaces_password_and_role(pair: tuple[Path, Path]) -> None:
    _add(pair, "alice", "admin")
    _add(pair, "bob", "member")
    old = pair[0].read_text()

    assert _add(pair, "alice", "reader", "another password") is False

    assert list_users(*pair) == [User("alice", (Role.READER,)), User("bob", (Role.MEMBER,))]
    assert pair[0].read_text().splitlines()[1] == old.splitlines()[1]
    assert pair[0].read_text().splitlines()[0] != old.splitlines()[0]


def test_comments_and_order_and_mode_stay(pair: tuple[Path, Path]) -> None:
    _add(pair, "alice", "admin")
    for file in pair:
        file.write_text(f"# ours\n\n{file.read_text()}# end\n")
        file.chmod(0o600)

    _add(pair, "bob", "admin")

    assert pair[1].read_text() == "# ours\n\nadmin: alice bob\n# end\n"
    lines = pair[0].read_text().splitlines()
    assert [line.partition(":")[0] for line in lines] == ["# ours", "", "alice", "# end", "bob"]
    assert [stat.S_IMODE(file.stat().st_mode) for file in pair] == [0o600, 0o600]


def test_a_name_that_is_part_of_another_is_another(pair: tuple[Path, Path]) -> None:
    _add(pair, "ann", "admin")
    _add(pair, "anna", "admin")
    remove_user(*pair, "ann")

    assert list_users(*pair) == [User("anna", (Role.ADMIN,))]


def test_removing_takes_the_user_out_of_both_files(pair: tuple[Path, Path]) -> None:
    _add(pair, "alice", "admin")
    pair[1].write_text("admin: alice\nmember: alice\n")
    remove_user(*pair, "alice")

    assert list_users(*pair) == []
    assert "alice" not in pair[0].read_text() + pair[1].read_text()


def test_removing_somebody_who_is_not_there_says_so(pair: tuple[Path, Path]) -> None:
    _add(pair, "alice", "admin")

    with pytest.raises(UserError, match="There is no user bob"):
        remove_user(*pair, "bob")


@pytest.mark.parametrize("name", ["", "a:b", "a b", "a\nb:$2b$04$" + "a" * 53, "#x", "a\0", "x" * 256, "a\ud800"])
def test_names_that_would_change_the_file_are_refused(pair: tuple[Path, Path], name: str) -> None:
    with pytest.raises(UserError, match="The user name"):
        _add(pair, name, "admin")

    assert not pair[0].exists()


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("", "empty"),
        ("7 chars", "shorter than 8"),
        ("x" * 73, "72 bytes"),
        ("pass\0word", "null byte"),
        ("pass\tword", "control character"),
        ("password\ud800", "not Unicode"),
    ],
)
def test_passwords_that_could_never_be_used_are_refused(pair: tuple[Path, Path], password: str, words: str) -> None:
    with pytest.raises(UserError, match=words) as refused:
        _add(pair, "alice", "admin", password)

    assert not password or password not in str(refused.value)
    assert not pair[0].exists()


def test_an_unknown_role_is_refused_with_those_there_are(pair: tuple[Path, Path]) -> None:
    with pytest.raises(UserError, match="roles are admin, member, reader"):
        _add(pair, "alice", "root")


def test_a_name_typed_in_two_ways_of_unicode_is_one_user(pair: tuple[Path, Path]) -> None:
    _add(pair, "zoe\N{COMBINING DIAERESIS}", "admin")

    assert _add(pair, "zo\N{LATIN SMALL LETTER E WITH DIAERESIS}", "admin") is False


def test_a_file_with_errors_is_not_made_worse(pair: tuple[Path, Path]) -> None:
    _add(pair, "alice", "admin")
    pair[0].write_text("alice:plain\n")

    with pytest.raises(UserFileError, match="line 1"):
        _add(pair, "bob", "member")
    assert pair[0].read_text() == "alice:plain\n"
    assert pair[1].read_text() == "admin: alice\n"


def test_no_file_of_the_work_is_left_behind(pair: tuple[Path, Path]) -> None:
    _add(pair, "alice", "admin")
    _add(pair, "bob", "member")

    assert sorted(file.name for file in pair[0].parent.iterdir()) == ["htpasswd", "roles"]


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserFileError, match="folder cannot be opened"):
        add_user(tmp_path / "no" / "htpasswd", tmp_path / "no" / "roles", "alice", PASSWORD, "admin", cost=4)


def test_commands_at_the_same_time_lose_nobody(pair: tuple[Path, Path]) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_add, args=(pair, f"user{n}", "member")) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)

    assert [user.name for user in list_users(*pair)] == ["user0", "user1", "user2", "user3"]


def test_a_user_is_as_given_with_the_same_password_and_role_alone(pair: tuple[Path, Path]) -> None:
    assert not is_as_given(*pair, "alice", PASSWORD, "admin")
    _add(pair, "alice", "admin")
    assert is_as_given(*pair, "alice", PASSWORD, "admin")
    assert not is_as_given(*pair, "alice", PASSWORD, "member")
    assert not is_as_given(*pair, "alice", PASSWORD + "x", "admin")
    assert not is_as_given(*pair, "alice", "", "admin")
    assert not is_as_given(*pair, "bob", PASSWORD, "admin")
