"""The two files of http_basic: users with their bcrypt hashes, and who has which role.

The user file has Apache's htpasswd form, ``alice:$2y$12$...``; the role file the
form of Apache's group files, ``admin: alice bob``. Empty lines and lines that
start with ``#`` are passed over in both.
"""

from __future__ import annotations

import os
import re
import time
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Generic, TypeVar

import structlog

from porthole.auth.principal import Role

T = TypeVar("T")

MAX_FILE_BYTES = 16 * 1024 * 1024
MAX_NAME_LENGTH = 255
MAX_COST = 15
"""bcrypt's cost doubles the time at each step: about 0.25 s at 12, 2 s at 15, a day and a half at 31."""

_BCRYPT = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}\Z", re.ASCII)
_MIN_COST = 4
_SETTLED_NS = 2_000_000_000
_MTIME = 3

log = structlog.get_logger(__name__)


class UserFileError(Exception):
    """A user or role file cannot be used; the message names the file, the line and what would be right."""


def check_name(name: str) -> str:
    """What is wrong with a user's name, as the end of a sentence; empty when nothing is."""
    if not name:
        return "is empty"
    if len(name) > MAX_NAME_LENGTH:
        return f"is longer than {MAX_NAME_LENGTH} characters"
    if ":" in name:
        return "has a colon, which ends the name in the user file and in http_basic"
    if name.startswith("#"):
        return "starts with #, as a comment does"
    # Categories C*: control, format, surrogate, unassigned; Z*: every kind of space.
    if any(unicodedata.category(character)[0] in "CZ" for character in name):
        return "has a space or a control character"
    return ""


def parse_users(path: Path, text: str) -> dict[str, bytes]:
    """User names with their bcrypt hashes.

    :param path: the file, for messages
    :raises UserFileError: a line is no user, or its hash is of another kind
    """
    users: dict[str, bytes] = {}
    for number, line in _lines(text):
        name, colon, password_hash = line.partition(":")
        if not colon:
            raise _error(path, number, "has no colon; a line is NAME:HASH, as htpasswd -B writes it")
        if wrong := check_name(name):
            raise _error(path, number, f"has a user name that {wrong}")
        if name in users:
            raise _error(path, number, f"names the user {name} a second time; remove one of the lines")
        match = _BCRYPT.match(password_hash)
        # The hash itself is never shown: it may be a password that somebody typed there.
        if match is None:
            raise _error(
                path,
                number,
                f"has for the user {name} something that is no bcrypt hash ($2a$, $2b$ or $2y$). "
                f"Write it with 'htpasswd -B' or 'porthole user add {name}'",
            )
        if not _MIN_COST <= int(match[1]) <= MAX_COST:
            raise _error(path, number, f"has a bcrypt cost of {int(match[1])}; it may be {_MIN_COST} to {MAX_COST}")
        users[name] = password_hash.encode("ascii")
    return users


def parse_roles(path: Path, text: str) -> dict[str, frozenset[Role]]:
    """User names with their roles.

    :param path: the file, for messages
    :raises UserFileError: a line has another form, or an unknown role
    """
    roles: dict[str, set[Role]] = {}
    for number, line in _lines(text):
        word, colon, names = line.partition(":")
        if not colon:
            raise _error(path, number, "has no colon; a line is ROLE: NAME NAME ...")
        try:
            role = Role(word.strip())
        except ValueError:
            known = ", ".join(Role)
            raise _error(path, number, f"has the role {word.strip()[:40]!r}, which is none of: {known}") from None
        for name in names.split():
            if wrong := check_name(name):
                raise _error(path, number, f"has a user name that {wrong}")
            roles.setdefault(name, set()).add(role)
    return {name: frozenset(of_user) for name, of_user in roles.items()}


def read_text(path: Path) -> str:
    """The whole of a user or role file.

    :raises UserFileError: it cannot be read
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise UserFileError(f"{path}: cannot be read: {error.strerror}.") from None
    if len(data) > MAX_FILE_BYTES:
        raise UserFileError(f"{path}: is larger than {MAX_FILE_BYTES} bytes, which no user or role file needs.")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserFileError(f"{path}: line {line} is not UTF-8.") from None


class WatchedFile(Generic[T]):
    """A file that is read again when it has changed.

    A change that cannot be used is logged, and the last good content stays in force.

    :param path: the file
    :param parse: turns its path and text into what is wanted
    :raises UserFileError: it cannot be used now
    """

    def __init__(self, path: Path, parse: Callable[[Path, str], T]) -> None:
        self._path = path
        self._parse = parse
        self._seen = self._signature()
        self._settled = _is_settled(self._seen)
        self._content = parse(path, read_text(path))
        self._complaint = ""

    def content(self) -> T:
        """What the file says now, or said when it was last in order."""
        signature = self._signature()
        if signature == self._seen and self._settled:
            return self._content
        settled = _is_settled(signature)
        try:
            self._content = self._parse(self._path, read_text(self._path))
        except UserFileError as error:
            if str(error) != self._complaint:
                self._complaint = str(error)
                log.error("user file ignored", reason=str(error), kept="the last content that was in order")
        else:
            self._complaint = ""
        self._seen, self._settled = signature, settled
        return self._content

    def _signature(self) -> tuple[int, ...]:
        try:
            status = self._path.stat()
        except OSError:
            return ()
        return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def write_atomically(path: Path, text: str) -> None:
    """Replace a file as a whole; mode and owner stay, a new file gets mode 0640.

    :raises UserFileError: it cannot be written; the old file is untouched
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        old = path.stat() if path.exists() else None
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            if old is not None:
                os.fchown(descriptor, old.st_uid, old.st_gid)
            os.fchmod(descriptor, 0o640 if old is None else old.st_mode & 0o777)
            os.fsync(descriptor)
        temporary.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise UserFileError(f"{path}: cannot be written: {error.strerror}.") from None


def _is_settled(signature: tuple[int, ...]) -> bool:
    """Whether a further change would show in the file's time.

    Two changes within one tick of the file system's clock have the same time, so a
    file that has just been written is read again at the next look.
    """
    return not signature or abs(time.time_ns() - signature[_MTIME]) > _SETTLED_NS


def _lines(text: str) -> Iterator[tuple[int, str]]:
    # Not splitlines(): it also splits at characters such as U+2028, which belong to a wrong name.
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip(" \t\r")
        if stripped and not stripped.startswith("#"):
            yield number, stripped


def _error(path: Path, number: int, what: str) -> UserFileError:
    return UserFileError(f"{path}: line {number} {what}.")
