"""options.md: every option of the configuration, read from the commented sample."""

from __future__ import annotations

import re

from porthole.config import sample
from porthole.config.options import COMPUTE_OPTS, COMPUTE_PREFIX, GROUPS
from reference import markdown

_SECTION = re.compile(r"^#?\[(?P<name>[^]]+)\]$", re.MULTILINE)
_OPTION = re.compile(r"^# (?P<help>.+)\n# \((?P<kind>.+)\)\n#(?P<name>\w+) =(?P<value>.*)$", re.MULTILINE)

_INTRODUCTION = """\
# Options

The configuration is one or more INI files. `porthole serve` and `porthole config check` read
`/etc/porthole/porthole.conf` and the `*.conf` files of `/etc/porthole/porthole.conf.d`, or the files and folders that
`--config-file` and `--config-dir` name. Folders are read after files, and in a later file an option replaces the one of
an earlier file. An option, a section or a type that is not below ends the start with a sentence that names the file.
The names in `[DEFAULT]`, `[vnc]`, `[consoleauth]`, `[console]`, `[api]` and `[compute:NAME]` are Nova's where Nova has
such an option. `porthole config sample` prints all of them as [a commented file](porthole.conf).
"""


def page() -> str:
    """The whole page.

    :raises ValueError: an option of the code is not found in the sample
    """
    text = sample()
    parts = [markdown.NOTICE, _INTRODUCTION]
    starts = list(_SECTION.finditer(text))
    found = 0
    for start, end in zip(starts, [*(match.start() for match in starts[1:]), len(text)], strict=True):
        options = list(_OPTION.finditer(text, start.end(), end))
        found += len(options)
        is_example = start["name"].startswith(COMPUTE_PREFIX)
        rows = [(f"`{it['name']}`", it["kind"], _value(it["value"]), it["help"]) for it in options]
        head = ("option", "type", "example" if is_example else "default", "meaning")
        parts.append(f"## [{start['name']}]\n\n{_remark(start['name'])}{markdown.table(head, rows)}")
    expected = sum(map(len, GROUPS.values())) + len(COMPUTE_OPTS)
    if found != expected:
        raise ValueError(f"the sample shows {found} options in the form that is known here, and there are {expected}")
    return "\n".join(parts)


def _remark(section: str) -> str:
    if not section.startswith(COMPUTE_PREFIX):
        return ""
    return "One section for each compute host; NAME is the compute's name. Both options are needed.\n\n"


def _value(text: str) -> str:
    return f"`{text.strip()}`" if text.strip() else ""
