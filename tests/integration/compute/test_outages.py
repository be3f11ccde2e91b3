"""Real compute hosts that are cut off, frozen and restarted."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable

import gevent
import pytest

from porthole.compute import Computes, ComputeUnavailable, InstanceNotFound, PowerState
from tests.hosts import ComputeHost, Guest

from .conftest import Eventually, Hosts

UNKNOWN = "ffffffff-0000-4000-8000-00000000000f"
PROMISED = 5.0
"""Seconds within which the service promises to say that a compute is cut off."""


@pytest.fixture
def guests(hosts: Hosts) -> tuple[Guest, Guest]:
    """One guest on each host."""
    return hosts[0].start_guest("one"), hosts[1].start_guest("two")


def cut_off(host: ComputeHost) -> None:
    host.link_down()


def frozen(host: ComputeHost) -> None:
    host.freeze()


def stopped(host: ComputeHost) -> None:
    host.stop()


def unavailable(ask: Callable[[], object]) -> ComputeUnavailable:
    """Ask, which has to fail for the compute within the promised time."""
    started = time.monotonic()
    with pytest.raises(ComputeUnavailable) as error:
        ask()
    assert time.monotonic() - started < PROMISED
    return error.value


@pytest.mark.parametrize("trouble", [cut_off, frozen, stopped])
def test_a_compute_in_trouble_is_unavailable_and_comes_back(
    trouble: Callable[[ComputeHost], None],
    hosts: Hosts,
    guests: tuple[Guest, Guest],
    service: Computes,
    eventually: Eventually,
) -> None:
    one, two = guests
    assert service.connect_info(one.uuid).host == hosts[0].ip

    trouble(hosts[0])

    assert unavailable(lambda: service.connect_info(one.uuid)).compute == "compute1"
    eventually(lambda: service.status() == {"compute1": False, "compute2": True})
    # From now on it is known to be down, and a thousand questions take no thousand time limits.
    with gevent.Timeout(PROMISED):
        for _ in range(1000):
            unavailable(lambda: service.connect_info(one.uuid))
    # Unknown here may mean that it is there: no guess.
    unavailable(lambda: service.find(UNKNOWN))
    unavailable(lambda: service.find("no such name"))
    assert service.find("one").compute == "compute1"  # as it last reported
    assert service.listing().unreachable == ("compute1",)
    # The other one goes on.
    assert service.connect_info(two.uuid).host == hosts[1].ip

    hosts[0].recover()

    eventually(lambda: service.status() == {"compute1": True, "compute2": True})
    assert service.connect_info(one.uuid).host == hosts[0].ip
    with pytest.raises(InstanceNotFound):
        service.find(UNKNOWN)


def test_the_other_compute_answers_while_one_is_being_given_up(
    hosts: Hosts, guests: tuple[Guest, Guest], service: Computes
) -> None:
    hosts[0].link_down()
    stuck = gevent.spawn(lambda: unavailable(lambda: service.connect_info(guests[0].uuid)))
    gevent.sleep(0)

    answered = 0
    while not stuck.ready():
        assert service.connect_info(guests[1].uuid).port == guests[1].port
        answered += 1

    assert stuck.get().compute == "compute1"
    assert answered > 1


def test_one_guest_that_will_not_end_takes_no_other_with_it(
    hosts: Hosts, service: Computes, eventually: Eventually
) -> None:
    """libvirt holds the domain's lock while it waits for QEMU, here for about 10 s; so does a QEMU on dead storage."""
    stubborn, other = hosts[0].start_guest("stubborn"), hosts[0].start_guest("other")
    os.kill(stubborn.pid, signal.SIGSTOP)
    ending = threading.Thread(target=stubborn.destroy)
    ending.start()
    try:
        eventually(lambda: not answers(service, stubborn))
        for _ in range(3):
            eventually(lambda: answers(service, other))
            assert not answers(service, stubborn)
        still_ending = ending.is_alive()
    finally:
        ending.join()

    assert still_ending
    eventually(lambda: [i.name for i in service.listing().instances] == ["other"])
    eventually(lambda: service._computes[0].busy_threads == 0)
    with pytest.raises(InstanceNotFound):
        service.connect_info(stubborn.uuid)


def answers(service: Computes, guest: Guest) -> bool:
    """Whether its compute answers for it."""
    try:
        service.connect_info(guest.uuid)
    except ComputeUnavailable:
        return False
    return True


def test_an_outage_is_noticed_without_anybody_asking(hosts: Hosts, service: Computes, eventually: Eventually) -> None:
    hosts[0].link_down()

    eventually(lambda: service.status() == {"compute1": False, "compute2": True})


def test_what_happened_during_an_outage_is_known_afterwards(
    hosts: Hosts, guests: tuple[Guest, Guest], service: Computes, eventually: Eventually
) -> None:
    one, _ = guests
    hosts[0].link_down()
    unavailable(lambda: service.connect_info(one.uuid))
    hosts[0].link_up()
    hosts[0].recover()  # the test's own connection may have broken too
    one.destroy()
    late = hosts[0].start_guest("late")

    eventually(lambda: {i.name for i in service.listing().instances} == {"late", "two"})
    eventually(lambda: service.status()["compute1"])

    with pytest.raises(InstanceNotFound):
        service.connect_info(one.uuid)
    assert service.power_state(late.uuid) is PowerState.RUNNING


def test_a_restarted_libvirtd_keeps_its_guests_identities(
    hosts: Hosts, guests: tuple[Guest, Guest], service: Computes, eventually: Eventually
) -> None:
    one, _ = guests
    before = service.connect_info(one.uuid)

    hosts[0].stop()
    eventually(lambda: not service.status()["compute1"])
    hosts[0].start()
    eventually(lambda: service.status()["compute1"])

    after = service.connect_info(one.uuid)
    assert (after.host, after.port, after.domain_id) == (before.host, before.port, before.domain_id)


def test_outages_leave_no_files_and_no_threads_behind(hosts: Hosts, service: Computes, eventually: Eventually) -> None:
    compute = service._computes[0]

    def restart() -> None:
        hosts[0].stop()
        eventually(lambda: not compute.reachable)
        hosts[0].start()
        eventually(lambda: compute.reachable and compute.busy_threads == 0)

    restart()
    files = len(os.listdir("/proc/self/fd"))
    for _ in range(4):
        restart()

    assert len(os.listdir("/proc/self/fd")) <= files
