"""Computes that do not answer.

A time limit of 30 s with a whole test bounded by 10 s means: this did not wait
for the limit. No assertion depends on how fast a machine is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
import libvirt
import pytest

from porthole.compute import ComputeUnavailable, InstanceNotFound, PowerState, host
from porthole.compute.link import THREADS

from .conftest import HangingLibvirt, MakeComputes, MakeNode, domain_xml

Eventually = Callable[[Callable[[], object]], None]

A = "0a000000-0000-4000-8000-00000000000a"
UNKNOWN = "ffffffff-0000-4000-8000-00000000000f"


@pytest.fixture
def without_waiting() -> Iterator[None]:
    """The test must not wait for a time limit of 30 s."""
    with gevent.Timeout(10, AssertionError("it waited")):
        yield


@pytest.fixture(params=["silent_port", "black_hole_port", "hanging_libvirt"])
def dead_uri(request: pytest.FixtureRequest) -> str:
    """A compute that leaves everybody waiting, each in its own way."""
    it = request.getfixturevalue(request.param)
    port = it.port if isinstance(it, HangingLibvirt) else it
    return f"qemu+tcp://127.0.0.1:{port}/system"


def test_a_compute_that_does_not_answer_is_unavailable(make_computes: MakeComputes, dead_uri: str) -> None:
    computes = make_computes(call_timeout=0.2, c1=dead_uri)

    with gevent.Timeout(10):
        for ask in (computes.find, computes.connect_info, computes.power_state):
            with pytest.raises(ComputeUnavailable) as error:
                ask(A)
            assert error.value.compute == "c1"
            assert "c1" not in str(error.value)  # users are not told names of computes
    assert computes.status() == {"c1": False}
    assert computes.listing().unreachable == ("c1",)


@pytest.mark.usefixtures("without_waiting")
def test_it_slows_nobody_else(make_computes: MakeComputes, make_node: MakeNode, dead_uri: str) -> None:
    computes = make_computes(call_timeout=30, dead=dead_uri, alive=make_node(domain_xml("web", id_=A)))

    assert computes.connect_info(A).port == 5901
    assert computes.find("web").id == A
    assert computes.power_state(A) is PowerState.RUNNING
    assert [instance.id for instance in computes.listing().instances] == [A]
    assert computes.status() == {"alive": True, "dead": False}


@pytest.mark.usefixtures("without_waiting")
def test_what_is_known_to_be_down_fails_at_once(make_computes: MakeComputes, refused_port: int) -> None:
    computes = make_computes(call_timeout=30, c1=f"qemu+tcp://127.0.0.1:{refused_port}/system")
    assert computes.wait_until_asked(30)

    for _ in range(1000):
        with pytest.raises(ComputeUnavailable) as error:
            computes.find(A)
    assert error.value.why == f"127.0.0.1 port {refused_port}: refused the connection"


def test_an_unknown_id_is_never_guessed_while_a_compute_is_down(
    make_computes: MakeComputes, make_node: MakeNode, refused_port: int
) -> None:
    computes = make_computes(down=f"qemu+tcp://127.0.0.1:{refused_port}/system", up=make_node(domain_xml("web", id_=A)))
    assert computes.wait_until_asked(30)

    for ask in (computes.find, computes.connect_info, computes.power_state):
        with pytest.raises(ComputeUnavailable):
            ask(UNKNOWN)
    with pytest.raises(ComputeUnavailable):
        computes.find("no such name")
    assert computes.connect_info(A).instance.id == A


def test_several_that_are_down_are_all_named_to_administrators(make_computes: MakeComputes, refused_port: int) -> None:
    uri = f"qemu+tcp://127.0.0.1:{refused_port}/system"
    computes = make_computes(c2=uri, c1=uri)

    with pytest.raises(ComputeUnavailable) as error:
        computes.find(UNKNOWN)

    assert error.value.compute == "c1, c2"


@pytest.mark.parametrize(
    "uri",
    [
        "nonsense://c1/",
        "qemu+tcp://no-such-host.invalid/system",
        "test:///no/such/file.xml",
        "qemu+unix:///system?socket=/no/such/socket",
        "qemu+tcp://[::1/system",
        "qemu+tcp://127.0.0.1:99999/system",
    ],
)
def test_a_uri_that_leads_nowhere(make_computes: MakeComputes, make_node: MakeNode, uri: str) -> None:
    computes = make_computes(bad=uri, good=make_node(domain_xml("web", id_=A)))

    assert computes.wait_until_asked(30)
    with pytest.raises(ComputeUnavailable) as error:
        computes.find(UNKNOWN)
    assert error.value.why
    assert computes.connect_info(A).instance.compute == "good"


def test_threads_that_hang_in_libvirt_are_bounded_and_come_back(
    make_computes: MakeComputes,
    hanging_libvirt: HangingLibvirt,
    monkeypatch: pytest.MonkeyPatch,
    eventually: Eventually,
) -> None:
    """The trap: a time limit frees no thread, so each attempt to connect costs one."""
    monkeypatch.setattr(host, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(host, "LONGEST_PAUSE", 0.01)
    computes = make_computes(call_timeout=0.1, c1=f"qemu+tcp://127.0.0.1:{hanging_libvirt.port}/system")
    (compute,) = computes._computes

    def why() -> str:
        with pytest.raises(ComputeUnavailable) as error:
            computes.find(A)
        return error.value.why

    eventually(lambda: "threads are stuck" in why())

    assert compute.busy_threads < THREADS
    assert gevent.get_hub().threadpool.apply(lambda: "free") == "free"

    hanging_libvirt.stop()  # the peer closes the connections
    eventually(lambda: "refused" in why())
    eventually(lambda: compute.busy_threads == 0)


def test_a_compute_that_comes_late_is_found(
    make_computes: MakeComputes, tmp_path: Path, eventually: Eventually
) -> None:
    path = tmp_path / "node.xml"
    computes = make_computes(c1=f"test://{path}")
    assert computes.wait_until_asked(30)
    assert computes.status() == {"c1": False}

    path.write_text(f"<node>{domain_xml('web', id_=A)}</node>")

    eventually(lambda: computes.status() == {"c1": True})
    assert computes.connect_info(A).port == 5901


def test_what_was_known_of_a_lost_compute_stays_listed(
    make_computes: MakeComputes, make_node: MakeNode, refused_port: int
) -> None:
    computes = make_computes(c1=make_node(domain_xml("web", id_=A)))
    assert computes.wait_until_asked(30)
    (compute,) = computes._computes
    known = computes.listing().instances

    compute._uri = f"qemu+tcp://127.0.0.1:{refused_port}/system"
    assert compute._link is not None
    compute._link.kill("the cable was cut")
    gevent.sleep(0)

    listing = computes.listing()
    assert listing.unreachable == ("c1",)
    assert listing.instances == known
    assert [(instance.id, instance.state) for instance in known] == [(A, PowerState.RUNNING)]
    assert computes.find(A).compute == "c1"
    with pytest.raises(ComputeUnavailable):
        computes.connect_info(A)


@pytest.mark.usefixtures("without_waiting")
def test_stopping_waits_for_nobody(make_computes: MakeComputes, dead_uri: str) -> None:
    computes = make_computes(call_timeout=30, c1=dead_uri)

    def ask() -> None:
        with pytest.raises(ComputeUnavailable):
            computes.find(A)

    asking = gevent.spawn(ask)
    gevent.sleep(0.05)

    computes.stop()

    asking.join()
    assert asking.successful()


def test_a_request_that_is_abandoned_takes_nothing_with_it(make_computes: MakeComputes, make_node: MakeNode) -> None:
    computes = make_computes(c1=make_node(domain_xml("web", id_=A)))
    assert computes.wait_until_asked(30)

    for _ in range(50):
        greenlets = [gevent.spawn(computes.connect_info, A) for _ in range(10)]
        gevent.sleep(0)
        gevent.killall(greenlets)

    assert computes.connect_info(A).port == 5901


def test_many_requests_at_once_wait_their_turn(make_computes: MakeComputes, make_node: MakeNode) -> None:
    computes = make_computes(c1=make_node(domain_xml("web", id_=A)))

    greenlets = [gevent.spawn(computes.connect_info, A) for _ in range(2000)]
    gevent.joinall(greenlets, timeout=60, raise_error=True)

    assert {greenlet.get().port for greenlet in greenlets} == {5901}
    assert computes._computes[0].busy_threads == 0


def test_connections_that_are_lost_leave_nothing_behind(
    make_computes: MakeComputes,
    shared_host: libvirt.virConnect,
    eventually: Eventually,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(host, "FIRST_PAUSE", 0.001)
    shared_host.createXML(domain_xml("web", id_=A))
    computes = make_computes(c1="test:///default")
    (compute,) = computes._computes

    def lose() -> None:
        eventually(lambda: compute.reachable)
        assert compute._link is not None
        compute._link.kill("lost")
        eventually(lambda: compute.reachable)

    lose()
    before = len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))
    for _ in range(30):
        lose()
    eventually(lambda: compute.busy_threads == 0)

    files, tasks = len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))
    assert files <= before[0]
    assert tasks <= before[1] + THREADS


def test_after_stop_nothing_is_reachable(make_computes: MakeComputes, make_node: MakeNode) -> None:
    computes = make_computes(c1=make_node(domain_xml("web", id_=A)))
    assert computes.wait_until_asked(30)

    computes.stop()
    computes.stop()

    assert computes.status() == {"c1": False}
    with pytest.raises((ComputeUnavailable, InstanceNotFound)):
        computes.connect_info(A)
