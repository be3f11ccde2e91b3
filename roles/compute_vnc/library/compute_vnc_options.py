#!/usr/bin/python
"""Set options in nova.conf or in libvirt's files, remember what was there, and bring it back.

The rest of the file stays as it is, byte for byte. What was there before is kept in a state file, line by line, so
that ``state: absent`` restores the very bytes when nobody else has changed them, and leaves an option alone that
somebody else has set anew.

Sources of the two formats: ``oslo_config/iniparser.py`` (a line that begins with a blank goes on with the value above
it; the last of several settings counts; group names are not case-sensitive, save DEFAULT) and libvirt's ``virconf.c``
(the first of several settings counts; lists go over several lines).
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from typing import Any, NamedTuple

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
---
module: compute_vnc_options
short_description: Set options in nova.conf or in libvirt's files, and bring back what was there
description:
  - Replaces or adds single lines, keeps what was there in a state file, and restores it.
options:
  path:
    description: The file. It has to exist for O(state=present).
    type: path
    required: true
  format:
    description: V(ini) for nova.conf and its like, V(libvirt) for qemu.conf, libvirtd.conf and their like.
    type: str
    choices: [ini, libvirt]
    default: ini
  options:
    description: All options that are to be set in this file. Those set earlier and not in the list are brought back.
    type: list
    elements: dict
    default: []
    suboptions:
      section:
        description: The section; not for O(format=libvirt).
        type: str
        default: ""
      option:
        description: The name.
        type: str
        required: true
      value:
        description: The value as it stands in the file, with quotation marks where the format wants them.
        type: str
        required: true
  state_file:
    description: Where that which was there before is kept.
    type: path
    required: true
  remember:
    description: >-
      More that was so before, kept in the state file under each name once; a later value for the same name is passed
      over.
    type: dict
    default: {}
  state:
    description: Set the options, or bring back all that were set in this file.
    type: str
    choices: [present, absent]
    default: present
author:
  - Porthole
"""

EXAMPLES = r"""
- name: Let the VNC servers listen on one address
  compute_vnc_options:
    path: /etc/nova/nova.conf
    options:
      - {section: vnc, option: server_listen, value: 10.0.0.11}
    state_file: /etc/porthole/compute_vnc.json
"""

RETURN = r"""
left:
  description: Options that somebody else has changed since, and that were therefore left alone.
  returned: always
  type: list
  elements: str
remembered:
  description: What O(remember) has kept, also when it is removed with the last file.
  returned: always
  type: dict
"""

_HEADER = re.compile(r"\[(?P<name>[^\]]*)\]")
_KEY = re.compile(r"(?P<key>[^=:]*?)\s*[=:](?P<value>.*)", re.DOTALL)
_LIBVIRT_KEY = re.compile(r"\s*(?P<key>[A-Za-z_][A-Za-z0-9_]*)\s*=(?P<value>.*)", re.DOTALL)
_STRING = re.compile(r'"[^"\n]*"|\'[^\'\n]*\'')

Record = dict[str, Any]


class Setting(NamedTuple):
    """One setting in a file: its section, name and value, and the lines from first to last, the latter not included."""

    section: str
    option: str
    value: str
    first: int
    last: int


def _section(name: str) -> str:
    return name if name == "DEFAULT" else name.lower()


def ini_settings(lines: list[str]) -> tuple[list[Setting], dict[str, int]]:
    """Find the settings and, for each section, the line of its last header."""
    found: list[Setting] = []
    headers: dict[str, int] = {}
    section = ""
    number = 0
    while number < len(lines):
        line = lines[number]
        header = _HEADER.match(line)
        key = _KEY.match(line)
        if header:
            section = _section(header["name"].strip())
            headers[section] = number
        elif line.strip() and line[0] not in "#; \t" and key:
            last = number + 1
            while last < len(lines) and lines[last][:1] in (" ", "\t") and lines[last].strip():
                last += 1
            value = "\n".join([key["value"].strip(), *(more.strip() for more in lines[number + 1 : last])])
            found.append(Setting(section, key["key"].strip(), value, number, last))
            number = last - 1
        number += 1
    return found, headers


