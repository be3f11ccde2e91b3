"""Finding instances, on real connections of libvirt's test driver."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import libvirt
import pytest

from porthole.compute import (
    ConsoleTypeUnavailable,
    Instance,
    InstanceAmbiguous,
    InstanceNotFound,
    InstanceNotRunning,
    PowerState,
)
from porthole.compute.computes import Computes, as_uuid
from porthole.compute.details import Details, Flavor
from porthole.config import AuthScheme, ComputeSettings
from porthole.proxy.address import SocketAddress
from porthole.proxy.rfb.password import VncPassword
from porthole.proxy.rfb.policy import SecurityPolicy

from .conftest import MakeComputes, MakeNode, domain_xml

Eventually = Callable[[Callable[[], object]], None]

A = "0a000000-0000-4000-8000-00000000000a"
B = "0b000000-0000-4000-8000-00000000000b"
MADE_OF = Details(Flavor("1-vcpu-8-mib", "1-vcpu-8-mib", vcpus=1, ram=8))
C = "0c000000-0000-4000-8000-00000000000c"


def test_no_computes_at_all(make_computes: MakeComputes) -> None:
    computes = make_computes()

    assert computes.wait_until_asked(30)
    assert (computes.listing().instances, computes.listing().unreachable, computes.status()) == ((), (), {})
    with pytest.raises(InstanceNotFound):
        computes.find("anything")


def test_the_listing_has_the_instances_of_all_computes_by_name(
    make_computes: MakeComputes, make_node: MakeNode
) -> None:
    computes = make_computes(
        c2=make_node(domain_xml("instance-00000001", id_=A, display_name="web")),
        c1=make_node(domain_xml("db", id_=B)),
    )
    assert computes.wait_until_asked(30)

    listing = computes.listing()

    assert listing.instances == (
        Instance(B, "db", "c1", PowerState.RUNNING, "db", details=MADE_OF),
        Instance(A, "web", "c2", PowerState.RUNNING, "instance-00000001", details=MADE_OF),
    )
    assert listing.unreachable == ()
    assert list(computes.status().items()) == [("c1", True), ("c2", True)]


# --- connect_info


def test_connect_info_is_the_computes_address_and_the_live_port(
    make_computes: MakeComputes, make_node: MakeNode
) -> None:
    computes = make_computes(c1=make_node(domain_xml("web", id_=A)))

    info = computes.connect_info(A)

    # The XML's listen address, 203.0.113.66, is not in it.
    assert (info.host, info.port, info.domain_id) == ("c1.vnc.example", 5901, 1)
    assert info.security == SecurityPolicy((AuthScheme.VENCRYPT,), "c1.tls.example")
    assert info.instance == computes.find(A)


def test_the_first_request_waits_for_the_first_connection(make_computes: MakeComputes, make_node: MakeNode) -> None:
    # Nothing waits between start and this.
    assert make_computes(c1=make_node(domain_xml("web", id_=A))).connect_info(A).port == 5901


SECRET = "<graphics type='vnc' port='5901' autoport='no' passwd='s3cret'/>"


def test_the_vnc_password_is_there_when_it_is_asked_for_and_nothing_keeps_it(
    make_computes: MakeComputes, make_node: MakeNode
) -> None:
    computes = make_computes(c1=make_node(domain_xml("web", id_=A, graphics=SECRET)))

    assert computes.connect_info(A).password is None
    assert computes.connect_info(A, with_password=True).password == VncPassword("s3cret")
    assert computes.connect_info(A).password is None
    assert "s3cret" not in repr(computes.connect_info(A, with_password=True))
    assert "s3cret" not in repr(computes.listing())


def test_one_that_was_changed_is_the_new_one_at_the_next_connect(
    make_computes: MakeComputes, shared_host: libvirt.virConnect
) -> None:
    computes = make_computes(c1="test:///default")
    for secret in ("first", "second"):
        domain = shared_host.createXML(domain_xml("web", id_=A, graphics=SECRET.replace("s3cret", secret)))
        assert computes.connect_info(A, with_password=True).password == VncPassword(secret)
        domain.destroy()


@pytest.mark.parametrize("code", [libvirt.VIR_ERR_OPERATION_DENIED, libvirt.VIR_ERR_ACCESS_DENIED])
def test_where_libvirt_tells_no_passwords_there_are_consoles_without(
    make_computes: MakeComputes, make_node: MakeNode, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    computes = make_computes(c1=make_node(domain_xml("web", id_=A, graphics=SECRET)))
    described = libvirt.virDomain.XMLDesc

    def denied(domain: libvirt.virDomain, flags: int = 0) -> str:
        if flags & libvirt.VIR_DOMAIN_XML_SECURE:
            error = libvirt.libvirtError("denied")
            error.err = (code, 0, "access denied", 2, None, None, None, 0, 0)
            raise error
        return str(described(domain, flags))

    monkeypatch.setattr(libvirt.virDomain, "XMLDesc", denied)

    info = computes.connect_info(A, with_password=True)

    assert (info.port, info.password) == (5901, None)


SOCKET = "<graphics type='vnc' socket='/run/vnc.sock'/>"


def test_a_display_on_a_unix_socket_of_this_machine_has_its_path(
    make_computes: MakeComputes, make_node: MakeNode
) -> None:
    info = make_computes(c1=make_node(domain_xml("web", id_=A, graphics=SOCKET))).connect_info(A)

    assert info.address == SocketAddress("/run/vnc.sock")
    assert info.port == 0


@pytest.mark.parametrize("uri", ["qemu+tls://c1/system", "qemu+ssh://c1/session", "qemu://localhost/system"])
def test_on_one_of_another_machine_it_cannot_be_reached(
    make_computes: MakeComputes, make_node: MakeNode, uri: str
) -> None:
    computes = make_computes(c1=make_node(domain_xml("web", id_=A, graphics=SOCKET)))
    assert computes.wait_until_asked(30)
    computes._computes[0]._uri = uri

    with pytest.raises(ConsoleTypeUnavailable, match="which is another machine") as caught:
        computes.connect_info(A)
    assert "/run/vnc.sock" not in str(caught.value)


@pytest.mark.parametrize("graphics", ["", "<graphics type='vnc' port='-1'/>", "<graphics type='vnc' socket='x'/>"])
def test_without_a_vnc_port_the_console_type_is_unavailable(
    make_computes: MakeComputes, make_node: MakeNode, graphics: str
) -> None:
    computes = make_computes(c1=make_node(domain_xml("web", id_=A, graphics=graphics)))

    with pytest.raises(ConsoleTypeUnavailable, match=r"^Unavailable console type novnc\. The instance.*\.$"):
        computes.connect_info(A)


def test_an_instance_that_is_off_is_not_running(make_computes: MakeComputes, shared_host: libvirt.virConnect) -> None:
    shared_host.defineXML(domain_xml("web", id_=A))
    computes = make_computes(c1="test:///default")

    with pytest.raises(InstanceNotRunning) as error:
        computes.connect_info(A)

    assert error.value.state is PowerState.SHUTDOWN
    assert computes.power_state(A) is PowerState.SHUTDOWN


def test_an_instance_that_went_away_is_not_found(
    make_computes: MakeComputes, make_node: MakeNode, shared_host: libvirt.virConnect
) -> None:
    domain = shared_host.createXML(domain_xml("web", id_=A))
    computes = make_computes(c1="test:///default", c2=make_node())
    assert computes.connect_info(A).instance.compute == "c1"

    domain.destroy()

    with pytest.raises(InstanceNotFound):
        computes.connect_info(A)
    assert computes.power_state(A) is None


def test_a_paused_instance_has_a_console(make_computes: MakeComputes, shared_host: libvirt.virConnect) -> None:
    shared_host.createXML(domain_xml("web", id_=A)).suspend()
    computes = make_computes(c1="test:///default")

    assert computes.connect_info(A).instance.state is PowerState.PAUSED


@pytest.mark.parametrize("text", ["", "web", A + "\n", "../" + A])
def test_connect_info_takes_ids_only(make_computes: MakeComputes, make_node: MakeNode, text: str) -> None:
    with pytest.raises(InstanceNotFound):
        make_computes(c1=make_node(domain_xml("web", id_=A))).connect_info(text)


# --- find


@pytest.mark.parametrize("form", [A, A.upper(), A.replace("-", ""), A.replace("-", "").upper()])
def test_an_id_is_found_in_any_form(make_computes: MakeComputes, make_node: MakeNode, form: str) -> None:
    computes = make_computes(c1=make_node(domain_xml("web", id_=A)))

    assert computes.find(form).id == A
    assert computes.connect_info(form).instance.id == A


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (A, A),
        (f"{{{A}}}", None),
        (f"urn:uuid:{A}", None),
        (A[:-1], None),
        (A + "0", None),
        (A + "\n", None),
        ("", None),
    ],
)
def test_what_is_a_uuid(text: str, expected: str | None) -> None:
    assert as_uuid(text) == expected


@pytest.mark.parametrize("name", ["web server", "instance-00000001"])
def test_a_name_is_novas_or_libvirts(make_computes: MakeComputes, make_node: MakeNode, name: str) -> None:
    computes = make_computes(c1=make_node(domain_xml("instance-00000001", id_=A, display_name="web server")))
    assert computes.wait_until_asked(30)

    assert computes.find(name).id == A


def test_novas_name_counts_before_libvirts(make_computes: MakeComputes, make_node: MakeNode) -> None:
    computes = make_computes(
        c1=make_node(
            domain_xml("web", id_=A, display_name="other"), domain_xml("instance-2", id_=B, display_name="web")
        )
    )
    assert computes.wait_until_asked(30)

    assert computes.find("web").id == B


def test_a_name_that_several_have_is_ambiguous(make_computes: MakeComputes, make_node: MakeNode) -> None:
    computes = make_computes(
        c1=make_node(domain_xml("instance-1", id_=B, display_name="web")),
        c2=make_node(domain_xml("instance-1", id_=A, display_name="web")),
    )
    assert computes.wait_until_asked(30)

    for name in ("web", "instance-1"):
        with pytest.raises(InstanceAmbiguous) as error:
            computes.find(name)
        assert error.value.ids == (A, B)


def test_a_uuid_is_never_taken_for_a_name(make_computes: MakeComputes, make_node: MakeNode) -> None:
    computes = make_computes(c1=make_node(domain_xml("instance-1", id_=A, display_name=B)))
    assert computes.wait_until_asked(30)

    with pytest.raises(InstanceNotFound):
        computes.find(B)


@pytest.mark.parametrize(
    "name", ["", "nobody", "x" * 256, "\0", "web\0", "\ud800", "../../etc/passwd", "%s%n", "\n", "🦊"]
)
def test_names_that_nobody_has(make_computes: MakeComputes, make_node: MakeNode, name: str) -> None:
    computes = make_computes(c1=make_node(domain_xml("web")))

    with pytest.raises(InstanceNotFound):
        computes.find(name)


@pytest.mark.parametrize("by", ["id", "name"])
def test_what_memory_does_not_know_yet_is_asked_for(
    make_computes: MakeComputes, make_node: MakeNode, shared_host: libvirt.virConnect, by: str
) -> None:
    computes = make_computes(c1="test:///default", c2=make_node())
    assert computes.wait_until_asked(30)

    shared_host.createXML(domain_xml("late", id_=A))

    # No event has reached the hub yet, for nothing has yielded to it.
    assert computes.listing().instances == tuple(i for i in computes.listing().instances if i.id != A)
    assert computes.find(A if by == "id" else "late").id == A


# --- an instance on two computes


def test_of_a_running_and_a_paused_copy_the_running_one_counts(
    make_computes: MakeComputes, make_node: MakeNode, shared_host: libvirt.virConnect
) -> None:
    """A live migration: the target's guest is paused until the source's has stopped."""
    shared_host.createXML(domain_xml("web", id_=A)).suspend()
    computes = make_computes(a_target="test:///default", b_source=make_node(domain_xml("web", id_=A)))
    assert computes.wait_until_asked(30)

    assert computes.find(A).compute == computes.find("web").compute == "b_source"
    assert [i.compute for i in computes.listing().instances if i.id == A] == ["b_source"]
    assert computes.connect_info(A).host == "b_source.vnc.example"
    assert computes.power_state(A) is PowerState.RUNNING


def test_a_definition_that_was_left_behind_does_not_count(
    make_computes: MakeComputes, make_node: MakeNode, shared_host: libvirt.virConnect
) -> None:
    shared_host.defineXML(domain_xml("web", id_=A))
    computes = make_computes(a_old="test:///default", b_new=make_node(domain_xml("web", id_=A)))
    assert computes.wait_until_asked(30)

    assert computes.connect_info(A).host == "b_new.vnc.example"


# --- instances come and go


def test_events_keep_the_listing_current(
    make_computes: MakeComputes, shared_host: libvirt.virConnect, eventually: Eventually
) -> None:
    computes = make_computes(c1="test:///default")
    assert computes.wait_until_asked(30)

    def state() -> PowerState | None:
        return next((i.state for i in computes.listing().instances if i.id == A), None)

    domain = shared_host.defineXML(domain_xml("web", id_=A))
    eventually(lambda: state() is PowerState.SHUTDOWN)
    domain.create()
    eventually(lambda: state() is PowerState.RUNNING)
    domain.suspend()
    eventually(lambda: state() is PowerState.PAUSED)
    domain.resume()
    eventually(lambda: state() is PowerState.RUNNING)
    domain.destroy()
    eventually(lambda: state() is PowerState.SHUTDOWN)
    domain.undefine()
    eventually(lambda: state() is None)


def test_a_storm_of_events_loses_nothing(
    make_computes: MakeComputes, shared_host: libvirt.virConnect, eventually: Eventually
) -> None:
    computes = make_computes(c1="test:///default")
    assert computes.wait_until_asked(30)
    ids = {str(uuid.uuid4()) for _ in range(300)}

    domains = [shared_host.createXML(domain_xml(f"vm-{id_}", id_=id_)) for id_ in sorted(ids)]
    eventually(lambda: ids <= {i.id for i in computes.listing().instances})
    for domain in domains:
        domain.destroy()
    eventually(lambda: not ids & {i.id for i in computes.listing().instances})


def test_the_re_check_finds_what_no_event_told(
    make_computes: MakeComputes, make_node: MakeNode, eventually: Eventually
) -> None:
    """The display name of this driver's domain changes without an event."""
    computes = make_computes(c1="test:///default", resync_interval=0.05)
    conn = libvirt.open("test:///default")
    domain = conn.lookupByName("test")
    eventually(lambda: [i.name for i in computes.listing().instances] == ["test"])
    domain.setMetadata(
        libvirt.VIR_DOMAIN_METADATA_ELEMENT,
        "<instance><name>renamed</name></instance>",
        "nova",
        "http://openstack.org/xmlns/libvirt/nova/1.1",
        libvirt.VIR_DOMAIN_AFFECT_LIVE,
    )
    try:
        eventually(lambda: [i.name for i in computes.listing().instances] == ["renamed"])
    finally:
        domain.setMetadata(
            libvirt.VIR_DOMAIN_METADATA_ELEMENT,
            None,
            None,
            "http://openstack.org/xmlns/libvirt/nova/1.1",
            libvirt.VIR_DOMAIN_AFFECT_LIVE,
        )
        conn.close()


