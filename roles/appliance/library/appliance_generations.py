#!/usr/bin/python
"""Ansible module: which generations of the service there are, and what has to happen to them."""

# It runs with the host's own Python, which may be 3.9.

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
---
module: appliance_generations
short_description: Which generations of the service there are, and what has to happen to them
description:
  - A generation is one started instance of the unit C(porthole@.service). It was started with a release, a
    configuration, credentials and a unit as they were then. The module compares that with what they are now, and
    changes nothing.
author: Porthole
options:
  root:
    description: The folder of releases and instances.
    type: path
    required: true
  unit:
    description: The name of the unit template, without C(@.service).
    type: str
    required: true
  release:
    description: The release that is to run.
    type: str
    required: true
  files:
    description: What a generation reads once, at its start. A folder stands for its C(*.conf) files.
    type: list
    elements: path
    required: true
  reloaded:
    description: What a generation reads again when it is reloaded.
    type: path
    required: true
  keep_releases:
    description: How many releases stay for a rollback, those in use included.
    type: int
    required: true
attributes:
  check_mode:
    support: full
    description: Nothing is ever changed.
"""

EXAMPLES = r"""
- name: Look at the generations
  appliance_generations:
    root: /opt/porthole
    unit: porthole
    release: "0.1.0"
    files: [/etc/porthole/porthole.conf]
    reloaded: /etc/porthole/porthole.conf.d/50-computes.conf
    keep_releases: 3
"""

RETURN = r"""
current:
  description: The number of the generation that is to take the requests, 0 when there is none.
  returned: always
  type: int
current_release:
  description: Its release.
  returned: always
  type: str
next:
  description: The number that a new generation gets.
  returned: always
  type: int
reasons:
  description: Why a new generation is needed. Empty when the current one is as it should be.
  returned: always
  type: list
  elements: str
running:
  description: Whether the current generation runs.
  returned: always
  type: bool
reload:
  description: Whether the current generation has to be reloaded.
  returned: always
  type: bool
undrained:
  description: Earlier generations that run and have not been told to end yet.
  returned: always
  type: list
  elements: int
draining:
  description: Earlier generations that run until their sessions have ended.
  returned: always
  type: list
  elements: int
abandoned:
  description: Generations whose start was interrupted before they were found to be good.
  returned: always
  type: list
  elements: int
finished:
  description: Generations that are over, whose links can go.
  returned: always
  type: list
  elements: int
previous_release:
  description: The release that ran before the current one, when it is still there.
  returned: always
  type: str
releases:
  description: The releases that are installed.
  returned: always
  type: list
  elements: str
unused_releases:
  description: Releases that are not in use and not to be kept.
  returned: always
  type: list
  elements: str
record:
  description: What is to be written down about a generation that is started now.
  returned: always
  type: dict
"""

RUNNING = ("active", "activating", "reloading", "deactivating")
WANTS = Path("/etc/systemd/system/multi-user.target.wants")


class Record(NamedTuple):
    """What was written down about a generation."""

    release: str
    good: bool
    files: dict[str, str]
    reloaded: str


def checksum(path: Path) -> str:
    """A file's sha256, empty when there is none."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return ""


def checksums(paths: list[str], without: str) -> dict[str, str]:
    """Path → checksum; a folder's ``*.conf`` files stand for it."""
    found: list[Path] = []
    for name in paths:
        path = Path(name)
        found += sorted(path.glob("*.conf")) if path.is_dir() else [path]
    return {str(path): checksum(path) for path in found if str(path) != without}


def read_records(instances: Path) -> dict[int, Record]:
    """Number → record; one that cannot be read counts as that of an abandoned generation."""
    records = {}
    for path in instances.glob("*.json"):
        if not path.stem.isdigit():
            continue
        try:
            raw = json.loads(path.read_text())
            records[int(path.stem)] = Record(raw["release"], raw["good"] is True, raw["files"], raw["reloaded"])
        except (ValueError, KeyError, TypeError):
            records[int(path.stem)] = Record("", False, {}, "")
    return records


def linked(instances: Path) -> set[int]:
    """The numbers of the generations that have a link to their release."""
    return {int(path.name) for path in instances.glob("*") if path.name.isdigit() and path.is_symlink()}


