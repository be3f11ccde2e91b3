"""The openstack client with the clouds.yaml that script/lab writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.running import Lab, free_port
from tests.openstack.environment import OpenStackClient


@pytest.fixture
def lab() -> Iterator[Lab]:
    lab = Lab("--json", "--guests", "2", "--port", str(free_port()))
    yield lab
    lab.kill()


def test_it_lists_the_guests_and_opens_a_console_with_nothing_else_said(lab: Lab, tmp_path: Path) -> None:
    ready = lab.ready()
    clouds_yaml = Path(ready["clouds_yaml"])
    client = OpenStackClient(tmp_path, {"OS_CLIENT_CONFIG_FILE": str(clouds_yaml), "OS_CLOUD": "porthole"})

    # It has the password in it.
    assert clouds_yaml.parent == lab.folder
    assert clouds_yaml.stat().st_mode & 0o777 == 0o600
    assert clouds_yaml.stat().st_uid == clouds_yaml.parent.stat().st_uid
    assert [server["Name"] for server in client.json("server", "list")] == ["demo-1", "demo-2"]
    console = client.json("console", "url", "show", "--novnc", "demo-2")
    assert console["url"].startswith(f"{ready['api_url']}/vnc_auto.html?path=%3Ftoken%3D")
    lab.end()
    assert not clouds_yaml.exists()
