"""How nova-compute is started, and what has to stand in which of its files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.roles.loading import load

module = load("compute_vnc/library/compute_vnc_nova.py")
filters = load("compute_vnc/filter_plugins/compute_vnc.py")

WANTED = {"DEFAULT.my_ip": "10.0.0.1", "vnc.enabled": "true", "vnc.server_listen": "10.0.0.1"}


def test_both_spellings_of_the_arguments_are_found() -> None:
    words = ["/usr/bin/nova-compute", "--config-file=/a", "--log-file=/l", "--config-file", "/b", "--config-dir=/d"]
    assert module.configuration_arguments(words) == ["--config-file=/a", "--config-file", "/b", "--config-dir=/d"]


def test_the_command_line_out_of_systemd_s_words() -> None:
    shown = "ExecStart={ path=/x ; argv[]=/etc/init.d/nova-compute systemd-start ; ignore_errors=no ; }"
    assert module.exec_start(shown) == ["/etc/init.d/nova-compute", "systemd-start"]
    assert module.exec_start("ExecStart=") == []


def test_files_are_read_as_given_and_a_folder_s_by_name(tmp_path: Path) -> None:
    for name in ("b.conf", "a.conf", "c.txt"):
        (tmp_path / name).touch()
    arguments = ["--config-file=/etc/one", "--config-dir", str(tmp_path), "--config-file", "/etc/two"]
    assert module.read_order(arguments, [], []) == [
        "/etc/one",
        str(tmp_path / "a.conf"),
        str(tmp_path / "b.conf"),
        "/etc/two",
    ]


def test_without_arguments_it_is_what_oslo_config_finds(tmp_path: Path) -> None:
    (tmp_path / "a.conf").touch()
    files = ["/usr/share/nova/nova-dist.conf", "/etc/nova/nova.conf"]
    assert module.read_order([], files, [str(tmp_path)]) == [*files, str(tmp_path / "a.conf")]


def test_what_a_file_sets() -> None:
    text = "[DEFAULT]\n# my_ip = 1\nmy_ip=2\n more = 3\n[VNC]\nserver_listen : ::1\n"
    assert module.sets(text) == ["DEFAULT.my_ip", "vnc.server_listen"]


def nova(**changes: Any) -> dict[str, Any]:
    return {
        "effective": {"DEFAULT.my_ip": "10.0.0.9", "vnc.enabled": True, "vnc.server_listen": "0.0.0.0"},
        "places": {
            "DEFAULT.my_ip": "/etc/nova/nova.conf",
            "vnc.enabled": "",
            "vnc.server_listen": "/etc/nova/late.conf",
        },
        "main": "/etc/nova/nova.conf",
        "files": [
            {"path": "/usr/share/nova/nova-dist.conf", "ours": False, "sets": ["vnc.server_listen"]},
            {"path": "/etc/nova/nova.conf", "ours": True, "sets": ["DEFAULT.my_ip"]},
            {"path": "/etc/nova/late.conf", "ours": True, "sets": ["vnc.server_listen"]},
        ],
    } | changes


def options(changes: list[dict[str, Any]]) -> dict[str, list[str]]:
    return {change["path"]: [f"{one['section']}.{one['option']}" for one in change["options"]] for change in changes}


def test_a_later_file_that_wins_is_changed_too_and_what_is_right_stays() -> None:
    assert options(filters.nova_changes(nova(), WANTED, {"files": {}})) == {
        "/etc/nova/nova.conf": ["vnc.server_listen"],
        "/etc/nova/late.conf": ["vnc.server_listen"],
    }


def test_my_ip_is_set_only_where_no_file_sets_it() -> None:
    unset = nova(places=dict.fromkeys(WANTED, ""))
    assert "DEFAULT.my_ip" in options(filters.nova_changes(unset, WANTED, {"files": {}}))["/etc/nova/nova.conf"]


@pytest.mark.parametrize("state", [{"files": {}}, {}])
def test_nothing_changes_where_all_is_right(state: dict[str, Any]) -> None:
    right = nova(effective={"DEFAULT.my_ip": "10.0.0.9", "vnc.enabled": True, "vnc.server_listen": "10.0.0.1"})
    assert filters.nova_changes(right, WANTED, state) == []


def test_what_an_earlier_run_set_stays_in_the_list() -> None:
    right = nova(effective={"DEFAULT.my_ip": "10.0.0.1", "vnc.enabled": True, "vnc.server_listen": "10.0.0.1"})
    state = {"files": {"/etc/nova/nova.conf": [{"section": "DEFAULT", "option": "my_ip"}]}}
    assert options(filters.nova_changes(right, WANTED, state)) == {"/etc/nova/nova.conf": ["DEFAULT.my_ip"]}


def test_addresses_of_another_host_come_from_the_inventory_and_its_interfaces() -> None:
    facts = {
        "interfaces": ["eth0", "docker0", "lo", "br-ex.5"],
        "eth0": {"ipv4": {"address": "10.0.0.5"}, "ipv6": [{"address": "fe80::1"}, {"address": "FD00::5"}]},
        "docker0": {"ipv4": {"address": "172.17.0.1"}},
        "lo": {"ipv4": {"address": "127.0.0.1"}},
    }
    hostvars = {"a": {"ansible_host": "a.example", "my_ip": "10.1.0.5", "ansible_facts": facts}}
    assert filters.addresses(["a"], hostvars) == ["10.0.0.5", "10.1.0.5", "fd00::5"]
    assert filters.addresses(["b"], {"b": {"ansible_host": "10.0.0.7"}}) == ["10.0.0.7"]


def test_subjects_come_in_both_orders() -> None:
    assert filters.distinguished_names({"a": "one"}, {"a": {}}) == ["O=Porthole,CN=one", "CN=one,O=Porthole"]


def settings(**changes: Any) -> dict[str, Any]:
    return {
        "server_proxyclient_address": "10.0.0.1",
        "server_listen": "0.0.0.0",
        "my_ip": "10.0.0.1",
        "novncproxy_hosts": ["10.2.0.0/24"],
        "appliance_addresses": ["10.0.0.5"],
        "computes_addresses": [],
        "remote_display_port_max": 6923,
        "migration_port_min": 49152,
        "migration_port_max": 49215,
    } | changes


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"server_proxyclient_address": "compute1"}, "no IPv4 or IPv6 address"),
        ({"server_proxyclient_address": "10.0.0.2"}, "on no interface"),
        ({"server_listen": "127.0.0.1"}, "would find nothing"),
        ({"my_ip": ""}, "my_ip of compute1"),
        ({"novncproxy_hosts": ["proxy"]}, "compute_vnc_novncproxy_hosts"),
        ({"appliance_addresses": []}, "would shut it out"),
        ({"remote_display_port_max": 5000}, "5900 to 65535"),
        ({"migration_port_min": 50000}, "the first not above the second"),
    ],
)
def test_each_flaw_has_a_sentence(changes: dict[str, Any], words: str) -> None:
    found = filters.problems("compute1", ["10.0.0.1", "fd00::1"], settings(**changes))
    assert any(words in sentence for sentence in found)


def test_nothing_is_said_of_good_settings() -> None:
    assert filters.problems("compute1", ["10.0.0.1"], settings()) == []
    assert (
        filters.problems("compute1", ["fd00::1"], settings(server_proxyclient_address="FD00::1", server_listen="::"))
        == []
    )