def test_a_large_compute_is_listed_in_portions(make_computes: MakeComputes, make_node: MakeNode) -> None:
    computes = make_computes(c1=make_node(*(domain_xml(f"vm-{number:04}") for number in range(333))))

    assert computes.wait_until_asked(30)
    assert len(computes.listing().instances) == 333


def test_libvirt_prints_nothing(
    make_computes: MakeComputes, make_node: MakeNode, capfd: pytest.CaptureFixture[str]
) -> None:
    computes = make_computes(c1=make_node(), c2="qemu+unix:///system?socket=/no/such/socket")
    assert computes.wait_until_asked(30)
    with pytest.raises(Exception, match="reached"):
        computes.find(A)

    assert capfd.readouterr() == ("", "")


# --- another list


def settings_of(name: str, uri: str, address: str = "192.0.2.11") -> ComputeSettings:
    return ComputeSettings(name, uri, address, (AuthScheme.NONE,), name)


@pytest.fixture
def two(make_node: MakeNode) -> Iterator[tuple[Computes, ComputeSettings, ComputeSettings]]:
    first = settings_of("c1", make_node(domain_xml("web", id_=A)))
    second = settings_of("c2", make_node(domain_xml("db", id_=B)))
    computes = Computes([first, second], call_timeout=10, resync_interval=60)
    computes.start()
    assert computes.wait_until_asked(30)
    yield computes, first, second
    computes.stop()


