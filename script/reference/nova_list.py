"""Nova's own lists of options, as JSON on standard output; run by a Python that has Nova (script/test openstack)."""

from __future__ import annotations

import json

from nova.conf import opts

GROUPS = ("vnc", "consoleauth", "console")


def options() -> dict[str, dict[str, object]]:
    """The default of each option, by group and name, whichever of Nova's modules it is listed in."""
    found: dict[str, dict[str, object]] = {name: {} for name in GROUPS}
    for group, listed in opts.list_opts():
        name = getattr(group, "name", group)
        if name in found:
            found[name] |= {option.dest: option.default for option in listed}
    return found


if __name__ == "__main__":
    print(json.dumps(options(), indent=2))
