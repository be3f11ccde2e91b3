"""Nova's own lists of options, as JSON on standard output; run by a Python that has Nova (script/test openstack)."""

from __future__ import annotations

import json

from nova.conf import console, consoleauth, vnc

GROUPS = (vnc, consoleauth, console)


def options() -> dict[str, dict[str, object]]:
    """The default of each option, by group and name."""
    found: dict[str, dict[str, object]] = {}
    for module in GROUPS:
        for group, listed in module.list_opts().items():
            found[group.name] = {option.dest: option.default for option in listed}
    return found


if __name__ == "__main__":
    print(json.dumps(options(), indent=2))