Two = tuple[Computes, ComputeSettings, ComputeSettings]


def test_what_is_the_same_stays_connected(two: Two) -> None:
    computes, first, second = two
    before = list(computes._computes)
    computes.replace([second, settings_of("c1", first.connection_uri)])
    assert computes._computes == before
    assert computes.status() == {"c1": True, "c2": True}


def test_one_is_added(two: Two, make_node: MakeNode, eventually: Eventually) -> None:
    computes, first, second = two
    added = settings_of("c0", make_node(domain_xml("new", id_=C)))
    computes.replace([first, second, added])
    assert computes.connect_info(C).port == 5901, "the first look-up waits for its connection"
    eventually(lambda: computes.status() == {"c0": True, "c1": True, "c2": True})


def test_one_that_is_added_and_down_makes_nothing_unready(two: Two, refused_port: int, eventually: Eventually) -> None:
    computes, first, second = two
    computes.replace([first, second, settings_of("c3", f"qemu+tcp://127.0.0.1:{refused_port}/system")])
    assert computes.wait_until_asked(0)
    eventually(lambda: computes.listing().unreachable == ("c3",))


def test_one_is_removed(two: Two, eventually: Eventually) -> None:
    computes, _, second = two
    gone = computes._computes[0]
    computes.replace([second])
    with pytest.raises(InstanceNotFound):
        computes.connect_info(A)
    assert computes.power_state(A) is None
    assert [instance.id for instance in computes.listing().instances] == [B]
    eventually(lambda: gone.busy_threads == 0 and not gone.reachable)


def test_one_has_changed_and_its_instances_are_known_meanwhile(two: Two, eventually: Eventually) -> None:
    computes, first, second = two
    computes.replace([settings_of("c1", first.connection_uri, "192.0.2.99"), second])
    assert [instance.id for instance in computes.listing().instances] == [B, A]
    assert computes.connect_info(A).host == "192.0.2.99"
    eventually(lambda: computes.status() == {"c1": True, "c2": True})


def test_all_are_removed(two: Two) -> None:
    computes, _, _ = two
    computes.replace([])
    assert (computes.status(), computes.listing().instances) == ({}, ())
