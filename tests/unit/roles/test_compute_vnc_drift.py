"""What validate says of a compute's Nova, guests and TLS."""

from __future__ import annotations

from typing import Any

from roles.compute_vnc.filter_plugins.compute_vnc import drift

WANTED = {"DEFAULT.my_ip": "10.0.0.11", "vnc.enabled": "true", "vnc.server_listen": "10.0.0.11"}
NONE: dict[str, Any] = {"guests": [], "running": 2, "without_tls": 0}


def test_nothing_has_drifted() -> None:
    nova = {"effective": {"DEFAULT.my_ip": "10.9.9.9", "vnc.enabled": True, "vnc.server_listen": "10.0.0.11"}}
    assert drift(NONE, nova, WANTED, "enforced") == []


def test_an_option_that_nova_reads_otherwise_is_named_with_both_values() -> None:
    nova = {"effective": {"vnc.enabled": True, "vnc.server_listen": "127.0.0.1"}}
    (finding,) = drift(NONE, nova, WANTED, "enforced")
    assert finding.startswith("Nova reads vnc.server_listen = 127.0.0.1 instead of 10.0.0.11.")


def test_a_host_without_nova_has_no_findings_about_it() -> None:
    assert drift(NONE, {"installed": False}, WANTED, "enforced") == []


def test_each_guest_is_named_with_what_to_do() -> None:
    guests = {
        "guests": [{"name": "old", "problems": ["has no TLS"], "advice": ["start it anew"]}],
        "running": 1,
        "without_tls": 1,
    }
    assert drift(guests, {}, WANTED, "enforced") == ["The guest old has no TLS: start it anew."]


def test_the_permissive_stage_counts_the_guests_that_are_left_without_tls() -> None:
    (left,) = drift({**NONE, "without_tls": 1}, {}, WANTED, "permissive")
    assert "1 of 2 running guests are without it" in left
    assert "started anew or migrated" in left
    (ready,) = drift(NONE, {}, WANTED, "permissive")
    assert ready.endswith("Set it to enforced.")
