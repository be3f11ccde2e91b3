#!/usr/bin/python
"""Ansible module: ask the service how it is, over and over, as its clients would."""

from __future__ import annotations

import http.client
import json
import ssl
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
---
module: appliance_health
short_description: Ask the service how it is
description:
  - Asks C(/healthz) on several connections in a row, and C(/readyz) once. While two generations listen on one port, the
    kernel gives a connection to either of them; so that the newer one is among those that answered, there are several.
  - The service's certificate has to be the one in O(certificate), whoever issued it.
author: Porthole
options:
  host:
    description: The address to connect to.
    type: str
    required: true
  port:
    description: The port.
    type: int
    required: true
  certificate:
    description: The certificate file (PEM) of the service.
    type: path
    required: true
  attempts:
    description: How many connections.
    type: int
    default: 12
  timeout:
    description: Seconds that one answer may take.
    type: int
    default: 10
attributes:
  check_mode:
    support: full
    description: Nothing is ever changed.
"""

EXAMPLES = r"""
- name: Ask the service how it is
  appliance_health:
    host: 127.0.0.1
    port: 6080
    certificate: /etc/porthole/pki/tls.crt
"""

RETURN = r"""
ready:
  description: Whether requests should be sent to it.
  returned: success
  type: bool
reasons:
  description: Why not, in the service's words.
  returned: success
  type: list
  elements: str
"""


def leaf(path: Path) -> bytes:
    """The first certificate of a PEM file, as it goes over the wire."""
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    text = path.read_text()
    return ssl.PEM_cert_to_DER_cert(begin + text.split(begin, 1)[1].split(end, 1)[0] + end)


def ask(host: str, port: int, path: str, timeout: float, expected: set[bytes]) -> tuple[int, Any]:
    """Status and JSON body of one answer on a connection of its own.

    :raises OSError: no connection, or another certificate than those expected
    :raises ValueError: the answer is no JSON
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # The certificate itself is compared below, so neither its name nor its issuer matters.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection = http.client.HTTPSConnection(host, port, timeout=timeout, context=context)
    try:
        connection.connect()
        if expected and connection.sock.getpeercert(binary_form=True) not in expected:
            raise OSError("it shows another certificate")
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read(1 << 20))
    except http.client.HTTPException as error:
        raise OSError(f"the answer is no HTTP ({error!r})") from None
    finally:
        connection.close()


def main() -> None:
    """Answer Ansible."""
    module = AnsibleModule(
        argument_spec={
            "host": {"type": "str", "required": True},
            "port": {"type": "int", "required": True},
            "certificate": {"type": "path", "required": True},
            "attempts": {"type": "int", "default": 12},
            "timeout": {"type": "int", "default": 10},
        },
        supports_check_mode=True,
    )
    given = module.params
    where = f"https://{given['host']}:{given['port']}"
    newest_seen = False
    try:
        wanted = leaf(Path(given["certificate"]))
        for _ in range(given["attempts"]):
            status, _body = ask(given["host"], given["port"], "/healthz", given["timeout"], set())
            if status != http.client.OK:
                module.fail_json(msg=f"{where}/healthz answers with status {status}.")
        # An earlier generation may still have another certificate; one answer with the present one is enough.
        for _ in range(given["attempts"]):
            try:
                status, body = ask(given["host"], given["port"], "/readyz", given["timeout"], {wanted})
            except OSError as error:
                if str(error) != "it shows another certificate":
                    raise
                continue
            newest_seen = True
            break
        if not newest_seen:
            module.fail_json(msg=f"{where} never shows the certificate in {given['certificate']}.")
    except (OSError, ValueError, IndexError) as error:
        module.fail_json(msg=f"{where} does not answer as it should: {error}.")
    module.exit_json(changed=False, ready=status == http.client.OK, reasons=body.get("reasons", []))


if __name__ == "__main__":
    main()
