"""Whose instance a domain is, by the metadata in its XML.

Nova writes ``nova:owner`` into its own element, at every start of the guest
(``LibvirtConfigGuestMetaNovaOwner``, nova/virt/libvirt/config.py)::

    <nova:owner>
      <nova:user uuid="7c8d...">alice</nova:user>
      <nova:project uuid="5b1e...">web</nova:project>
    </nova:owner>

For other domains an administrator may say it (libvirt's virDomainSetMetadata, ``virsh metadata``)::

    <porthole:owner xmlns:porthole="urn:porthole:libvirt:1.0" project="web" user="alice"/>

What Nova says counts before that. Metadata that name an owner in a way that cannot be used make the domain nobody's:
they never lead to another owner than the one that was meant.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element

NOVA_NAMESPACES = (
    "http://openstack.org/xmlns/libvirt/nova/1.1",
    "http://openstack.org/xmlns/libvirt/nova/1.0",
)

PORTHOLE_NAMESPACE = "urn:porthole:libvirt:1.0"

MAX_OWNER = 255
"""Characters of a project's or a user's id, as in Nova's database; a longer one is not cut, for that could make it
another one."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a domain is.

    :ivar project_id: the project; empty when it is nobody's
    :ivar user_id: the user in it, empty when none is named
    """

    project_id: str
    user_id: str


NOBODY = Owner("", "")


def find(domain: Element) -> Owner | None:
    """The owner that a domain's metadata name.

    :returns: None when they name none; :data:`NOBODY` when they name several, or one that cannot be
    """
    claims = set(_by_nova(domain)) or set(_by_hand(domain))
    if not claims:
        return None
    owner = claims.pop()
    return NOBODY if claims or not _can_be(owner) else owner


def _by_nova(domain: Element) -> Iterator[Owner]:
    for namespace in NOVA_NAMESPACES:
        for element in domain.iterfind(f"metadata/{{{namespace}}}instance/{{{namespace}}}owner"):
            projects = [project.get("uuid", "") for project in element.iterfind(f"{{{namespace}}}project")]
            users = [user.get("uuid", "") for user in element.iterfind(f"{{{namespace}}}user")]
            yield NOBODY if len(projects) != 1 or len(users) > 1 else Owner(projects[0], "".join(users))


def _by_hand(domain: Element) -> Iterator[Owner]:
    for element in domain.iterfind(f"metadata/{{{PORTHOLE_NAMESPACE}}}owner"):
        yield Owner(element.get("project", ""), element.get("user", ""))


def _can_be(owner: Owner) -> bool:
    """Whether it has a project, and both are ids that somebody can have."""
    return bool(owner.project_id) and _is_id(owner.project_id) and _is_id(owner.user_id)


def _is_id(text: str) -> bool:
    # Categories C*: control, format, surrogate, unassigned: what looks like another id and is not.
    printable = not any(unicodedata.category(character).startswith("C") for character in text[: MAX_OWNER + 1])
    return len(text) <= MAX_OWNER and printable and text == text.strip()
