"""What Keystone says of a token, read at once: an answer that is odd is found out where it was asked for."""

from __future__ import annotations

from typing import NamedTuple

from keystoneauth1.access import AccessInfoV3

ODD = (AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What keystoneauth, keystoneclient and :func:`read` raise for an answer that is not as Keystone's are."""


class Answer(NamedTuple):
    """What Keystone says of a token.

    :ivar project_id: empty for a token that is not of a project
    :ivar roles: names, in small letters: as in oslo.policy, their case does not matter
    :ivar expires: Unix time
    :ivar scope: what it is for, in words
    :ivar has_access_rules: it is an application credential's, and for some calls alone
    """

    user_id: str
    user_name: str
    project_id: str
    project_name: str
    roles: frozenset[str]
    expires: float
    scope: str
    has_access_rules: bool


def read(info: AccessInfoV3) -> Answer:
    """An answer out of Keystone's JSON.

    :raises AttributeError, LookupError, TypeError, ValueError: it is not as Keystone's are (:data:`ODD`)
    """
    expires = info.expires
    if expires is None:
        raise ValueError("without a time at which it expires")
    return Answer(
        user_id=_text(info.user_id),
        user_name=_text(info.username),
        project_id=_text(info.project_id) if info.project_id else "",
        project_name=_text(info.project_name) if info.project_id else "",
        roles=frozenset(name.lower() for name in info.role_names or ()),
        expires=expires.timestamp(),
        scope=_scope(info),
        has_access_rules=info.application_credential_access_rules is not None,
    )


def _scope(info: AccessInfoV3) -> str:
    if info.project_id:
        return "a project"
    return "a domain" if info.domain_scoped else "the whole system" if info.system_scoped else "no project"


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError("a name or an id is none")
    return value