def _list_is_open(text: str) -> bool:
    """Whether a list has begun and not ended; what is in strings and comments does not count."""
    bare = re.sub(r"#.*", "", _STRING.sub("", text))
    return bare.count("[") > bare.count("]")


def libvirt_settings(lines: list[str]) -> list[Setting]:
    """Find the settings of a file like qemu.conf."""
    found: list[Setting] = []
    number = 0
    while number < len(lines):
        key = _LIBVIRT_KEY.match(lines[number])
        if key:
            last = number + 1
            text = key["value"]
            while last < len(lines) and _list_is_open(text):
                text += lines[last]
                last += 1
            found.append(Setting("", key["key"], text.strip(), number, last))
            number = last - 1
        number += 1
    return found


class Text:
    """The lines of a file, and where in them an option is."""

    def __init__(self, text: str, kind: str) -> None:
        self.lines = text.splitlines(keepends=True)
        self._kind = kind

    def __str__(self) -> str:
        return "".join(self.lines)

    def find(self, section: str, option: str) -> Setting | None:
        """Give the setting that counts."""
        if self._kind == "libvirt":
            return next((one for one in libvirt_settings(self.lines) if one.option == option), None)
        settings, _ = ini_settings(self.lines)
        hits = [one for one in settings if one.option == option and one.section == _section(section)]
        return hits[-1] if hits else None

    def header(self, section: str) -> int | None:
        """Give the line of a section's last header."""
        return ini_settings(self.lines)[1].get(_section(section))

    def end_with_newline(self) -> bool:
        """Complete the last line, and say whether it needed that."""
        if self.lines and not self.lines[-1].endswith("\n"):
            self.lines[-1] += "\n"
            return True
        return False


def _names(record: Record) -> tuple[str, str | None]:
    return record["section"], record["option"]


def put(text: Text, kind: str, records: list[Record], section: str, option: str, value: str) -> None:
    """Set one option and note what was there."""
    wrote = [f"{option} = {value}\n"]
    known = next((record for record in records if _names(record) == (section, option)), None)
    current = text.find(section, option)
    if current is not None and current.value == value:
        return
    record: Record = {"section": section, "option": option, "before": None, "wrote": wrote}
    if current is not None:
        record["before"] = text.lines[current.first : current.last]
        if not record["before"][-1].endswith("\n"):
            wrote = [wrote[0].rstrip("\n")]
            record["wrote"] = wrote
        text.lines[current.first : current.last] = wrote
    elif kind == "libvirt":
        record["newline"] = text.end_with_newline()
        text.lines += wrote
    else:
        header = text.header(section)
        if header is None:
            added = (["\n"] if text.lines else []) + [f"[{section}]\n"]
            records.append(
                {"section": section, "option": None, "before": None, "wrote": added, "newline": text.end_with_newline()}
            )
            text.lines += added
            header = len(text.lines) - 1
        elif not text.lines[header].endswith("\n"):
            record["newline"] = text.end_with_newline()
        text.lines.insert(header + 1, wrote[0])
    if known is None:
        records.append(record)
    else:
        known["wrote"] = record["wrote"]


def restore(text: Text, record: Record) -> bool:
    """Bring back one option; say whether it is as it was."""
    if record["option"] is None:
        return _remove_section(text, record)
    current = text.find(record["section"], record["option"])
    now = None if current is None else text.lines[current.first : current.last]
    if now == record["before"]:
        return True
    if current is None or now != record["wrote"]:
        return False
    text.lines[current.first : current.last] = record["before"] or []
    if record["before"] is None and record.get("newline") and current.first == len(text.lines) and text.lines:
        text.lines[-1] = text.lines[-1][:-1]
    return True


