"""Real user and role files, with bcrypt's lowest cost so that the tests are quick."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from porthole.auth.htpasswd import HtpasswdAuthenticator
from porthole.auth.users import add_user

COST = 4
PASSWORD = "a good password"


@dataclass
class Files:
    """The two files of http_basic."""

    users: Path
    roles: Path

    def add(self, name: str, role: str, password: str = PASSWORD) -> None:
        """Add a user, or change one."""
        add_user(self.users, self.roles, name, password, role, cost=COST)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """An administrator alice, a member bob and a reader carol."""
    made = Files(tmp_path / "htpasswd", tmp_path / "roles")
    for name, role in (("alice", "admin"), ("bob", "member"), ("carol", "reader")):
        made.add(name, role)
    return made


@pytest.fixture
def make_authenticator() -> Iterator[Callable[[Files], HtpasswdAuthenticator]]:
    """Makes authenticators and ends their threads after the test."""
    made: list[HtpasswdAuthenticator] = []

    def make(files: Files) -> HtpasswdAuthenticator:
        made.append(HtpasswdAuthenticator(files.users, files.roles, "default"))
        return made[-1]

    yield make
    for authenticator in made:
        authenticator.close()


@pytest.fixture
def authenticator(files: Files, make_authenticator: Callable[[Files], HtpasswdAuthenticator]) -> HtpasswdAuthenticator:
    """An authenticator on the three users."""
    return make_authenticator(files)
