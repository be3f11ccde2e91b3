"""While some guests have no TLS and an old proxy serves consoles, nobody is cut off, and what is left is counted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.molecule import guests
from tests.molecule.cloud import Cloud
from tests.molecule.site import Site, works
from tests.molecule.stages.looks import without_tls

VENCRYPT_ALONE = "security types 19"


@pytest.fixture(scope="module", autouse=True)
def running(cloud: Cloud) -> Iterator[None]:
    """A guest on each compute that was started after it had been set up, beside those from before."""
    for name in ("compute1", "compute2"):
        guests.start(cloud[name], f"after-{name}")
    yield
    for name in ("compute1", "compute2"):
        guests.remove(cloud[name], f"after-{name}")


@pytest.mark.parametrize("guest", ["old-compute1", "after-compute1", "old-compute2", "after-compute2"])
def test_with_and_without_tls_a_guest_has_a_console(site: Site, guest: str) -> None:
    client = site.open(guest)
    assert client.name == f"QEMU ({guest})"
    assert works(client)
    client.close()


def test_without_a_listed_proxy_new_guests_have_tls(cloud: Cloud) -> None:
    assert without_tls(cloud["console1"], cloud["compute1"], "after-compute1") == VENCRYPT_ALONE


def test_with_a_listed_proxy_it_can_open_new_guests(cloud: Cloud) -> None:
    seen = without_tls(cloud["proxy1"], cloud["compute2"], "after-compute2")
    assert seen == "sees QEMU (after-compute2)"


def test_the_proxy_is_let_in_only_where_it_is_listed(cloud: Cloud) -> None:
    assert without_tls(cloud["proxy1"], cloud["compute1"], "after-compute1") == "shut"


def test_what_is_left_without_tls_is_counted(cloud: Cloud, inventory: Path) -> None:
    run = cloud.playbook(inventory, playbook="playbooks/validate.yml")
    text = re.sub(r"\s+", " ", run.output)
    assert run.status != 0
    assert "(compute_vnc_tls_stage is permissive), and 2 of 3 running guests are without it." in text
    assert "(compute_vnc_tls_stage is permissive), and 3 of 3 running guests are without it." in text
    assert "When those have been started anew or migrated, set it to enforced." in text
