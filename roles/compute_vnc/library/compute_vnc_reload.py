#!/usr/bin/python
"""Let the VNC servers of running guests read their certificate anew.

QEMU reads it when a guest starts, and then only on ``display-reload`` (QEMU 6.0 and later). A guest that runs for
longer than its certificate is valid could not be reached otherwise.
"""

from __future__ import annotations

import json

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
---
module: compute_vnc_reload
short_description: Let running guests' VNC servers read their certificate anew
description:
  - Guests without TLS are passed over.
options:
  uri:
    description: The hypervisor.
    type: str
    default: qemu:///system
author:
  - Porthole
"""

EXAMPLES = r"""
- name: Let the guests read the new certificate
  compute_vnc_reload:
"""

RETURN = r"""
reloaded:
  description: The guests that have read it.
  returned: always
  type: list
  elements: str
kept:
  description: The guests that keep the old one, each with QEMU's reason.
  returned: always
  type: dict
"""

RELOAD = json.dumps({"execute": "display-reload", "arguments": {"type": "vnc", "tls-certs": True}})


def main() -> None:
    """Run as a module."""
    module = AnsibleModule(
        argument_spec={"uri": {"type": "str", "default": "qemu:///system"}}, supports_check_mode=True
    )
    virsh = [module.get_bin_path("virsh", required=True), "-c", module.params["uri"]]
    _, listed, _ = module.run_command([*virsh, "list", "--uuid"], check_rc=True)
    reloaded: list[str] = []
    kept: dict[str, str] = {}
    for uuid in listed.split():
        if module.check_mode:
            reloaded.append(uuid)
            continue
        code, output, errors = module.run_command([*virsh, "qemu-monitor-command", uuid, RELOAD])
        try:
            answer = json.loads(output)
        except ValueError:
            answer = {}
        if code == 0 and "return" in answer:
            reloaded.append(uuid)
        else:
            kept[uuid] = answer.get("error", {}).get("desc", "") or errors.strip()
    module.exit_json(changed=bool(reloaded), reloaded=reloaded, kept=kept)


if __name__ == "__main__":
    main()
