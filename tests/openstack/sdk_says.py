"""What openstacksdk makes of a cloud: a program for the virtual environment with OpenStack's packages.

``python -P sdk_says.py SERVER``: prints a JSON object with what the SDK found of the server of this name.
"""

from __future__ import annotations

import json
import sys

import openstack


def main(name: str) -> dict[str, object]:
    """Everything that is asked for in one connection."""
    cloud = openstack.connect()
    compute = cloud.compute
    server = compute.find_server(name, ignore_missing=False)
    return {
        "range": [".".join(map(str, version)) for version in _range(compute)],
        "id": server.id,
        "status": server.status,
        "by_id": compute.get_server(server.id).name,
        "create_server_remote_console": compute.create_server_remote_console(server, protocol="vnc", type="novnc").url,
        "create_console": compute.create_console(server, "novnc")["url"],
        "of_older_versions": server.get_console_url(
            openstack.connect(compute_default_microversion="2.1").compute, "novnc"
        )["url"],
        "page_by_page": [each.name for each in compute.servers(limit=1)],
        "first_page": [each.name for each in compute.servers(limit=1, paginated=False)],
        "flavors": [each.name for each in compute.flavors()],
        "missing": compute.find_server("nothing-of-that-name"),
    }


def _range(compute: openstack.compute.v2._proxy.Proxy) -> tuple[tuple[int, int], tuple[int, int]]:
    found = compute.get_endpoint_data()
    return found.min_microversion, found.max_microversion


if __name__ == "__main__":
    json.dump(main(*sys.argv[1:]), sys.stdout)
