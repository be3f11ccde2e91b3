"""What a backup holds is there again after a restore: keys, users, store and the certificate authority."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.molecule.cloud import Cloud
from tests.molecule.generations import Generations
from tests.molecule.site import Site, works

AUTHORITY = "/etc/porthole/ca"
KEYS = "/etc/porthole/secrets/token.keys"
PORTHOLE = "/opt/porthole/current/venv/bin/porthole"
FILES = (
    "find /etc/porthole -printf '%p %y %m %u %g\\n' | sort;"
    " find /etc/porthole -type f -print0 | sort -z | xargs -0 sha256sum"
)


def test_a_url_from_before_is_good_again(
    cloud: Cloud,
    site: Site,
    generations: Generations,
    inventory: Path,
    guest: str,
    tmp_path: Path,
    figures: dict[str, str],
) -> None:
    before = site.host.output("sh", "-c", FILES)
    url = site.api.console_url(guest)
    backup = cloud.playbook(inventory, "-e", f"appliance_backup_dir={tmp_path}", playbook="playbooks/backup.yml")
    assert backup.status == 0, backup.output
    (archive,) = tmp_path.glob("porthole-console1-*.tar.gz")
    assert generations.running() == generations.at_boot()
    assert "PRIVATE KEY" not in backup.output
    figures["playbooks/backup.yml"] = f"{backup.seconds:.0f} s"

    # Another key, another user, one less, no authority, and a store that knows of nothing.
    site.host.run("rm", "-r", KEYS, AUTHORITY, *site.host.output("sh", "-c", "ls /var/lib/porthole/*").split())
    site.host.run(PORTHOLE, "keys", "add", KEYS)
    site.host.run(PORTHOLE, "user", "add", "--role", "admin", "--password-stdin", "later", stdin="a long password\n")
    site.host.run(PORTHOLE, "user", "remove", "admin")
    site.host.run("systemctl", "restart", site.unit())
    with pytest.raises(Exception, match=r"403|401"):
        site.open_url(url)

    restore = cloud.playbook(inventory, "-e", f"appliance_restore_archive={archive}", playbook="playbooks/restore.yml")
    assert restore.status == 0, restore.output
    figures["playbooks/restore.yml"] = f"{restore.seconds:.0f} s"
    assert "PRIVATE KEY" not in restore.output
    assert site.host.output("sh", "-c", FILES) == before
    assert generations.running() == generations.at_boot()
    assert len(generations.running()) == 1
    users = site.host.output(PORTHOLE, "user", "list")
    assert "admin" in users
    assert "later" not in users
    client = site.open_url(url)
    assert works(client)
    client.close()
    assert site.api.is_ready()
