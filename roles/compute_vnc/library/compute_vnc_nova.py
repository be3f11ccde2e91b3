#!/usr/bin/python
"""Tell how nova-compute is started on this host, and what its own loader makes of its configuration.

Distributions start it in different ways: Debian's and Ubuntu's init script puts the arguments together (it prints them
when called with ``show-args``), RDO's unit gives none and leaves the search to oslo.config. So the arguments are found
first, and then Nova's Python loads ``nova.conf`` with exactly these.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
---
module: compute_vnc_nova
short_description: Nova's effective options, read by Nova's own loader
description:
  - Changes nothing.
options:
  options:
    description: The options that are wanted, each as V(group.option).
    type: list
    elements: str
    default: []
  config_files:
    description:
      - The configuration files, in their order, where it is known which these are.
      - Without them systemd is asked how nova-compute is started.
    type: list
    elements: path
    default: []
  python:
    description: The Python that has Nova; with O(config_files) alone.
    type: path
    default: /usr/bin/python3
author:
  - Porthole
"""

EXAMPLES = r"""
- name: Ask Nova
  compute_vnc_nova:
    options: [DEFAULT.my_ip, vnc.server_listen]
"""

RETURN = r"""
installed:
  description: Whether nova-compute is installed.
  returned: always
  type: bool
unit:
  description: The systemd unit.
  returned: when installed, and O(config_files) is empty
  type: str
arguments:
  description: The arguments about configuration with which it is started.
  returned: when installed
  type: list
  elements: str
files:
  description: >-
    The files that are read, in their order; for each its path, whether an operator may change it, and the wanted
    options that it sets.
  returned: when installed
  type: list
  elements: dict
main:
  description: The file for options that no file sets.
  returned: when installed
  type: str
effective:
  description: The effective values.
  returned: when installed
  type: dict
places:
  description: For each option the file that sets it, or an empty string for Nova's own default.
  returned: when installed
  type: dict
"""

UNITS = ("nova-compute.service", "openstack-nova-compute.service")

# Nova's own loader, with what nova/config.py adds left out: it would set up messaging.
LOADER = r"""
import json, sys
from oslo_config import cfg
import nova.conf
CONF = nova.conf.CONF
wanted = json.loads(sys.argv[1])
CONF(sys.argv[2:], project="nova", prog="nova-compute")
values, places = {}, {}
for name in wanted:
    group, _, option = name.partition(".")
    holder = CONF if group == "DEFAULT" else CONF[group]
    values[name] = getattr(holder, option)
    where = CONF.get_location(option, None if group == "DEFAULT" else group)
    places[name] = where.detail if where and where.location is cfg.Locations.user else ""
print("\n" + json.dumps({
    "values": values,
    "places": places,
    "files": [str(name) for name in CONF.config_file or []],
    "folders": [str(name) for name in getattr(CONF, "config_dir", None) or []],
}, default=str))
"""


def configuration_arguments(words: list[str]) -> list[str]:
    """Pick --config-file and --config-dir, in either spelling, out of a command line."""
    found: list[str] = []
    names = ("--config-file", "--config-dir")
    for number, word in enumerate(words):
        if word in names and number + 1 < len(words):
            found += [word, words[number + 1]]
        elif word.startswith(tuple(f"{name}=" for name in names)):
            found.append(word)
    return found


def exec_start(shown: str) -> list[str]:
    """Take the command line out of ``systemctl show -p ExecStart``."""
    match = re.search(r"argv\[\]=(.*?) ; ignore_errors=", shown)
    if not match:
        return []
    try:
        return shlex.split(match[1])
    except ValueError:
        return match[1].split()


def read_order(arguments: list[str], files: list[str], folders: list[str]) -> list[str]:
    """Give the files in the order in which oslo.config reads them: as given, a folder's by name.

    :param files: what oslo.config found itself, when no argument names one
    :param folders: likewise
    """
    pairs: list[list[str]] = []
    words = list(arguments)
    while words:
        word = words.pop(0)
        name, equals, value = word.partition("=")
        pairs.append([name, value if equals else words.pop(0)])
    if not any(name == "--config-file" for name, _ in pairs):
        pairs = [["--config-file", path] for path in files] + pairs
    if not any(name == "--config-dir" for name, _ in pairs):
        pairs += [["--config-dir", path] for path in folders]
    order: list[str] = []
    for name, value in pairs:
        if name == "--config-file":
            order.append(value)
        elif os.path.isdir(value):
            order += sorted(os.path.join(value, entry) for entry in os.listdir(value) if entry.endswith(".conf"))
    return order


