"""The owner of an instance, from libvirt's metadata to what a look-up shows, on libvirt's test driver."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import gevent
import libvirt
import pytest

from porthole.compute import ComputeUnavailable, Instance, InstanceAmbiguous, InstanceNotFound, InstanceNotRunning
from porthole.compute.computes import Computes
from porthole.compute.owner import PORTHOLE_NAMESPACE
from porthole.config import AuthScheme, ComputeSettings

from .conftest import NOVA, HangingLibvirt, MakeNode, domain_xml

Eventually = Callable[[Callable[[], object]], None]
Start = Callable[..., Computes]
Ask = Callable[[Computes, str, Callable[[Instance], bool]], object]

A = "0a000000-0000-4000-8000-00000000000a"
B = "0b000000-0000-4000-8000-00000000000b"
NO_ONE = "ffffffff-0000-4000-8000-00000000000f"


def owned(name: str, id_: str, project: str | None, user: str = "") -> str:
    """A domain with our owner element; without one when ``project`` is None."""
    metadata = f"<porthole:owner xmlns:porthole='{PORTHOLE_NAMESPACE}' project='{project}' user='{user}'/>"
    xml = domain_xml(name, id_=id_)
    return xml if project is None else xml.replace("<memory>", f"<metadata>{metadata}</metadata><memory>")


def settings(name: str, uri: str, owner_project: str = "default", owner_user: str = "") -> ComputeSettings:
    return ComputeSettings(name, uri, "192.0.2.11", (AuthScheme.NONE,), name, owner_project, owner_user)


def of(project: str) -> Callable[[Instance], bool]:
    """What a member of a project may see."""
    return lambda instance: instance.project_id == project


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts computes, and waits until they are listed."""
    made: list[Computes] = []

    def make(*computes: ComputeSettings, call_timeout: float = 30.0, wait: bool = True) -> Computes:
        made.append(Computes(computes, call_timeout=call_timeout, resync_interval=3600))
        made[-1].start()
        assert not wait or made[-1].wait_until_asked(30)
        return made[-1]

    yield make
    for computes in made:
        computes.stop()


def owners(instances: Sequence[Instance]) -> list[tuple[str, str, str]]:
    return [(instance.name, instance.project_id, instance.user_id) for instance in instances]


# --- whose it is


def test_the_metadata_say_it_and_the_compute_for_those_that_say_nothing(start: Start, make_node: MakeNode) -> None:
    uri = make_node(owned("db", B, "team-b", "bob"), owned("web", A, None))
    computes = start(settings("c1", uri, "team-a", "alice"))

    expected = [("db", "team-b", "bob"), ("web", "team-a", "alice")]
    assert owners(computes.listing().instances) == expected
    assert owners([computes.find("db"), computes.find(A)]) == expected
    assert owners([computes.connect_info(B).instance, computes.connect_info(A).instance]) == expected


def test_a_broken_owner_is_nobody_and_not_the_computes(start: Start, make_node: MakeNode) -> None:
    computes = start(settings("c1", make_node(owned("web", A, "")), "team-a", "alice"))

    assert owners(computes.listing().instances) == [("web", "", "")]


def test_an_instance_whose_xml_cannot_be_read_is_nobodys(start: Start, make_node: MakeNode) -> None:
    too_long = domain_xml("web", id_=A).replace(
        "<memory>", f"<metadata><a xmlns='urn:a'>{'x' * (1 << 20)}</a></metadata><memory>"
    )
    computes = start(settings("c1", make_node(too_long), "team-a"))

    assert owners(computes.listing().instances) == [("web", "", "")]


def test_where_nobody_is_the_computes_owner_they_are_nobodys(start: Start, make_node: MakeNode) -> None:
    computes = start(settings("c1", make_node(owned("web", A, None)), ""))

    assert owners(computes.listing().instances) == [("web", "", "")]


# --- it changes while the guest runs


def set_owner(domain: libvirt.virDomain, project: str | None) -> None:
    """As ``virsh metadata`` does it; None takes the element out."""
    domain.setMetadata(
        libvirt.VIR_DOMAIN_METADATA_ELEMENT,
        project and f"<owner project='{project}'/>",
        project and "porthole",
        PORTHOLE_NAMESPACE,
        libvirt.VIR_DOMAIN_AFFECT_LIVE,
    )


