#!/usr/bin/python
"""List the guests whose VNC server is not what this host's configuration says.

A guest keeps its VNC server, with its address and its TLS, from its start to its end or until it migrates; a reboot
from inside changes nothing. QEMU's command line is the only place that tells whether TLS is on for one that runs.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any
from xml.etree import ElementTree

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
---
module: compute_vnc_guests
short_description: The guests that keep an old listener or have no TLS
description:
  - Changes nothing.
options:
  listen:
    description: The address on which the VNC servers are to listen.
    type: str
    required: true
  tls:
    description: Whether they are to offer TLS alone.
    type: bool
    required: true
  port_max:
    description: The last port of the range that the firewall guards.
    type: int
    required: true
  definitions:
    description: >-
      Whether to look at the lasting definitions too, where an address may be fixed. Nova writes its own anew each time.
    type: bool
    default: false
  uri:
    description: The hypervisor.
    type: str
    default: qemu:///system
author:
  - Porthole
"""

EXAMPLES = r"""
- name: List the guests that keep their old listener
  compute_vnc_guests:
    listen: 10.0.0.11
    tls: true
    port_max: 6923
"""

RETURN = r"""
guests:
  description: Each guest that is not as wanted, with what is wrong and what to do.
  returned: always
  type: list
  elements: dict
running:
  description: How many guests run.
  returned: always
  type: int
without_tls:
  description: How many of those have a VNC server without TLS.
  returned: always
  type: int
"""


def _parse(xml: str) -> ElementTree.Element:
    return ElementTree.fromstring(xml)  # noqa: S314 - libvirt wrote it


def same_address(one: str, other: str) -> bool:
    """Whether two texts are the same IP address."""
    try:
        return ipaddress.ip_address(one) == ipaddress.ip_address(other)
    except ValueError:
        return one == other


def display(xml: str) -> dict[str, Any] | None:
    """Read the TCP listener of a domain's VNC server; None when it has none.

    :return: ``listen`` (empty when the XML leaves it to the hypervisor) and ``port`` (0 when not known)
    """
    for graphics in _parse(xml).iterfind("./devices/graphics[@type='vnc']"):
        listener = graphics.find("listen")
        kind = "address" if listener is None else listener.get("type", "address")
        if kind in ("none", "socket") or graphics.get("socket"):
            continue
        address = graphics.get("listen") or ("" if listener is None else listener.get("address", ""))
        port = graphics.get("port", "0")
        return {"listen": address, "port": int(port) if port.isdigit() else 0}
    return None


def has_tls(command_line: list[str]) -> bool | None:
    """Whether QEMU's VNC server has TLS; None when there is no VNC server in the command line."""
    for number, word in enumerate(command_line[:-1]):
        if word == "-vnc":
            return any(part.startswith("tls-creds=") for part in command_line[number + 1].split(","))
    return None


def judge(
    live: dict[str, Any] | None,
    definition: dict[str, Any] | None,
    tls: bool | None,
    *,
    listen: str,
    want_tls: bool,
    port_max: int,
) -> dict[str, list[str]]:
    """Say what is wrong with a guest, and what to do about it."""
    problems: list[str] = []
    advice: list[str] = []
    if live is not None:
        if not same_address(live["listen"], listen):
            problems.append(f"listens on {live['listen'] or 'an unknown address'} instead of {listen}")
        if want_tls and tls is False:
            problems.append("has no TLS")
        if live["port"] > port_max:
            problems.append(f"has port {live['port']}, which is above the guarded range")
        if problems:
            advice.append("start it anew (stop and start; a reboot from inside is not enough) or migrate it live")
    if definition is not None and definition["listen"] and not same_address(definition["listen"], listen):
        problems.append(f"has listen='{definition['listen']}' in its definition, which beats qemu.conf for ever")
        advice.insert(0, "take the address out of <graphics> with virsh edit")
    return {"problems": problems, "advice": advice}


def _command_line(name: str) -> list[str]:
    try:
        with open(f"/run/libvirt/qemu/{name}.pid", encoding="ascii") as file:
            number = int(file.read())
        with open(f"/proc/{number}/cmdline", "rb") as file:
            return [word.decode(errors="replace") for word in file.read().split(b"\0")]
    except (OSError, ValueError):
        return []


def main() -> None:
    """Run as a module."""
    module = AnsibleModule(
        argument_spec={
            "listen": {"type": "str", "required": True},
            "tls": {"type": "bool", "required": True},
            "port_max": {"type": "int", "required": True},
            "definitions": {"type": "bool", "default": False},
            "uri": {"type": "str", "default": "qemu:///system"},
        },
        supports_check_mode=True,
    )
    virsh = module.get_bin_path("virsh", required=True)

    def ask(*words: str) -> str | None:
        """Ask virsh; None when the guest has gone meanwhile."""
        code, output, errors = module.run_command([virsh, "-r", "-c", module.params["uri"], *words])
        if code == 0:
            return str(output)
        if re.search(r"failed to get domain|Domain not found|domain is not running", errors):
            return None
        return str(module.fail_json(msg=f"virsh {' '.join(words)}: {errors.strip()}"))

    running = set((ask("list", "--uuid") or "").split())
    everything = (ask("list", "--uuid", "--all") or "").split() if module.params["definitions"] else sorted(running)
    guests: list[dict[str, Any]] = []
    without_tls = 0
    for uuid in everything:
        live = ask("dumpxml", uuid) if uuid in running else None
        definition = ask("dumpxml", "--inactive", uuid) if module.params["definitions"] else None
        known = live or definition
        if known is None:
            continue
        name = _parse(known).findtext("name") or uuid
        tls = has_tls(_command_line(name)) if live else None
        without_tls += tls is False
        verdict = judge(
            display(live) if live else None,
            display(definition) if definition else None,
            tls,
            listen=module.params["listen"],
            want_tls=module.params["tls"],
            port_max=module.params["port_max"],
        )
        if verdict["problems"]:
            guests.append({"name": name, "uuid": uuid, "running": live is not None, **verdict})
    module.exit_json(changed=False, guests=guests, running=len(running), without_tls=without_tls)


if __name__ == "__main__":
    main()
