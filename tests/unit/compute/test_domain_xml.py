"""What is read of a domain's XML."""

from __future__ import annotations

import libvirt
import pytest

from porthole.compute import PowerState
from porthole.compute.xml import MAX_NAME, MAX_XML, DomainXMLError, parse, power_state
from porthole.proxy.rfb.password import VncPassword

UUID = "7b1b4f4e-2a57-4d5b-9c39-0d9a1f3f8a10"


def xml(graphics: str = "", metadata: str = "", attributes: str = "id='7'") -> str:
    return (
        f"<domain type='kvm' {attributes}><name>instance-0000002a</name><uuid>{UUID}</uuid>"
        f"<metadata>{metadata}</metadata><devices>{graphics}</devices></domain>"
    )


# --- the VNC server


@pytest.mark.parametrize(
    ("graphics", "port"),
    [
        ("<graphics type='vnc' port='5900'/>", 5900),
        ("<graphics type='vnc' port='5900' autoport='yes' listen='0.0.0.0'><listen type='address'/></graphics>", 5900),
        ("<graphics type='vnc' port='1'/>", 1),
        ("<graphics type='vnc' port='65535'/>", 65535),
        ("<graphics type='vnc' port='5900' websocket='5700'/>", 5900),
        ("<graphics type='spice' port='5902'/><graphics type='vnc' port='5903'/>", 5903),
        ("<graphics type='vnc' socket='/run/vnc.sock'/><graphics type='vnc' port='5904'/>", 5904),
    ],
)
def test_the_port_is_that_of_the_vnc_display(graphics: str, port: int) -> None:
    display = parse(xml(graphics)).display

    assert (display.port, display.hint) == (port, "")


@pytest.mark.parametrize(
    ("graphics", "says"),
    [
        ("", "no VNC display"),
        ("<graphics type='spice' port='5902'/>", "no VNC display"),
        ("<graphics type='vnc'/>", "no port at the moment"),
        ("<graphics type='vnc' port='-1' autoport='yes'/>", "no port at the moment"),
        ("<graphics type='vnc' websocket='5700'/>", "no port at the moment"),
        ("<graphics type='vnc' port='-1'><listen type='none'/></graphics>", "no port at the moment"),
        ("<graphics type='vnc' socket='vnc.sock'/>", "UNIX socket whose path cannot be used"),
        ("<graphics type='vnc' socket='@abstract'/>", "UNIX socket whose path cannot be used"),
        (f"<graphics type='vnc' socket='/{'x' * 107}'/>", "UNIX socket whose path cannot be used"),
        (f"<graphics type='vnc' socket='/{'ä' * 54}'/>", "UNIX socket whose path cannot be used"),
        ("<graphics type='vnc'><listen type='socket'/></graphics>", "UNIX socket whose path cannot be used"),
    ],
)
def test_without_a_port_there_is_a_sentence_that_says_why(graphics: str, says: str) -> None:
    display = parse(xml(graphics)).display

    assert display.port is None
    assert says in display.hint
    assert display.hint.endswith(".")


@pytest.mark.parametrize("port", ["0", "65536", "-2", "five", "", "5900; rm"])
def test_a_port_that_cannot_be_one_is_an_error(port: str) -> None:
    with pytest.raises(DomainXMLError):
        parse(xml(f"<graphics type='vnc' port='{port}'/>"))


@pytest.mark.parametrize(
    "graphics",
    [
        "<graphics type='vnc' socket='/run/vnc.sock'/>",
        "<graphics type='vnc'><listen type='socket' socket='/run/vnc.sock'/></graphics>",
        "<graphics type='vnc' socket='/run/vnc.sock'><listen type='socket' socket='/run/vnc.sock'/></graphics>",
        "<graphics type='vnc' socket='/run/vnc.sock'/><graphics type='vnc' port='-1'/>",
    ],
)
def test_a_display_on_a_unix_socket_has_its_path_instead(graphics: str) -> None:
    display = parse(xml(graphics)).display

    assert (display.path, display.port, display.hint) == ("/run/vnc.sock", None, "")


@pytest.mark.parametrize("where", ["port='5900'", "socket='/run/vnc.sock'"])
def test_the_password_is_that_of_the_display(where: str) -> None:
    display = parse(
        xml(f"<graphics type='vnc' {where} passwd='s3cr&quot;t' passwdValidTo='2030-01-02T03:04:05'/>")
    ).display

    assert display.password == VncPassword('s3cr"t', "2030-01-02T03:04:05")


