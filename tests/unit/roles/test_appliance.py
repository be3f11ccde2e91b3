"""Role appliance: its filters, what its modules decide, and that its default release is the one in the checkout."""

from __future__ import annotations

import importlib.util
import json
import shutil
import tarfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

CHECKOUT = Path(__file__).resolve().parents[3]
ROLE = CHECKOUT / "roles" / "appliance"
TARGET = "debian12-py3.11-x86_64"
FILES = {"/etc/porthole/porthole.conf": "1"}


def load(path: Path) -> ModuleType:
    """A plugin, which is in no package."""
    spec = importlib.util.spec_from_file_location(f"of_role_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


filters = load(ROLE / "filter_plugins" / "appliance.py")
generations = load(ROLE / "library" / "appliance_generations.py")


def test_the_default_release_is_that_of_the_checkout() -> None:
    version = (CHECKOUT / "app" / "pyproject.toml").read_text().split('\nversion = "', 1)[1].split('"', 1)[0]
    assert yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())["appliance_release"] == version


# -- the list of computes


def test_a_compute_s_address_is_the_one_written_for_nova() -> None:
    hosts = {
        "b": {"my_ip": "10.0.0.2"},
        "a": {"server_proxyclient_address": "fd00::1", "my_ip": "10.0.0.1", "compute_vnc_tls_stage": "permissive"},
        "c": {"ansible_facts": {"default_ipv4": {"address": "10.0.0.3"}}},
        "d": {"ansible_facts": {"default_ipv4": {}, "default_ipv6": {"address": "fd00::4"}}},
    }
    assert filters.computes(hosts, hosts) == [
        {
            "name": "a",
            "connection_uri": "qemu+tls://[fd00::1]/system",
            "server_proxyclient_address": "fd00::1",
            "auth_schemes": "vencrypt,none",
        },
        *(
            {"name": name, "connection_uri": f"qemu+tls://{uri}/system", "server_proxyclient_address": address}
            for name, uri, address in (
                ("b", "10.0.0.2", "10.0.0.2"),
                ("c", "10.0.0.3", "10.0.0.3"),
                ("d", "[fd00::4]", "fd00::4"),
            )
        ),
    ]


@pytest.mark.parametrize(
    ("name", "address", "problem"),
    [
        ("a", "", "is not known"),
        ("a", "127.0.0.1", "the appliance itself"),
        ("a", "::", "the appliance itself"),
        ("a b", "10.0.0.1", "cannot be a section"),
        ("a]", "10.0.0.1", "cannot be a section"),
    ],
)
def test_computes_that_cannot_be_right_are_named(name: str, address: str, problem: str) -> None:
    (found,) = filters.computes_problems([{"name": name, "server_proxyclient_address": address}])
    assert problem in found
    assert filters.computes_problems([{"name": "a.example", "server_proxyclient_address": "10.0.0.1"}]) == []


# -- bundles


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    top = tmp_path / f"porthole-1.0-{TARGET}"
    top.mkdir()
    manifest = {
        "release": "1.0",
        "distribution": "debian",
        "distribution_version": "12",
        "python": "3.11",
        "architecture": "x86_64",
    }
    (top / "manifest.json").write_text(json.dumps(manifest))
    path = tmp_path / f"{top.name}.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(top, top.name)
    path.with_name(path.name + ".sha256").write_text(f"{filters.sha256(str(path))}  {path.name}\n")
    return path


def problems(path: Path, target: str = TARGET) -> str:
    return " ".join(filters.bundle_problems(str(path), target, "1.0"))


def test_a_good_bundle(bundle: Path) -> None:
    assert problems(bundle) == ""
    assert filters.release_of(str(bundle), "x") == "1.0"
    assert filters.release_of("/a/other.tar.gz", "x") == "x"


def test_what_is_wrong_with_a_bundle_is_said_with_the_command_that_builds_one(bundle: Path) -> None:
    said = problems(bundle, "ubuntu22.04-py3.11-x86_64")
    assert "is for debian12-py3.11-x86_64, and this host is ubuntu22.04-py3.11-x86_64" in said
    assert said.endswith("on a machine with ubuntu22.04, Python 3.11 and x86_64: script/bundle --release 1.0")
    assert problems(bundle.with_name(f"porthole-2-{TARGET}.tar.gz")).startswith("There is no bundle")


def test_a_bundle_is_what_its_checksum_its_name_and_its_manifest_say(bundle: Path) -> None:
    other = bundle.with_name(f"porthole-2.0-{TARGET}.tar.gz")
    shutil.copy(bundle, other)
    assert "There is no porthole-2.0" in problems(other)
    other.with_name(other.name + ".sha256").write_text(f"{filters.sha256(str(other))}  x\n")
    assert "its manifest cannot be read" in problems(other)
    with bundle.open("ab") as file:
        file.write(b"\0")
    assert "it is damaged" in problems(bundle)


