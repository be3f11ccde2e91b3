"""Options are set in place, and what was there comes back byte for byte."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.roles.loading import load

module = load("compute_vnc/library/compute_vnc_options.py")

NOVA = """\
[DEFAULT]
# my_ip = 10.0.0.1
debug=false
multi = one
  two

[vnc]
#server_listen = 127.0.0.1
server_listen = 0.0.0.0
enabled : true
"""

QEMU = """\
# vnc_listen = "0.0.0.0"
vnc_listen = "127.0.0.1"
cgroup_device_acl = [
    "/dev/null", "/dev/full", # vnc_tls = 1 ]
    "/dev/zero"
]
user = "root" """


def option(section: str, name: str, value: str) -> dict[str, str]:
    return {"section": section, "option": name, "value": value}


def change(
    before: str, kind: str, wanted: list[dict[str, str]], records: list[dict[str, Any]] | None = None
) -> tuple[str, list[dict[str, Any]], list[str]]:
    text = module.Text(before, kind)
    kept, left = module.change(text, kind, records or [], wanted)
    return str(text), kept, left


def test_a_value_is_replaced_in_its_line_and_the_rest_stays() -> None:
    after, _, _ = change(NOVA, "ini", [option("vnc", "server_listen", "10.0.0.1")])
    assert after == NOVA.replace("\nserver_listen = 0.0.0.0", "\nserver_listen = 10.0.0.1")


def test_a_new_option_stands_below_the_header_of_its_section() -> None:
    after, _, _ = change(NOVA, "ini", [option("DEFAULT", "my_ip", "10.0.0.1")])
    assert after == NOVA.replace("[DEFAULT]\n", "[DEFAULT]\nmy_ip = 10.0.0.1\n")


def test_the_last_of_several_settings_counts_in_nova_conf() -> None:
    after, _, _ = change("[vnc]\na = 1\n[other]\n[VNC]\na = 2\n", "ini", [option("vnc", "a", "3")])
    assert after == "[vnc]\na = 1\n[other]\n[VNC]\na = 3\n"


def test_the_first_of_several_settings_counts_for_libvirt() -> None:
    after, _, _ = change("a = 1\na = 2\n", "libvirt", [option("", "a", "3")])
    assert after == "a = 3\na = 2\n"


def test_a_line_that_goes_on_belongs_to_the_value_above() -> None:
    after, records, _ = change(NOVA, "ini", [option("DEFAULT", "multi", "three")])
    assert "multi = three\n\n[vnc]" in after
    assert records[0]["before"] == ["multi = one\n", "  two\n"]


def test_what_is_in_a_list_of_libvirt_is_no_option() -> None:
    after, _, _ = change(QEMU, "libvirt", [option("", "vnc_tls", "1")])
    assert after == QEMU + "\nvnc_tls = 1\n"


def test_a_second_time_changes_nothing() -> None:
    wanted = [option("vnc", "server_listen", "10.0.0.1"), option("new", "a", "1"), option("new", "b", "2")]
    after, records, _ = change(NOVA, "ini", wanted)
    assert change(after, "ini", wanted, records) == (after, records, [])


@pytest.mark.parametrize("before", [NOVA, NOVA.rstrip("\n"), "", "[vnc]", "[new]\n\n[vnc]\n", "a"])
def test_nova_conf_comes_back_byte_for_byte(before: str) -> None:
    wanted = [
        option("DEFAULT", "my_ip", "10.0.0.1"),
        option("vnc", "enabled", "false"),
        option("vnc", "server_listen", "10.0.0.1"),
        option("new", "a", "1"),
        option("new", "b", "2"),
    ]
    after, records, _ = change(before, "ini", wanted)
    assert after != before
    assert change(after, "ini", [], records) == (before, [], [])


@pytest.mark.parametrize("before", [QEMU, QEMU + "\n", "", 'vnc_listen = "::1"'])
def test_qemu_conf_comes_back_byte_for_byte(before: str) -> None:
    wanted = [option("", "vnc_listen", '"10.0.0.1"'), option("", "vnc_tls", "1"), option("", "x", '["a", "b"]')]
    after, records, _ = change(before, "libvirt", wanted)
    assert change(after, "libvirt", [], records) == (before, [], [])


def test_what_was_there_first_comes_back_after_two_changes() -> None:
    after, records, _ = change(NOVA, "ini", [option("vnc", "server_listen", "10.0.0.1")])
    after, records, _ = change(after, "ini", [option("vnc", "server_listen", "10.0.0.2")], records)
    assert change(after, "ini", [], records)[0] == NOVA


def test_an_option_that_is_no_longer_wanted_comes_back_alone() -> None:
    both = [option("vnc", "server_listen", "10.0.0.1"), option("vnc", "enabled", "false")]
    after, records, _ = change(NOVA, "ini", both)
    after, records, _ = change(after, "ini", both[:1], records)
    assert after == NOVA.replace("server_listen = 0.0.0.0", "server_listen = 10.0.0.1")
    assert change(after, "ini", [], records)[0] == NOVA


def test_what_somebody_else_has_set_since_stays_and_the_rest_comes_back() -> None:
    both = [option("vnc", "server_listen", "10.0.0.1"), option("vnc", "enabled", "false")]
    after, records, _ = change(NOVA, "ini", both)
    edited = after.replace("server_listen = 10.0.0.1", "server_listen = 10.9.9.9") + "# a note\n"
    restored, kept, left = change(edited, "ini", [], records)
    assert restored == NOVA.replace("server_listen = 0.0.0.0", "server_listen = 10.9.9.9") + "# a note\n"
    assert (kept, left) == ([], ["[vnc] server_listen"])