def test_a_change_while_the_guest_runs_is_heard_of(
    start: Start, shared_host: libvirt.virConnect, eventually: Eventually
) -> None:
    domain = shared_host.createXML(domain_xml("web", id_=A))
    computes = start(settings("c1", "test:///default"))

    def has(project: str) -> bool:
        return any(i.id == A and i.project_id == project for i in computes.listing().instances)

    # The full listing is an hour away: only libvirt's event can have told.
    for says, expected in (("team-a", "team-a"), ("team-b", "team-b"), (None, "default")):
        set_owner(domain, says)
        eventually(partial(has, expected))


def test_a_connect_asks_libvirt_and_not_the_memory(start: Start, shared_host: libvirt.virConnect) -> None:
    domain = shared_host.createXML(domain_xml("web", id_=A))
    computes = start(settings("c1", "test:///default"))

    set_owner(domain, "team-b")

    # No event has reached the hub yet, for nothing has yielded to it.
    assert computes.find(A).project_id == "default"
    assert computes.connect_info(A).instance.project_id == "team-b"


def test_another_owner_of_a_compute_takes_what_was_known_from_the_old_one(start: Start, make_node: MakeNode) -> None:
    before = settings("c1", make_node(owned("web", A, None)), "team-a")
    computes = start(before)

    computes.replace([replace(before, owner_project="team-b")])

    # It has not been asked anew yet, for nothing has yielded to the hub.
    assert [i for i in computes.listing().instances if i.project_id == "team-a"] == []
    assert computes.find(A).project_id == "team-b"


# --- what may not be seen is as what does not exist


@pytest.fixture
def two_teams(start: Start, make_node: MakeNode) -> Computes:
    """A compute with ``web`` of team-a and ``db`` of team-b."""
    return start(settings("c1", make_node(owned("web", A, "team-a"), owned("db", B, "team-b"))))


@pytest.mark.parametrize("asked_for", [B, B.upper(), "db"])
def test_it_is_found_by_its_owner_and_by_nobody_else(two_teams: Computes, asked_for: str) -> None:
    assert two_teams.find(asked_for, of("team-b")).id == two_teams.find(asked_for).id == B
    with pytest.raises(InstanceNotFound):
        two_teams.find(asked_for, of("team-a"))


@pytest.mark.parametrize(("hidden", "absent"), [(B, NO_ONE), ("db", "xx")])
def test_the_words_are_the_same(two_teams: Computes, hidden: str, absent: str) -> None:
    said = []
    for asked_for in (hidden, absent):
        with pytest.raises(InstanceNotFound) as error:
            two_teams.find(asked_for, of("team-a"))
        said.append(str(error.value).replace(asked_for, "..."))

    assert said[0] == said[1]


@pytest.mark.parametrize(
    ("ask", "hidden", "absent"),
    [(Computes.find, B, NO_ONE), (Computes.find, "db", "xx"), (Computes.connect_info, B, NO_ONE)],
)
def test_the_same_computes_are_asked(
    start: Start, make_node: MakeNode, monkeypatch: pytest.MonkeyPatch, ask: Ask, hidden: str, absent: str
) -> None:
    """The memory would know it at once, and the time would tell."""
    computes = start(
        settings("c1", make_node(owned("db", B, "team-b"))), settings("c2", make_node(owned("web", A, "team-a")))
    )
    asked: list[str] = []

    def noted(name: str, original: Callable[..., object], *args: object, **options: object) -> object:
        asked.append(name)
        return original(*args, **options)

    for compute in computes._computes:
        for method in ("by_id", "by_name"):
            original = getattr(compute, method)

            monkeypatch.setattr(compute, method, partial(noted, f"{compute.name} {method}", original))

    with pytest.raises(InstanceNotFound):
        ask(computes, hidden, of("team-a"))
    of_the_hidden = sorted(asked)
    asked.clear()
    with pytest.raises(InstanceNotFound):
        ask(computes, absent, of("team-a"))

    assert of_the_hidden == sorted(asked)
    assert len(asked) == 2


@pytest.mark.parametrize("asked_for", [B, "db", NO_ONE, "xx"])
def test_while_a_compute_is_away_both_are_unknown(
    start: Start, make_node: MakeNode, refused_port: int, asked_for: str
) -> None:
    computes = start(
        settings("c1", make_node(owned("db", B, "team-b"))),
        settings("c2", f"qemu+tcp://127.0.0.1:{refused_port}/system"),
    )

    with pytest.raises(ComputeUnavailable) as error:
        computes.find(asked_for, of("team-a"))

    assert error.value.compute == "c2"
    assert computes.find("db", of("team-b")).id == B


