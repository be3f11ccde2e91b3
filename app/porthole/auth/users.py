"""Adding, removing and listing the users of http_basic (``porthole user``)."""

from __future__ import annotations

import fcntl
import os
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import bcrypt

from porthole.auth.files import UserFileError, check_name, parse_roles, parse_users, read_text, write_atomically
from porthole.auth.passwords import password_problem
from porthole.auth.principal import Role

COST = 12
MIN_PASSWORD_CHARACTERS = 8


class UserError(Exception):
    """A user cannot be added or removed; the message says what would be right."""


@dataclass(frozen=True, slots=True)
class User:
    """A line of the user file with its roles.

    :ivar name: as it is given to sign in
    :ivar roles: empty for a user who may sign in and do nothing
    """

    name: str
    roles: tuple[Role, ...]


def add_user(user_file: Path, role_file: Path, name: str, password: str, role: Role | str, *, cost: int = COST) -> bool:
    """Add a user, or give an existing one this password and this role alone.

    Files that do not exist are created with mode 0640. Each file is replaced as a
    whole, so a service that reads it never sees half of it. Comments stay.

    :param cost: bcrypt's; 12 is about 0.25 s a check
    :returns: whether the user is new
    :raises UserError: the name, the password or the role cannot be used
    :raises UserFileError: a file cannot be read or written, or has errors already
    """
    name = unicodedata.normalize("NFC", name)
    if wrong := check_name(name):
        raise UserError(f"The user name {wrong}.")
    try:
        role = Role(role)
    except ValueError:
        raise UserError(f"There is no role {role!r}; roles are {', '.join(Role)}.") from None
    secret = _usable(password)
    password_hash = bcrypt.hashpw(secret, bcrypt.gensalt(cost)).decode("ascii")
    with _locked(user_file):
        users = _existing(user_file)
        is_new = name not in parse_users(user_file, users)
        roles = _existing(role_file)
        parse_roles(role_file, roles)
        # The role first: a user who is known and has no role yet would be told that nothing is allowed.
        write_atomically(role_file, _with_role(roles, name, role))
        write_atomically(user_file, _with_user(users, name, password_hash))
    return is_new


def is_as_given(user_file: Path, role_file: Path, name: str, password: str, role: Role | str) -> bool:
    """Whether the user is there with this password and this role alone, so that :func:`add_user` would change nothing.

    :raises UserFileError: a file cannot be read, or has errors
    """
    name = unicodedata.normalize("NFC", name)
    known = parse_users(user_file, _existing(user_file)).get(name)
    roles = parse_roles(role_file, _existing(role_file)).get(name, frozenset())
    secret = password.encode(errors="surrogateescape")
    return known is not None and roles == {role} and not password_problem(secret) and bcrypt.checkpw(secret, known)


def remove_user(user_file: Path, role_file: Path, name: str) -> None:
    """Remove a user from both files; sign-ins of the user end with it.

    :raises UserError: there is no such user
    :raises UserFileError: a file cannot be read or written, or has errors
    """
    name = unicodedata.normalize("NFC", name)
    with _locked(user_file):
        users = read_text(user_file)
        if name not in parse_users(user_file, users):
            raise UserError(f"There is no user {name} in {user_file}.")
        roles = _existing(role_file)
        parse_roles(role_file, roles)
        write_atomically(user_file, _with_user(users, name, None))
        if roles:
            write_atomically(role_file, _with_role(roles, name, None))


def list_users(user_file: Path, role_file: Path) -> list[User]:
    """All users with their roles, sorted by name.

    :raises UserFileError: a file cannot be read, or has errors
    """
    roles = parse_roles(role_file, read_text(role_file))
    names = sorted(parse_users(user_file, read_text(user_file)))
    return [User(name, tuple(role for role in Role if role in roles.get(name, ()))) for name in names]


def _usable(password: str) -> bytes:
    try:
        secret = password.encode()
    except UnicodeEncodeError:
        raise UserError("The password is not Unicode text.") from None
    if problem := password_problem(secret):
        raise UserError(f"The password {problem}.")
    if len(password) < MIN_PASSWORD_CHARACTERS:
        raise UserError(f"The password is shorter than {MIN_PASSWORD_CHARACTERS} characters.")
    if any(unicodedata.category(character) == "Cc" for character in password):
        raise UserError("The password has a control character, which http_basic does not carry (RFC 7617).")
    return secret


def _existing(path: Path) -> str:
    return read_text(path) if path.exists() else ""


def _with_user(text: str, name: str, password_hash: str | None) -> str:
    """The user file's text with this user's line replaced, appended, or left out when the hash is None."""
    lines, done = [], password_hash is None
    for line in text.split("\n"):
        if line.strip(" \t\r").partition(":")[0] == name:
            if not done:
                lines.append(f"{name}:{password_hash}")
                done = True
            continue
        lines.append(line)
    return _text(lines if done else [*_without_end(lines), f"{name}:{password_hash}"])


def _with_role(text: str, name: str, role: Role | None) -> str:
    """The role file's text with this user in this role alone, or in none."""
    lines, done = [], role is None
    for line in text.split("\n"):
        word, colon, names = line.partition(":")
        if not colon or line.lstrip().startswith("#"):
            lines.append(line)
            continue
        others = [other for other in names.split() if other != name]
        if not done and word.strip() == role:
            others.append(name)
            done = True
        lines.append(f"{word}: {' '.join(others)}".rstrip())
    return _text(lines if done else [*_without_end(lines), f"{role}: {name}"])


def _without_end(lines: list[str]) -> list[str]:
    while lines and not lines[-1].strip():
        lines = lines[:-1]
    return lines


def _text(lines: list[str]) -> str:
    lines = _without_end(lines)
    return "\n".join(lines) + "\n" if lines else ""


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the file's folder, so that two commands at once do not lose each other's user."""
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise UserFileError(f"{path}: its folder cannot be opened: {error.strerror}.") from None
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
