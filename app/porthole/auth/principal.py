"""Who is asking."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Role(StrEnum):
    """Nova's three default roles.

    An admin may do everything; a member lists instances and opens consoles; a
    reader lists and opens none.
    """

    ADMIN = "admin"
    MEMBER = "member"
    READER = "reader"


@dataclass(frozen=True, slots=True)
class Principal:
    """A person or program that has proved who it is.

    :ivar user_id: the user's name in the back end that knows it
    :ivar project_id: the project it acts for; with http_basic the setting ``[api] http_basic_project``
    :ivar roles: the roles it has in that project
    :ivar user_name: what people call the user; the id where that is its name
    :ivar project_name: likewise of the project
    """

    user_id: str
    project_id: str
    roles: frozenset[Role]
    user_name: str = field(default="", compare=False)
    project_name: str = field(default="", compare=False)

    @property
    def is_admin(self) -> bool:
        """Whether the principal has the role ``admin``."""
        return Role.ADMIN in self.roles
