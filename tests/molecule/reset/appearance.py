"""What a host looks like: ``python -m tests.molecule.reset.appearance HOST`` writes it down on the host."""

from __future__ import annotations

import sys

from tests.molecule.cloud import Cloud, Host
from tests.molecule.nova import EFFECTIVE

WRITTEN_DOWN = "/root/before.txt"

# All that is configured, and where a role would put something; copies that useradd keeps of its own files are not.
LOOK = r"""
find /etc /opt /usr/local /var/lib/porthole /run/porthole \
  ! -path '/etc/*-' ! -path /etc/.pwd.lock -printf '%p %y %m %u:%g %l\n' 2>/dev/null | sort
find /etc /opt /usr/local -type f ! -path '/etc/*-' ! -path /etc/.pwd.lock -print0 | sort -z | xargs -0 sha256sum
systemctl list-unit-files --no-legend --plain | grep -v ' transient ' | sort
systemctl list-units --no-legend --plain --state=active 'libvirtd*' 'nova*' 'nftables*' 'porthole*' |
  awk '{print $1, $3}' | grep -v -e '^libvirtd.service' | sort
nft list ruleset
"""
"""A program for sh. Whether libvirtd.service runs is left out: it ends when nobody has asked it for two minutes."""


def look(host: Host) -> str:
    """Everything about a host that a reset has to bring back."""
    seen = host.output("sh", "-s", stdin=LOOK)
    if host.run("test", "-e", "/etc/nova/nova.conf", check=False).returncode == 0:
        seen += "\n" + host.python(EFFECTIVE)
    return seen + "\n"


def main() -> int:
    """The command."""
    host = Cloud()[sys.argv[1]]
    host.run("dd", f"of={WRITTEN_DOWN}", stdin=look(host))
    return 0


if __name__ == "__main__":
    sys.exit(main())
