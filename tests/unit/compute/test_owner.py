"""Whose a domain is, by its XML."""

from __future__ import annotations

import pytest

from porthole.compute.owner import MAX_OWNER, NOBODY, Owner
from porthole.compute.xml import DomainXMLError, parse

UUID = "7b1b4f4e-2a57-4d5b-9c39-0d9a1f3f8a10"
NOVA = "http://openstack.org/xmlns/libvirt/nova/1.1"
OLD_NOVA = "http://openstack.org/xmlns/libvirt/nova/1.0"
OURS = "urn:porthole:libvirt:1.0"

PROJECT = "5b1e4d0c9f3a4e7f8d2c6b5a49382716"
USER = "7c8d9e0f1a2b3c4d5e6f708192a3b4c5"


def owner(metadata: str) -> Owner | None:
    """The owner of a domain with these elements in its metadata."""
    return parse(f"<domain><name>a</name><uuid>{UUID}</uuid><metadata>{metadata}</metadata></domain>").owner


def nova(inside: str, namespace: str = NOVA) -> str:
    """Nova's element with these elements in its owner."""
    return f"<nova:instance xmlns:nova='{namespace}'><nova:owner>{inside}</nova:owner></nova:instance>"


def project(uuid: str) -> str:
    return f"<nova:project uuid='{uuid}'>a name</nova:project>"


def user(uuid: str) -> str:
    return f"<nova:user uuid='{uuid}'>a name</nova:user>"


def by_hand(attributes: str) -> str:
    return f"<porthole:owner xmlns:porthole='{OURS}' {attributes}/>"


WEB = by_hand("project='web'")


# --- one owner


@pytest.mark.parametrize("namespace", [NOVA, OLD_NOVA])
def test_the_owner_is_who_nova_says(namespace: str) -> None:
    # As Nova writes it: the id is an attribute, and the name, which a user may choose, is the text.
    assert owner(nova(user(USER) + project(PROJECT), namespace)) == Owner(PROJECT, USER)


def test_elsewhere_an_administrator_may_say_it() -> None:
    assert owner(by_hand("project='web' user='alice'")) == Owner("web", "alice")


def test_the_user_may_be_left_out() -> None:
    assert owner(by_hand("project='web'")) == owner(by_hand("project='web' user=''")) == Owner("web", "")
    assert owner(nova(project(PROJECT))) == Owner(PROJECT, "")


def test_nova_counts_before_us() -> None:
    assert owner(by_hand("project='web'") + nova(user(USER) + project(PROJECT))) == Owner(PROJECT, USER)
    assert owner(nova(user(USER) + project(PROJECT)) + by_hand("project='web'")) == Owner(PROJECT, USER)


def test_where_nova_names_no_owner_ours_counts() -> None:
    without = f"<nova:instance xmlns:nova='{NOVA}'><nova:name>web-1</nova:name></nova:instance>"

    assert owner(without + by_hand("project='web'")) == Owner("web", "")


def test_the_same_owner_twice_is_one_owner() -> None:
    assert owner(by_hand("project='web'") * 2) == Owner("web", "")
    assert owner(nova(project(PROJECT)) + nova(project(PROJECT), OLD_NOVA)) == Owner(PROJECT, "")


@pytest.mark.parametrize("name", ["Größe", "a b", "<&>".replace("&", "&amp;").replace("<", "&lt;"), "x" * MAX_OWNER])
def test_an_id_is_taken_as_it_is(name: str) -> None:
    found = owner(by_hand(f"project='{name}'"))

    assert found == Owner(name.replace("&lt;", "<").replace("&amp;", "&"), "")


# --- none


@pytest.mark.parametrize(
    "metadata",
    [
        "",
        "<owner project='web'/>",
        "<o:owner xmlns:o='urn:other' project='web'/>",
        f"<p:instance xmlns:p='{OURS}' project='web'/>",
        # Not where Nova or libvirt puts it: inside of something that somebody else's element may have.
        f"<a>{WEB}</a>",
        f"<a>{nova(project(PROJECT))}</a>",
        f"<n:owner xmlns:n='{NOVA}'><n:project uuid='{PROJECT}'/></n:owner>",
        # Two namespaces do not make one owner.
        f"<nova:instance xmlns:nova='{NOVA}' xmlns:old='{OLD_NOVA}'><old:owner/></nova:instance>",
        # What is in a name is text.
        nova("").replace("<nova:owner></nova:owner>", "<nova:name>&lt;nova:owner/&gt;</nova:name>"),
    ],
)
def test_metadata_that_name_no_owner(metadata: str) -> None:
    assert owner(metadata) is None


def test_an_owner_outside_of_the_metadata_is_none() -> None:
    xml = f"<domain><name>a</name><uuid>{UUID}</uuid>{WEB}<devices>{WEB}"

    assert parse(f"{xml}</devices></domain>").owner is None


# --- an owner that cannot be: nobody, and not the one that counts where none is named


@pytest.mark.parametrize(
    "metadata",
    [
        # several
        by_hand("project='web'") + by_hand("project='db'"),
        by_hand("project='web' user='a'") + by_hand("project='web' user='b'"),
        nova(project(PROJECT)) + nova(project("other")),
        nova(project(PROJECT)) + nova(project("other"), OLD_NOVA),
        nova(project(PROJECT) + project("other")),
        nova(project(PROJECT) + project(PROJECT)),
        nova(project(PROJECT) + user("a") + user("b")),
        # empty
        by_hand(""),
        by_hand("project=''"),
        by_hand("user='alice'"),
        nova(""),
        nova("<nova:project>no uuid</nova:project>"),
        nova(project("")),
        nova(user(USER)),
        # nested
        nova(f"<nova:owner>{project(PROJECT)}</nova:owner>"),
        nova(f"<nova:user uuid='a'>{project(PROJECT)}</nova:user>"),
        # huge: cut off it could be another one
        by_hand(f"project='{'x' * (MAX_OWNER + 1)}'"),
        by_hand(f"project='web' user='{'x' * (MAX_OWNER + 1)}'"),
        by_hand(f"project='{'x' * 500_000}'"),
        # what looks like another id
        by_hand("project=' web'"),
        by_hand("project='web&#10;'"),
        by_hand("project='w&#9;eb'"),
        by_hand("project='web&#x200B;'"),
        by_hand("project='&#x202E;web'"),
        by_hand("project='web' user='ali&#x200B;ce'"),
    ],
)
def test_an_owner_that_cannot_be_is_nobody(metadata: str) -> None:
    assert owner(metadata) == NOBODY


def test_a_broken_owner_of_novas_is_not_replaced_by_ours() -> None:
    assert owner(nova("") + by_hand("project='web'")) == NOBODY


def test_thousands_of_owners_are_nobody_as_well() -> None:
    assert owner("".join(by_hand(f"project='{number}'") for number in range(10_000))) == NOBODY


def test_deep_nesting_is_no_way_to_crash() -> None:
    assert owner(nova("<nova:owner>" * 30_000 + project(PROJECT) + "</nova:owner>" * 30_000)) == NOBODY


def test_entities_are_refused_before_they_are_read() -> None:
    attack = f"<!DOCTYPE d [<!ENTITY a 'admin'>]><domain><name>a</name><uuid>{UUID}</uuid>"

    by_entity = by_hand("project='&a;'")
    with pytest.raises(DomainXMLError, match="document type"):
        parse(f"{attack}<metadata>{by_entity}</metadata></domain>")
