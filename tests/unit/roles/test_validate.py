"""What validate makes of what it reads on the hosts."""

from __future__ import annotations

from typing import Any

import pytest

from roles.validate.filter_plugins import validate

SOCKETS = """\
LISTEN 0      1            0.0.0.0:5900      0.0.0.0:*    users:(("qemu-system-x86",pid=811,fd=17))
LISTEN 0      1               [::]:5901         [::]:*    users:(("qemu-system-x86",pid=812,fd=17))
LISTEN 0      1                  *:5902            *:*    users:(("qemu-kvm",pid=813,fd=17))
LISTEN 0      1          10.0.0.11:5903      0.0.0.0:*    users:(("qemu-system-x86",pid=814,fd=17))
LISTEN 0      1      [fe80::1%eth0]:5904         [::]:*    users:(("qemu-system-x86",pid=814,fd=17))
LISTEN 0      128          0.0.0.0:22        0.0.0.0:*    users:(("sshd",pid=99,fd=3))
LISTEN 0      1            0.0.0.0:4444      0.0.0.0:*    users:(("qemu-system-x86",pid=811,fd=9))
LISTEN 0      1            0.0.0.0:5999      0.0.0.0:*    users:(("x11vnc",pid=5,fd=9))
"""


def test_the_vnc_listeners_are_those_of_qemu_from_port_5900_on() -> None:
    assert [(it["address"], it["port"], it["everywhere"]) for it in validate.listeners(SOCKETS)] == [
        ("*", 5900, True),
        ("*", 5901, True),
        ("*", 5902, True),
        ("10.0.0.11", 5903, False),
        ("fe80::1", 5904, False),
    ]


def test_a_listener_on_all_addresses_is_a_finding_where_there_is_no_firewall() -> None:
    everywhere = validate.listeners(SOCKETS)
    (finding,) = validate.listener_findings(everywhere, firewall=False)
    assert "port 5900, 5901, 5902" in finding
    assert validate.listener_findings(everywhere, firewall=True) == []


def test_a_missing_firewall_is_a_finding_by_itself() -> None:
    (finding,) = validate.listener_findings([], firewall=False)
    assert finding.startswith("The firewall is not loaded.")


def test_only_ports_that_answered_are_open() -> None:
    results: list[dict[str, Any]] = [
        {"item": {"port": 5900}, "state": "started"},
        {"item": {"port": 5901}, "msg": "Timeout when waiting for 10.0.0.11:5901"},
    ]
    (finding,) = validate.open_findings(results)
    assert "5900" in finding


@pytest.mark.parametrize(
    ("info", "words"),
    [
        ({"msg": "no such file"}, "cannot be read"),
        ({"not_after": "20260101000000Z", "expired": True, "valid_at": {"soon": False}}, "has expired (2026-01-01)"),
        (
            {"not_after": "20270102000000Z", "expired": False, "valid_at": {"soon": False}},
            "within 30 days (2027-01-02)",
        ),
    ],
)
def test_a_certificate_that_is_missing_over_or_nearly_so_is_a_finding(info: dict[str, Any], words: str) -> None:
    (finding,) = validate.certificate_findings([{"item": "/etc/pki/CA/cacert.pem", **info}], 30)
    assert finding.startswith("/etc/pki/CA/cacert.pem ")
    assert words in finding


def test_a_good_certificate_is_none() -> None:
    good = {"item": "x", "not_after": "20360101000000Z", "expired": False, "valid_at": {"soon": True}}
    assert validate.certificate_findings([good], 30) == []


@pytest.mark.parametrize(("theirs", "apart"), [("95.0", 5), ("120.5", 10)])
def test_a_clock_counts_from_the_nearer_look_at_ours(theirs: str, apart: int) -> None:
    (finding,) = validate.clock_findings(theirs, 100.0, 110.5, 4.0)
    assert f"{apart} s apart" in finding
    assert validate.clock_findings(theirs, 100.0, 110.5, 10.0) == []


def test_a_compute_that_the_appliance_cannot_reach_is_named_with_the_address_tried() -> None:
    results = [
        {"item": {"name": "c1", "host": "10.0.0.11", "port": 16514}, "state": "started"},
        {"item": {"name": "c2", "host": "10.0.0.12", "port": 16514}, "msg": "Timeout"},
    ]
    (finding,) = validate.way_findings(results)
    assert "c2 cannot be reached at 10.0.0.12 port 16514" in finding


COMPUTES = """\
[compute:c1]
connection_uri = qemu+tls://10.0.0.11/system
[compute:c2]
connection_uri = qemu+tls://[fd00::12]:4242/system?no_verify=0
[compute:here]
connection_uri = qemu:///system
"""


def test_the_ways_to_try_are_those_of_the_computes_that_are_reached_over_the_network() -> None:
    assert validate.listed_computes(COMPUTES) == [
        {"name": "c1", "host": "10.0.0.11", "port": 16514},
        {"name": "c2", "host": "fd00::12", "port": 4242},
    ]


def test_a_difference_between_the_list_and_the_inventory_is_a_finding_either_way() -> None:
    assert validate.list_findings(COMPUTES, ["c1", "c2", "here"]) == []
    missing, spare = validate.list_findings(COMPUTES, ["c1", "c3", "here"])
    assert missing.startswith("The compute c3 is in the inventory and not on the appliance.")
    assert spare.startswith("The compute c2 is on the appliance and not in the inventory.")


@pytest.mark.parametrize(
    ("configuration", "url"),
    [
        (
            "[DEFAULT]\ncert = %d/tls.crt\n[vnc]\nnovncproxy_host = ::\nnovncproxy_port = 443\n",
            "https://[::1]:443/readyz",
        ),
        ("[vnc]\nnovncproxy_host = 10.0.0.1\n", "http://10.0.0.1:6080/readyz"),
        ("", "http://127.0.0.1:6080/readyz"),
    ],
)
def test_the_service_is_asked_where_it_listens(configuration: str, url: str) -> None:
    assert validate.ready_url(configuration) == url


def test_what_the_service_is_not_ready_for_is_a_finding_and_silence_too() -> None:
    assert validate.ready_findings({"status": 200, "json": {"reasons": []}}) == []
    (said,) = validate.ready_findings({"status": 503, "json": {"reasons": ["No compute host can be reached."]}})
    assert said.startswith("The service is not ready: No compute host can be reached.")
    (silent,) = validate.ready_findings({"status": -1, "msg": "Connection refused"})
    assert silent.startswith("The service does not answer.")


def test_a_host_without_a_list_gave_no_answer() -> None:
    hostvars: dict[str, dict[str, Any]] = {
        "c1": {"validate_findings": ["one", "two"]},
        "c2": {},
        "a": {"validate_findings": []},
    }
    found = validate.all_findings(hostvars, ["c1", "c2", "a"])
    assert found[:2] == ["c1: one", "c1: two"]
    assert len(found) == 3
    assert found[2].startswith("c2: gave no answer.")