def sets(text: str) -> list[str]:
    """Give the options that a file sets, each as group.option."""
    found: list[str] = []
    group = ""
    for line in text.splitlines():
        header = re.match(r"\[([^\]]*)\]", line)
        key = re.match(r"([^=:#;\s][^=:]*?)\s*[=:]", line)
        if header:
            group = header[1].strip() if header[1].strip() == "DEFAULT" else header[1].strip().lower()
        elif key:
            found.append(f"{group}.{key[1]}")
    return found


def _command_line(module: AnsibleModule, unit: str) -> list[str]:
    _, shown, _ = module.run_command(["systemctl", "show", "-p", "ExecStart", unit], check_rc=True)
    words = exec_start(shown)
    if len(words) > 1 and words[0].startswith("/etc/init.d/") and words[1] == "systemd-start":
        code, shown, _ = module.run_command(["/bin/sh", words[0], "show-args"])
        if code != 0:
            module.fail_json(msg=f"{words[0]} show-args does not tell with which arguments nova-compute is started.")
        words = shlex.split(shown)
    return words


def _python(program: str) -> str:
    try:
        with open(program, encoding="utf-8", errors="replace") as file:
            first = file.readline()
    except OSError:
        first = ""
    words = first[2:].split() if first.startswith("#!") else []
    return words[0] if words and "python" in words[0] else "/usr/bin/python3"


def _unit(module: AnsibleModule) -> str | None:
    for unit in UNITS:
        _, shown, _ = module.run_command(["systemctl", "show", "-p", "LoadState", "--value", unit])
        if shown.strip() == "loaded":
            return unit
    return None


def main() -> None:
    """Run as a module."""
    module = AnsibleModule(
        argument_spec={
            "options": {"type": "list", "elements": "str", "default": []},
            "config_files": {"type": "list", "elements": "path", "default": []},
            "python": {"type": "path", "default": "/usr/bin/python3"},
        },
        supports_check_mode=True,
    )
    unit = None
    if module.params["config_files"]:
        python = module.params["python"]
        arguments = [word for path in module.params["config_files"] for word in ("--config-file", path)]
    else:
        unit = _unit(module)
        if unit is None:
            module.exit_json(changed=False, installed=False)
            return
        words = _command_line(module, unit)
        arguments = configuration_arguments(words)
        python = _python(words[0] if words else "/usr/bin/nova-compute")
    wanted: list[str] = module.params["options"]
    code, output, errors = module.run_command([python, "-c", LOADER, json.dumps(wanted), *arguments])
    if code != 0:
        last = (errors.strip().splitlines() or ["no message"])[-1]
        module.fail_json(
            msg=f"Nova cannot load its configuration ({' '.join(arguments) or 'its default files'}): {last}"
        )
    loaded: dict[str, Any] = json.loads(output.strip().splitlines()[-1])
    files: list[dict[str, Any]] = []
    for path in read_order(arguments, loaded["files"], loaded["folders"]):
        try:
            with open(path, encoding="utf-8", errors="surrogateescape") as file:
                text = file.read()
        except OSError:
            continue
        own = [name for name in sets(text) if name in wanted]
        own += [name for name, place in loaded["places"].items() if place == path and name not in own]
        files.append({"path": path, "ours": not path.startswith("/usr/"), "sets": sorted(set(own))})
    changeable = [file["path"] for file in files if file["ours"]]
    if not changeable:
        module.fail_json(msg="nova-compute reads no configuration file outside /usr, so its options cannot be set.")
    named = [path for path in changeable if os.path.basename(path) == "nova.conf"]
    module.exit_json(
        changed=False,
        installed=True,
        **({"unit": unit} if unit else {}),
        arguments=arguments,
        files=files,
        main=(named or changeable)[0],
        effective=loaded["values"],
        places=loaded["places"],
    )


if __name__ == "__main__":
    main()