def _remove_section(text: Text, record: Record) -> bool:
    """Take out the header of a section that was added, when nothing is in it."""
    header = text.header(record["section"])
    if header is None:
        return True
    first = header - len(record["wrote"]) + 1
    following = text.lines[header + 1 :]
    is_ours = first >= 0 and text.lines[first : header + 1] == record["wrote"]
    if not is_ours or (following and not _HEADER.match(following[0])):
        return True
    del text.lines[first : header + 1]
    if record.get("newline") and not following and text.lines:
        text.lines[-1] = text.lines[-1][:-1]
    return True


def change(
    text: Text, kind: str, records: list[Record], wanted: list[dict[str, str]]
) -> tuple[list[Record], list[str]]:
    """Bring back what is no longer wanted, then set what is.

    :return: the new records, and the options that were left because somebody else has changed them
    """
    names = {(one["section"], one["option"]) for one in wanted}
    sections = {one["section"] for one in wanted}
    kept: list[Record] = []
    left: list[str] = []
    for record in reversed(records):
        section, option = _names(record)
        if (section, option) in names or (option is None and section in sections):
            kept.insert(0, record)
        elif not restore(text, record):
            left.append(f"[{section}] {option}" if section else str(option))
    for one in wanted:
        put(text, kind, kept, one["section"], one["option"], one["value"])
    return kept, left


def read_state(path: str) -> dict[str, Any]:
    """Give what is kept; nothing when there is no file yet."""
    try:
        with open(path, encoding="utf-8") as file:
            state: dict[str, Any] = json.load(file)
    except FileNotFoundError:
        return {"files": {}}
    return state


def _write(module: AnsibleModule, path: str, content: str, mode: str | None) -> None:
    """Replace a file at once; owner and mode of one that was there stay."""
    handle, temporary = tempfile.mkstemp(dir=module.tmpdir)
    with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        file.write(content)
    module.atomic_move(temporary, path)
    if mode is not None:
        module.set_mode_if_different(path, mode, False)


def main() -> None:
    """Run as a module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "format": {"type": "str", "choices": ["ini", "libvirt"], "default": "ini"},
            "options": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "section": {"type": "str", "default": ""},
                    "option": {"type": "str", "required": True},
                    "value": {"type": "str", "required": True},
                },
            },
            "state_file": {"type": "path", "required": True},
            "remember": {"type": "dict", "default": {}},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        supports_check_mode=True,
    )
    path, kind, state_file = module.params["path"], module.params["format"], module.params["state_file"]
    present = module.params["state"] == "present"
    state = read_state(state_file)
    # Real paths: a link to the file stays a link.
    path = os.path.realpath(path)
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            before = file.read()
    except FileNotFoundError:
        if present:
            module.fail_json(msg=f"{path} does not exist.")
        before = ""
    text = Text(before, kind)
    known: list[Record] = json.loads(json.dumps(state["files"].get(path, [])))
    records, left = change(text, kind, known, module.params["options"] if present else [])
    after = str(text)
    files = {**state["files"], path: records}
    remembered = state.get("remembered", {})
    if present:
        remembered = {**module.params["remember"], **remembered}
    new_state = {"files": {name: kept for name, kept in files.items() if kept}, "remembered": remembered}
    changed = after != before
    if not module.check_mode:
        if new_state != state and present:
            os.makedirs(os.path.dirname(state_file), mode=0o755, exist_ok=True)
            _write(module, state_file, json.dumps(new_state, indent=1) + "\n", "0600")
        if changed:
            _write(module, path, after, None)
        if not present and new_state != state:
            if new_state["files"]:
                _write(module, state_file, json.dumps(new_state, indent=1) + "\n", "0600")
            else:
                os.unlink(state_file)
    module.exit_json(
        changed=changed,
        left=left,
        remembered=remembered,
        diff={"before": before, "after": after, "before_header": path, "after_header": path},
    )


if __name__ == "__main__":
    main()
