"""What a user file and a role file may look like, and what is said of those that do not."""

from __future__ import annotations

from pathlib import Path

import bcrypt
import pytest

from porthole.auth.files import UserFileError, check_name, parse_roles, parse_users, read_text
from porthole.auth.principal import Role

FILE = Path("/etc/porthole/users")
HASH = "$2b$04$" + "a" * 53


@pytest.mark.parametrize("kind", ["2a", "2b", "2y"])
def test_every_kind_of_bcrypt_hash_that_is_sound_is_taken(kind: str) -> None:
    line = f"alice:${kind}$12$" + "a" * 53

    assert parse_users(FILE, line) == {"alice": line.partition(":")[2].encode()}


def test_empty_lines_and_comments_are_passed_over() -> None:
    assert parse_users(FILE, f"# people\n\n  \nalice:{HASH}\r\n") == {"alice": HASH.encode()}
    assert parse_roles(FILE, "# roles\n\nadmin: alice\n") == {"alice": frozenset({Role.ADMIN})}


@pytest.mark.parametrize(
    "password_hash",
    [
        "plain-secret",
        "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=",
        "$apr1$r31.....$HqJZimcKQFAMYayBlzkrA/",
        "$6$salt$hash",
        "$2x$12$" + "a" * 53,
        "$2b$12$" + "a" * 52,
        "$2b$12$" + "a" * 54,
        "$2b$12$" + "a" * 52 + "!",
        "$2b$1²$" + "a" * 53,
        "",
    ],
)
def test_another_kind_of_hash_is_named_by_file_and_line_and_not_shown(password_hash: str) -> None:
    with pytest.raises(UserFileError) as refused:
        parse_users(FILE, f"bob:{HASH}\nalice:{password_hash}\n")

    assert str(refused.value).startswith(f"{FILE}: line 2 ")
    assert "alice" in str(refused.value)
    assert "htpasswd -B" in str(refused.value)
    assert not password_hash or password_hash not in str(refused.value)


@pytest.mark.parametrize("cost", ["03", "16", "31", "99"])
def test_a_cost_that_would_take_for_ever_or_protects_nobody_is_refused(cost: str) -> None:
    with pytest.raises(UserFileError, match=r"line 1 has a bcrypt cost of \d+; it may be 4 to 15"):
        parse_users(FILE, f"alice:$2b${cost}$" + "a" * 53)


def test_a_user_named_twice_is_an_error_for_nobody_could_say_which_counts() -> None:
    with pytest.raises(UserFileError, match="line 2 names the user alice a second time"):
        parse_users(FILE, f"alice:{HASH}\nalice:{HASH}\n")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "empty"),
        ("a:b", "colon"),
        ("a b", "space"),
        ("a\tb", "control"),
        ("a\0b", "control"),
        ("a\x7fb", "control"),
        ("a\N{NO-BREAK SPACE}b", "space"),
        ("a\N{RIGHT-TO-LEFT OVERRIDE}b", "control"),
        ("a\N{LINE SEPARATOR}b", "space"),
        ("a\ud800b", "control"),
        ("#a", "comment"),
        ("a" * 256, "longer"),
    ],
)
def test_a_name_that_would_confuse_is_refused(name: str, why: str) -> None:
    assert why in check_name(name)


@pytest.mark.parametrize("name", ["alice", "alice@example.org", "a.b-c_d", "älice", "アリス", "a" * 255])
def test_other_names_are_fine(name: str) -> None:
    assert check_name(name) == ""


def test_a_user_may_have_several_roles() -> None:
    roles = parse_roles(FILE, "admin: alice\nmember: alice bob\nreader:\n")

    assert roles == {"alice": frozenset({Role.ADMIN, Role.MEMBER}), "bob": frozenset({Role.MEMBER})}


@pytest.mark.parametrize("line", ["root: alice", "Admin: alice", ": alice"])
def test_an_unknown_role_is_named_with_those_there_are(line: str) -> None:
    with pytest.raises(UserFileError, match=r"users: line 2 has the role .* which is none of: admin, member, reader\."):
        parse_roles(FILE, f"member: bob\n{line}\n")


@pytest.mark.parametrize(("parse", "form"), [(parse_users, "NAME:HASH"), (parse_roles, "ROLE: NAME NAME")])
def test_a_line_without_a_colon_is_told_the_form(parse: object, form: str) -> None:
    assert callable(parse)
    with pytest.raises(UserFileError, match=f"line 1 has no colon; a line is {form}"):
        parse(FILE, "alice")


def test_a_file_that_is_not_utf8_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "users"
    file.write_bytes(b"# one\n# two \xff\n")

    with pytest.raises(UserFileError, match="line 2 is not UTF-8"):
        read_text(file)


@pytest.mark.parametrize("make", ["missing", "folder"])
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, make: str) -> None:
    file = tmp_path / "users"
    if make == "folder":
        file.mkdir()

    with pytest.raises(UserFileError, match="cannot be read"):
        read_text(file)


def test_what_htpasswd_writes_is_what_bcrypt_checks() -> None:
    users = parse_users(FILE, "bob:" + bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode().replace("$2b$", "$2y$"))

    assert bcrypt.checkpw(b"secret", users["bob"])