def parse_units(text: str, unit: str) -> dict[int, str]:
    """Number → active state, out of ``systemctl list-units --plain --no-legend``."""
    found = re.findall(rf"^\W*{re.escape(unit)}@(\d+)\.service\s+\S+\s+(\S+)", text, re.MULTILINE)
    return {int(number): state for number, state in found}


def why_new(old: Record, release: str, files: dict[str, str]) -> list[str]:
    """Why the generation that *old* tells of is not the wanted one."""
    reasons = [] if old.release == release else [f"release {release} instead of {old.release}"]
    for path in sorted({*old.files, *files}):
        before, now = old.files.get(path, ""), files.get(path, "")
        if before != now:
            reasons.append(f"{path} {'has changed' if before and now else 'is new' if now else 'is gone'}")
    return reasons


def plan(
    records: dict[int, Record],
    links: set[int],
    states: dict[int, str],
    enabled: set[int],
    release: str,
    files: dict[str, str],
    reloaded: str,
) -> dict[str, Any]:
    """What there is and what has to happen, as RETURN describes it."""
    good = {number: record for number, record in records.items() if record.good and number in links}
    current = max(good, default=0)
    alive = {number for number, state in states.items() if state in RUNNING}
    reasons = why_new(good[current], release, files) if current else ["no generation has been started yet"]
    if current and states.get(current) == "failed":
        reasons.append(f"generation {current} has failed")
    others = alive - {current}
    return {
        "current": current,
        "current_release": good[current].release if current else "",
        "next": max([0, *records, *links, *states]) + 1,
        "reasons": reasons,
        "running": current in alive,
        "reload": bool(current) and good[current].reloaded != reloaded,
        "undrained": sorted(number for number in others if number in good and number in enabled),
        "draining": sorted(number for number in others if number in good and number not in enabled),
        "abandoned": sorted((others | links | enabled) - set(good) - {current}),
        "finished": sorted(links - alive - {current} - (set(records) - set(good))),
        "record": {"release": release, "good": False, "files": files, "reloaded": reloaded},
    }


def used_lately(records: dict[int, Record]) -> list[str]:
    """Releases of good generations, the latest first, each once."""
    return list(
        dict.fromkeys(records[number].release for number in sorted(records, reverse=True) if records[number].good)
    )


def unused(installed: list[str], latest: list[str], in_use: set[str], keep: int) -> list[str]:
    """Releases beyond those in use and the *keep* that were used last."""
    kept = in_use | set([release for release in latest if release in installed][:keep])
    return [release for release in installed if release not in kept]


def main() -> None:
    """Answer Ansible."""
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "required": True},
            "unit": {"type": "str", "required": True},
            "release": {"type": "str", "required": True},
            "files": {"type": "list", "elements": "path", "required": True},
            "reloaded": {"type": "path", "required": True},
            "keep_releases": {"type": "int", "required": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    root, unit = Path(given["root"]), given["unit"]
    instances, releases = root / "instances", root / "releases"
    argv = ["systemctl", "list-units", "--all", "--plain", "--no-legend", "--full", f"{unit}@*.service"]
    _status, output, _errors = module.run_command(argv, check_rc=True)
    states = parse_units(output, unit)
    enabled = {
        int(found[1])
        for path in WANTS.glob(f"{unit}@*.service")
        if (found := re.fullmatch(rf"{re.escape(unit)}@(\d+)\.service", path.name))
    }
    records, links = read_records(instances), linked(instances)
    files = checksums(given["files"], without=given["reloaded"])
    result = plan(records, links, states, enabled, given["release"], files, checksum(Path(given["reloaded"])))
    installed = sorted(path.parent.name for path in releases.glob("*/manifest.json"))
    latest = used_lately(records)
    in_use = {os.path.basename(os.readlink(instances / str(number))) for number in links - set(result["finished"])}
    in_use |= {given["release"], result["current_release"]}
    before = [release for release in latest if release != result["current_release"] and release in installed]
    module.exit_json(
        changed=False,
        **result,
        releases=installed,
        previous_release=before[0] if before else "",
        unused_releases=unused(installed, latest, in_use, given["keep_releases"]),
    )


if __name__ == "__main__":
    main()
