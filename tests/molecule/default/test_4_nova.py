"""Nova's own view of its options, and that nothing else of its configuration was touched."""

from __future__ import annotations

import difflib
import json

from tests.molecule.cloud import Cloud
from tests.molecule.nova import EFFECTIVE


def test_nova_reads_the_values_of_the_inventory(cloud: Cloud) -> None:
    compute = cloud["compute1"]
    found = json.loads(compute.python(EFFECTIVE))
    assert len(found.pop("files")) == 2, "Debian starts it with nova.conf and nova-compute.conf"
    assert found == {"enabled": True, "server_listen": compute.v4, "server_proxyclient_address": compute.v4}


def test_nova_runs_with_them(cloud: Cloud) -> None:
    compute = cloud["compute1"]
    assert compute.output("systemctl", "is-active", "nova-compute") == "active"
    started = compute.output("systemctl", "show", "--value", "-p", "ActiveEnterTimestamp", "nova-compute")
    later = compute.output(
        "sh", "-c", f"test $(date -d '{started}' +%s) -ge $(stat -c %Y /etc/nova/nova.conf) && echo yes"
    )
    assert later == "yes"


def test_the_rest_of_nova_conf_is_as_it_was(cloud: Cloud) -> None:
    before, after = (
        cloud["compute1"].read(path).splitlines() for path in ("/root/nova.conf.package", "/etc/nova/nova.conf")
    )
    changes = [line for line in difflib.unified_diff(before, after, n=0, lineterm="") if line[0] in "+-"][2:]
    removed = [line[1:] for line in changes if line.startswith("-")]
    added = {line[1:].partition("=")[0].strip() for line in changes if line.startswith("+")}
    assert [line for line in removed if line and not line.startswith("#")] == []
    assert {name for name in added if name and not name.startswith("#")} <= {
        "my_ip",
        "enabled",
        "server_listen",
        "server_proxyclient_address",
    }
    assert cloud["compute1"].output("stat", "-c", "%U:%G %a", "/etc/nova/nova.conf") == "root:nova 640"
