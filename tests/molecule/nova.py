"""What Nova itself makes of its configuration."""

from __future__ import annotations

EFFECTIVE = """\
import json, subprocess, sys
pid = subprocess.check_output(["systemctl", "show", "--value", "-p", "MainPID", "nova-compute"], text=True).strip()
words = open(f"/proc/{pid}/cmdline").read().split("\\0")
files = [word for word in words if word.startswith("--config-file")]
import nova.conf
nova.conf.CONF(files, project="nova", prog="nova-compute")
vnc = nova.conf.CONF.vnc
print(json.dumps({"enabled": vnc.enabled, "server_listen": str(vnc.server_listen),
                  "server_proxyclient_address": str(vnc.server_proxyclient_address), "files": files}))
"""
"""A program for :meth:`tests.molecule.cloud.Host.python`: the values of the options that a role sets, out of the files
that the running nova-compute was started with, read by Nova's own loader."""