# -- generations


def record(release: str = "1", good: bool = True, files: dict[str, str] | None = None, reloaded: str = "c") -> Any:
    return generations.Record(release, good, FILES if files is None else files, reloaded)


def plan(records: dict[int, Any], states: dict[int, str], **more: Any) -> dict[str, Any]:
    wanted: dict[str, Any] = {
        "links": set(records),
        "enabled": {max(records, default=0)},
        "release": "1",
        "files": FILES,
    }
    wanted |= {"reloaded": "c", **more}
    result: dict[str, Any] = generations.plan(records, states=states, **wanted)
    return result


def test_the_first_generation() -> None:
    result = plan({}, {}, enabled=set())
    assert (result["current"], result["next"], result["running"]) == (0, 1, False)
    assert result["reasons"] == ["no generation has been started yet"]


def test_nothing_to_do() -> None:
    result = plan({1: record()}, {1: "active"})
    assert (result["current"], result["reasons"], result["reload"], result["running"]) == (1, [], False, True)
    assert result["undrained"] == result["abandoned"] == result["finished"] == result["draining"] == []


def test_what_is_read_once_wants_a_new_generation_and_the_list_of_computes_a_reload() -> None:
    now = {"/etc/porthole/porthole.conf": "2", "/etc/porthole/porthole.conf.d/60.conf": "1"}
    result = plan({1: record()}, {1: "active"}, release="2", files=now, reloaded="d")
    assert result["reasons"] == [
        "release 2 instead of 1",
        "/etc/porthole/porthole.conf has changed",
        "/etc/porthole/porthole.conf.d/60.conf is new",
    ]
    assert plan({1: record()}, {1: "active"}, reloaded="d")["reload"]
    assert plan({1: record()}, {1: "active"}, files={})["reasons"] == ["/etc/porthole/porthole.conf is gone"]


def test_a_generation_that_was_never_found_to_be_good_is_abandoned() -> None:
    result = plan({1: record(), 2: record(good=False)}, {1: "active", 2: "activating"}, enabled={1})
    assert (result["current"], result["next"], result["abandoned"], result["reasons"]) == (1, 3, [2], [])
    assert plan({1: record()}, {1: "active", 2: "active"}, enabled={1})["abandoned"] == [2]


def test_a_handover_that_was_interrupted_before_the_drain_is_ended() -> None:
    records = {1: record(), 2: record()}
    assert plan(records, {1: "active", 2: "active"}, enabled={1})["undrained"] == [1]
    after = plan(records, {1: "active", 2: "active"}, enabled={2})
    assert (after["undrained"], after["draining"], after["finished"]) == ([], [1], [])
    assert plan(records, {1: "inactive", 2: "active"}, enabled={2})["finished"] == [1]


def test_a_generation_that_failed_is_followed_by_another_and_one_that_was_stopped_is_not() -> None:
    assert plan({1: record()}, {1: "failed"})["reasons"] == ["generation 1 has failed"]
    stopped = plan({1: record()}, {})
    assert (stopped["reasons"], stopped["running"]) == ([], False)


def test_units_are_read_from_systemctl_s_list() -> None:
    text = "porthole@1.service loaded active running Porthole\n● porthole@12.service loaded failed failed Porthole\n"
    assert generations.parse_units(text + "portholes@3.service loaded active running X\n", "porthole") == {
        1: "active",
        12: "failed",
    }


def test_releases_in_use_and_those_that_ran_last_stay() -> None:
    records = {1: record("1"), 2: record("2"), 3: record("3"), 4: record("1"), 5: record("5", good=False)}
    latest = generations.used_lately(records)
    assert latest == ["1", "3", "2"]
    assert generations.unused(["1", "2", "3", "4"], latest, {"4"}, 2) == ["2"]
    assert generations.unused(["1", "2", "3"], latest, set(), 1) == ["2", "3"]


def test_a_record_that_cannot_be_read_is_that_of_an_abandoned_generation(tmp_path: Path) -> None:
    (tmp_path / "1.json").write_text("{")
    (tmp_path / "2.json").write_text(json.dumps({"release": "1", "good": True, "files": {}, "reloaded": ""}))
    (tmp_path / "1").symlink_to("../releases/1")
    assert generations.read_records(tmp_path) == {1: record("", False, {}, ""), 2: record(files={}, reloaded="")}
    assert generations.linked(tmp_path) == {1}