@pytest.mark.parametrize(
    ("attribute", "password"), [("", None), ("passwd=''", VncPassword("")), ("passwdValidTo='x'", None)]
)
def test_no_password_is_not_an_empty_one(attribute: str, password: VncPassword | None) -> None:
    assert parse(xml(f"<graphics type='vnc' port='5900' {attribute}/>")).display.password == password


def test_what_is_printed_of_it_is_without_the_password() -> None:
    domain = parse(xml("<graphics type='vnc' port='5900' passwd='s3cret' passwdValidTo='2030-01-02T03:04:05'/>"))

    assert "s3cret" not in f"{domain} {domain!r}"
    assert "2030" in repr(domain)


# --- names


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_the_name_is_novas_display_name(version: str) -> None:
    nova = f"http://openstack.org/xmlns/libvirt/nova/{version}"
    domain = parse(xml(metadata=f"<n:instance xmlns:n='{nova}'><n:name>Größe &amp; Co</n:name></n:instance>"))

    assert domain.display_name == "Größe & Co"
    assert domain.domain_name == "instance-0000002a"


@pytest.mark.parametrize(
    "metadata",
    [
        "",
        "<instance><name>not Nova's</name></instance>",
        "<n:instance xmlns:n='urn:other'><n:name>not Nova's</n:name></n:instance>",
        "<n:instance xmlns:n='http://openstack.org/xmlns/libvirt/nova/1.1'><n:name> </n:name></n:instance>",
    ],
)
def test_without_one_the_name_is_libvirts(metadata: str) -> None:
    assert parse(xml(metadata=metadata)).display_name == "instance-0000002a"


def test_an_endless_display_name_is_cut() -> None:
    nova = "http://openstack.org/xmlns/libvirt/nova/1.1"
    domain = parse(xml(metadata=f"<n:instance xmlns:n='{nova}'><n:name>{'x' * 5000}</n:name></n:instance>"))

    assert domain.display_name == "x" * MAX_NAME


def test_a_running_domain_has_an_id_and_one_that_is_off_has_none() -> None:
    assert parse(xml()).domain_id == 7
    assert parse(xml(attributes="")).domain_id is None


def test_the_uuid_is_lower_case() -> None:
    assert parse(xml().replace(UUID, f" {UUID.upper()}\n")).uuid == UUID


# --- what is no domain


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "malformed"),
        ("<domain>", "malformed"),
        ("<domain><name>a</name></domain>", "no uuid"),
        (f"<domain><uuid>{UUID}</uuid></domain>", "no name"),
        ("<network/>", "expected the XML of a domain"),
        ("\ud800", "malformed"),
        ("<domain>\0</domain>", "malformed"),
        ('<!DOCTYPE d [<!ENTITY a "a">]><domain>&a;</domain>', "document type"),
        ("<domain>" + "x" * MAX_XML + "</domain>", "characters"),
    ],
)
def test_anything_else_is_refused_in_words(text: str, says: str) -> None:
    with pytest.raises(DomainXMLError, match=says):
        parse(text)


def test_deep_nesting_is_no_way_to_crash() -> None:
    depth = MAX_XML // 8
    with pytest.raises(DomainXMLError):
        parse("<a>" * depth + "</a>" * depth)
    nested = xml(metadata="<a>" * 100_000 + "</a>" * 100_000)
    assert parse(nested).domain_name == "instance-0000002a"


# --- states


@pytest.mark.parametrize(
    ("libvirt_state", "state"),
    [
        (libvirt.VIR_DOMAIN_NOSTATE, PowerState.NOSTATE),
        (libvirt.VIR_DOMAIN_RUNNING, PowerState.RUNNING),
        (libvirt.VIR_DOMAIN_BLOCKED, PowerState.RUNNING),
        (libvirt.VIR_DOMAIN_PAUSED, PowerState.PAUSED),
        (libvirt.VIR_DOMAIN_SHUTDOWN, PowerState.SHUTDOWN),
        (libvirt.VIR_DOMAIN_SHUTOFF, PowerState.SHUTDOWN),
        (libvirt.VIR_DOMAIN_CRASHED, PowerState.CRASHED),
        (libvirt.VIR_DOMAIN_PMSUSPENDED, PowerState.SUSPENDED),
        (99, PowerState.NOSTATE),
    ],
)
def test_states_map_as_in_nova(libvirt_state: int, state: PowerState) -> None:
    assert power_state(libvirt_state) is state
