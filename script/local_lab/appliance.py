"""The appliance: its configuration, its keys, its user, its process."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from local_lab import processes
from local_lab.options import Options, address_for_others, bracketed
from provision.progress import StepFailed, exit_words, last_lines

USER = "admin"
COMPUTE = "lab"
COMMAND_SECONDS = 30.0
"""For a command of the appliance, such as ``user add``, which hashes a password."""

CONFIG = """\
[DEFAULT]
my_ip = {address}
novnc_path = {folder}/novnc
state_path = {folder}/state

[vnc]
novncproxy_host = {host}
novncproxy_port = {port}
auth_schemes = none

[consoleauth]
token_key_file = {folder}/token.keys

[audit]
key_file = {folder}/audit.keys

[api]
http_basic_auth_user_file = {folder}/htpasswd
http_basic_auth_role_file = {folder}/roles

[metrics]
port = 0

[compute:{compute}]
connection_uri = {uri}
server_proxyclient_address = 127.0.0.1
"""


@dataclass(frozen=True, slots=True)
class Appliance:
    """How to reach it.

    :ivar url: its address, without a path
    :ivar password: of :data:`USER`; generated anew for every run
    :ivar clouds_yaml: a file for OpenStack's clients, with the password in it
    """

    url: str
    password: str
    clouds_yaml: Path
    service: processes.Service


def start(folder: Path, options: Options, libvirt_uri: str) -> Appliance:
    """Configure and start it. It may not be ready yet.

    :raises StepFailed: one of its commands failed
    """
    address = address_for_others(options.host)
    config = folder / "porthole.conf"
    config.write_text(
        CONFIG.format(
            address=address, folder=folder, host=options.host, port=options.port, compute=COMPUTE, uri=libvirt_uri
        )
    )
    password = secrets.token_urlsafe(12)
    for name in ("token.keys", "audit.keys"):
        _porthole("keys", "add", str(folder / name))
    files = ["--user-file", str(folder / "htpasswd"), "--role-file", str(folder / "roles")]
    # The password goes through a pipe: a command line is for everybody to read.
    _porthole("user", "add", USER, "--role", "admin", *files, "--password-stdin", given=password + "\n")
    clouds_yaml = _write_clouds_yaml(folder, config, password)
    argv = [sys.executable, "-m", "porthole", "serve", "--config-file", str(config)]
    service = processes.start("the appliance", argv, folder / "appliance.log")
    return Appliance(f"http://{bracketed(address)}:{options.port}", password, clouds_yaml, service)


def _write_clouds_yaml(folder: Path, config: Path, password: str) -> Path:
    """What ``porthole clouds-yaml`` prints, with the password, for this user alone."""
    import yaml  # noqa: PLC0415 - of the appliance's own environment, in which this half runs

    described = yaml.safe_load(_porthole("clouds-yaml", USER, "--config-file", str(config)))
    for cloud in described["clouds"].values():
        cloud["auth"]["password"] = password
    path = folder / "clouds.yaml"
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        yaml.safe_dump(described, file, sort_keys=False)
    return path


def _porthole(*arguments: str, given: str = "") -> str:
    name = f"porthole {' '.join(arguments[:2])}"
    try:
        done = subprocess.run(
            [sys.executable, "-m", "porthole", *arguments],
            input=given,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            env=dict(os.environ),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise StepFailed(f"'{name}' took longer than {COMMAND_SECONDS:.0f} s.") from None
    if done.returncode:
        raise StepFailed(
            f"'{name}' failed ({exit_words(done.returncode)}).",
            details=last_lines((done.stdout + done.stderr).splitlines()),
        )
    return done.stdout