@pytest.mark.parametrize("asked_for", [B, NO_ONE])
def test_a_connect_while_a_compute_is_away_is_unknown_too(
    start: Start, make_node: MakeNode, refused_port: int, asked_for: str
) -> None:
    computes = start(
        settings("c1", make_node(owned("db", B, "team-b"))),
        settings("c2", f"qemu+tcp://127.0.0.1:{refused_port}/system"),
    )

    with pytest.raises(ComputeUnavailable):
        computes.connect_info(asked_for, of("team-a"))

    assert computes.connect_info(B, of("team-b")).instance.id == B


def test_a_connect_goes_by_the_owner_of_the_moment(start: Start, shared_host: libvirt.virConnect) -> None:
    domain = shared_host.createXML(owned("web", A, "team-a"))
    computes = start(settings("c1", "test:///default"))
    set_owner(domain, "team-b")

    # No event has reached the hub yet: by its memory the instance is still team-a's.
    assert computes.find(A, of("team-a")).id == A
    with pytest.raises(InstanceNotFound) as error:
        computes.connect_info(A, of("team-a"))
    assert str(error.value) == f"Instance {A} could not be found."


def test_a_hidden_instance_that_is_off_is_not_there(start: Start, shared_host: libvirt.virConnect) -> None:
    shared_host.defineXML(owned("web", A, "team-a"))
    computes = start(settings("c1", "test:///default"))

    with pytest.raises(InstanceNotFound):
        computes.connect_info(A, of("team-b"))
    with pytest.raises(InstanceNotRunning):
        computes.connect_info(A, of("team-a"))


def test_one_that_is_ones_own_by_now_is_connected_to_at_once(start: Start, shared_host: libvirt.virConnect) -> None:
    domain = shared_host.createXML(owned("web", A, "team-a"))
    computes = start(settings("c1", "test:///default"))
    set_owner(domain, "team-b")

    assert computes.connect_info(A, of("team-b")).instance.project_id == "team-b"


@pytest.mark.parametrize("asked_for", [B, NO_ONE])
def test_a_compute_that_hangs_is_waited_for_in_both_cases(
    start: Start, make_node: MakeNode, hanging_libvirt: HangingLibvirt, asked_for: str
) -> None:
    hangs = settings("c2", f"qemu+tcp://127.0.0.1:{hanging_libvirt.port}/system")
    computes = start(settings("c1", make_node(owned("db", B, "team-b"))), hangs, call_timeout=0.3, wait=False)

    # A running guest that may not be seen does not end the question early.
    with gevent.Timeout(20), pytest.raises(ComputeUnavailable):
        computes.find(asked_for, of("team-a"))


def test_others_of_the_name_neither_hide_an_instance_nor_are_told_of(start: Start, make_node: MakeNode) -> None:
    computes = start(
        settings("c1", make_node(owned("web", A, "team-a"))), settings("c2", make_node(owned("web", B, "team-b")))
    )

    assert (computes.find("web", of("team-a")).id, computes.find("web", of("team-b")).id) == (A, B)
    with pytest.raises(InstanceAmbiguous) as error:
        computes.find("web")
    assert error.value.ids == (A, B)


def test_a_display_name_of_somebody_else_does_not_shadow_a_domains_name(start: Start, make_node: MakeNode) -> None:
    nova = f"<nova:instance xmlns:nova='{NOVA}'><nova:name>web</nova:name><nova:owner>"
    other = domain_xml("instance-1", id_=B).replace(
        "<memory>", f"<metadata>{nova}<nova:project uuid='b'/></nova:owner></nova:instance></metadata><memory>"
    )
    computes = start(settings("c1", make_node(owned("web", A, "team-a"), other)))

    assert computes.find("web", of("team-a")).id == A
    assert computes.find("web", of("b")).id == B


def test_the_copy_that_runs_says_whose_it_is(
    start: Start, make_node: MakeNode, shared_host: libvirt.virConnect
) -> None:
    """A definition with an old owner was left behind on another compute."""
    shared_host.defineXML(owned("web", A, "old"))
    computes = start(settings("a_old", "test:///default"), settings("b_new", make_node(owned("web", A, "new"))))

    assert computes.find(A, of("new")).compute == computes.find("web", of("new")).compute == "b_new"
    for asked_for in (A, "web"):
        with pytest.raises(InstanceNotFound):
            computes.find(asked_for, of("old"))
