"""Instances of real compute hosts come, change and go."""

from __future__ import annotations

import socket
import threading

import libvirt
import pytest

from porthole.compute import (
    Computes,
    ConsoleTypeUnavailable,
    InstanceNotFound,
    InstanceNotRunning,
    PowerState,
)

from .conftest import Eventually, Hosts


def test_a_guest_is_found_and_its_vnc_server_answers_there(hosts: Hosts, service: Computes) -> None:
    guest = hosts[0].start_guest("instance-00000001", metadata_name="web")

    info = service.connect_info(guest.uuid)

    assert (info.host, info.port) == (hosts[0].ip, guest.port)
    assert info.instance == service.find(guest.uuid) == service.find("instance-00000001")
    assert (info.instance.name, info.instance.compute) == ("web", "compute1")
    with socket.create_connection((info.host, info.port), timeout=10) as vnc:
        assert vnc.recv(12) == b"RFB 003.008\n"


def test_the_listing_follows_the_guests(hosts: Hosts, service: Computes, eventually: Eventually) -> None:
    def listed() -> set[tuple[str, str, PowerState]]:
        return {(i.name, i.compute, i.state) for i in service.listing().instances}

    one = hosts[0].start_guest("one", metadata_name="the first")
    two = hosts[1].start_guest("two", persistent=True)
    eventually(
        lambda: listed() == {("the first", "compute1", PowerState.RUNNING), ("two", "compute2", PowerState.RUNNING)}
    )

    two.pause()
    eventually(lambda: ("two", "compute2", PowerState.PAUSED) in listed())
    two.resume()
    eventually(lambda: ("two", "compute2", PowerState.RUNNING) in listed())

    one.shutdown()  # the guest's own doing: the power button
    two.destroy()
    eventually(lambda: listed() == {("two", "compute2", PowerState.SHUTDOWN)})

    two.domain.undefine()
    eventually(lambda: not listed())


def test_a_rename_by_nova_is_seen(hosts: Hosts, service: Computes, eventually: Eventually) -> None:
    guest = hosts[0].start_guest("instance-00000001", metadata_name="old name")
    assert service.connect_info(guest.uuid).instance.name == "old name"

    guest.set_metadata_name("new name & more")

    assert service.connect_info(guest.uuid).instance.name == "new name & more"
    eventually(lambda: [i.name for i in service.listing().instances] == ["new name & more"])
    assert service.find("new name & more").id == guest.uuid
    with pytest.raises(InstanceNotFound):
        service.find("old name")


def test_another_guest_on_the_same_port_is_another_domain(hosts: Hosts, service: Computes) -> None:
    first = hosts[0].start_guest("first", port=5950)
    before = service.connect_info(first.uuid)

    first.destroy()
    second = hosts[0].start_guest("second", port=5950)

    with pytest.raises(InstanceNotFound):
        service.connect_info(first.uuid)
    after = service.connect_info(second.uuid)
    assert after.port == before.port == 5950
    assert after.domain_id != before.domain_id


def test_the_same_guest_started_again_is_another_domain(hosts: Hosts, service: Computes) -> None:
    guest = hosts[0].start_guest("web", persistent=True)
    before = service.connect_info(guest.uuid)

    guest.destroy()
    guest.start()

    after = service.connect_info(guest.uuid)
    assert (after.instance.id, after.port) == (before.instance.id, before.port)
    assert after.domain_id != before.domain_id


def test_a_guest_that_is_off_is_not_running(hosts: Hosts, service: Computes) -> None:
    guest = hosts[0].start_guest("web", persistent=True)
    guest.destroy()

    with pytest.raises(InstanceNotRunning) as error:
        service.connect_info(guest.uuid)

    assert error.value.state is PowerState.SHUTDOWN
    assert service.power_state(guest.uuid) is PowerState.SHUTDOWN


def test_a_guest_without_a_vnc_display_has_no_console(hosts: Hosts, service: Computes) -> None:
    guest = hosts[0].start_guest("headless", vnc=False)

    with pytest.raises(ConsoleTypeUnavailable, match="no VNC display"):
        service.connect_info(guest.uuid)


@pytest.mark.parametrize("listen", ["0.0.0.0", "127.0.0.1"])
def test_the_address_in_the_xml_is_never_used(hosts: Hosts, service: Computes, listen: str) -> None:
    guest = hosts[0].start_guest("web", listen=listen)
    assert f"listen='{listen}'" in guest.domain.XMLDesc()

    assert service.connect_info(guest.uuid).host == hosts[0].ip


def test_power_state_says_how_a_guest_is(hosts: Hosts, service: Computes, eventually: Eventually) -> None:
    guest = hosts[0].start_guest("web")
    assert service.power_state(guest.uuid) is PowerState.RUNNING

    guest.pause()
    assert service.power_state(guest.uuid) is PowerState.PAUSED
    guest.resume()

    guest.shutdown()
    eventually(lambda: service.power_state(guest.uuid) is None)


def test_a_console_follows_its_guest_to_another_host(hosts: Hosts, service: Computes, eventually: Eventually) -> None:
    guest = hosts[0].start_guest("web", listen="0.0.0.0", metadata_name="moving")
    source, target = hosts
    assert service.connect_info(guest.uuid).host == source.ip

    # In a thread: the migration blocks, and the service is asked all the while.
    seen: set[str] = set()
    migration = threading.Thread(
        target=guest.domain.migrate3,
        args=(
            target.conn,
            {libvirt.VIR_MIGRATE_PARAM_URI: f"tcp://{target.ip}"},
            libvirt.VIR_MIGRATE_LIVE | libvirt.VIR_MIGRATE_UNSAFE,
        ),
    )
    migration.start()
    while migration.is_alive():
        info = service.connect_info(guest.uuid)
        assert service.find("moving").id == guest.uuid
        seen.add(info.host)
        migration.join(0.02)

    assert seen <= {source.ip, target.ip}
    assert service.connect_info(guest.uuid).host == target.ip
    eventually(lambda: [i.compute for i in service.listing().instances] == ["compute2"])
