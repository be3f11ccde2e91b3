"""A real nova-api, PyPI's, on SQLite, with tokens made by Nova's own objects; there is no nova-compute behind it."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import requests

from tests.openstack.environment import VENV, environment, program
from tests.openstack.keystone import Keystone

START_TIMEOUT = 120
"""Seconds; it takes three on a machine that is not busy."""

USER = "nova"
"""The service user as whom nova-api validates tokens."""

_CONFIGURATION = """\
[DEFAULT]
transport_url = fake:/
state_path = {folder}
log_file = {folder}/nova-api.log
debug = true
my_ip = {host}
[api_database]
connection = sqlite:///{folder}/api.sqlite
[database]
connection = sqlite:///{folder}/cell1.sqlite
[keystone_authtoken]
auth_url = {keystone.url}
auth_type = password
username = {user}
password = {password}
project_name = service
user_domain_name = Default
project_domain_name = Default
[oslo_concurrency]
lock_path = {folder}
[vnc]
novncproxy_base_url = {base_url}
[cache]
enabled = false
"""

_SERVER = """\
wsgi_app = "nova.wsgi.osapi_compute:application"
bind = "{host}:{port}"
workers = 1
worker_class = "gthread"
threads = 8
timeout = 300
"""


_OBJECTS = """
import json, sys
from nova import config, context, objects
from nova.cmd import manage
config.parse_args(["nova", "--config-file", sys.argv[1]])
objects.register_all()
out, sys.stdout = sys.stdout, sys.stderr
main, cell0 = sys.argv[2:]
statuses = (
    manage.ApiDbCommands().sync(),
    manage.CellV2Commands().map_cell0(cell0),
    manage.CellV2Commands().create_cell("cell1", main, "fake:/"),
    manage.DbCommands().sync(),
)
assert not any(statuses), statuses
admin = context.get_admin_context()
(mapping,) = [m for m in objects.CellMappingList.get_all(admin) if not m.is_cell0()]
print("ready", file=out, flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    with context.target_cell(admin, mapping) as cell:
        if asked["do"] == "authorize":
            wanted = asked["fields"]["instance_uuid"]
            if not objects.InstanceList.get_by_filters(cell, {"uuid": wanted}):
                objects.Instance(context=cell, uuid=wanted, project_id="p", user_id="u", host="c").create()
            token = objects.ConsoleAuthToken(context=cell, **asked["fields"])
            token.authorize(asked["ttl"])
            answer = {"token": token.token, "access_url": token.access_url, "expires": token.expires}
        elif asked["do"] == "clean_instance":
            answer = objects.ConsoleAuthToken.clean_console_auths_for_instance(cell, asked["instance"])
        else:
            answer = objects.ConsoleAuthToken.clean_expired_console_auths(cell)
    print(json.dumps(answer), file=out, flush=True)
"""
"""Makes the databases as nova-manage does, then does what each line asks for, with Nova's own objects."""


class Nova:
    """A running nova-api.

    :param base_url: its ``[vnc] novncproxy_base_url``
    :ivar url: its address, ``http://10.64.1.1:8774/v2.1``, which Keystone's catalogue has too
    """

    def __init__(self, folder: Path, host: str, keystone: Keystone, base_url: str) -> None:
        self.folder, self.host, self.port = folder, host, _free_port(host)
        self.url = f"http://{host}:{self.port}/v2.1"
        self.base_url = base_url
        self.keystone = keystone
        self._process: subprocess.Popen[bytes] | None = None
        self._helper: subprocess.Popen[str] | None = None
        self._configure()
        self._start_helper()

    # --- the process

    def start(self) -> None:
        """Start it and wait until it answers.

        :raises AssertionError: it does not; the message has its log
        """
        # Nova reads the command line of whatever serves it, so gunicorn has its options from a file.
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [program("python"), "-P", "-m", "gunicorn"], cwd=self.folder,
                env=environment(self.folder, {**self._variables, "PYTHONWARNINGS": "ignore"}),
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        end = time.monotonic() + START_TIMEOUT
        while time.monotonic() < end:
            assert self._process.poll() is None, f"nova-api ended:\n{self.log()}"
            try:
                if requests.get(f"http://{self.host}:{self.port}/", timeout=START_TIMEOUT).status_code == 200:
                    return
            except requests.ConnectionError:
                time.sleep(0.1)
        raise AssertionError(f"nova-api was not there after {START_TIMEOUT} s:\n{self.log()}")

    def stop(self) -> None:
        """End it; its data stay."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        self._process = None

    def close(self) -> None:
        """End all that belongs to it."""
        self.stop()
        if self._helper is not None:
            self._helper.kill()
            self._helper.communicate(timeout=20)

    def pause(self) -> None:
        """Leave it there without an answer to anything."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """The end of that."""
        self._signal(signal.SIGCONT)

    def log(self) -> str:
        """What it has written so far."""
        files = (self.folder / "log", self.folder / "nova-api.log")
        return "".join(file.read_text(errors="replace") for file in files if file.exists())

    def questions(self) -> int:
        """How often it was asked what a token opens."""
        log = self.folder / "nova-api.log"
        return log.read_text(errors="replace").count('"GET /v2.1/os-console-auth-tokens/') if log.exists() else 0

    # --- its tokens

    def authorize(
        self, instance: str, host: str, port: int, *, ttl: int = 600, console_type: str = "novnc", **fields: Any
    ) -> dict[str, Any]:
        """A token, issued by Nova's own object as nova-compute has it issued.

        :param host: ``server_proxyclient_address`` of the compute
        :param fields: further ones of ``ConsoleAuthToken``
        :returns: ``token``, ``access_url`` and ``expires``
        """
        whole = {
            "instance_uuid": instance, "host": host, "port": port, "console_type": console_type,
            "internal_access_path": None, "access_url_base": self.base_url, **fields,
        }  # fmt: skip
        answer: dict[str, Any] = self._objects({"do": "authorize", "ttl": ttl, "fields": whole})
        return answer

    def clean_instance(self, instance: str) -> None:
        """Forget the tokens of an instance, as Nova does when it is deleted or has moved."""
        self._objects({"do": "clean_instance", "instance": instance})

    # --- inside

    @property
    def configuration(self) -> Path:
        """Its nova.conf."""
        return self.folder / "nova.conf"

    @property
    def _variables(self) -> dict[str, str]:
        return {"OS_NOVA_CONFIG_DIR": str(self.folder), "OS_NOVA_CONFIG_FILES": "api-paste.ini;nova.conf"}

    def _configure(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.keystone.add_user(USER, "service", "admin", "service")
        made = self.keystone.call("POST", "/services", {"service": {"type": "compute", "name": "nova"}})
        for interface in ("public", "internal"):
            self.keystone.call(
                "POST",
                "/endpoints",
                {
                    "endpoint": {
                        "service_id": made["service"]["id"], "interface": interface, "url": self.url,
                        "region_id": "RegionOne",
                    }
                },
            )  # fmt: skip
        self.configuration.write_text(
            _CONFIGURATION.format(
                folder=self.folder, host=self.host, keystone=self.keystone, user=USER,
                password=self.keystone.passwords[USER], base_url=self.base_url,
            )
        )  # fmt: skip
        shutil.copy(VENV / "etc" / "nova" / "api-paste.ini", self.folder)
        (self.folder / "gunicorn.conf.py").write_text(_SERVER.format(host=self.host, port=self.port))

    def _objects(self, asked: dict[str, Any]) -> Any:
        objects = self._helper
        assert objects is not None
        assert objects.stdin is not None
        assert objects.stdout is not None
        objects.stdin.write(json.dumps(asked) + "\n")
        objects.stdin.flush()
        line = objects.stdout.readline()
        assert line, (self.folder / "objects.log").read_text()
        return json.loads(line)

    def _start_helper(self) -> None:
        with (self.folder / "objects.log").open("ab") as log:
            self._helper = subprocess.Popen(
                [
                    program("python"), "-P", "-c", _OBJECTS, str(self.configuration),
                    f"sqlite:///{self.folder}/cell1.sqlite", f"sqlite:///{self.folder}/cell0.sqlite",
                ],
                cwd=self.folder, env=environment(self.folder, {"PYTHONWARNINGS": "ignore"}),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
        assert self._helper.stdout is not None
        assert self._helper.stdout.readline() == "ready\n", (self.folder / "objects.log").read_text()

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        for pid in (str(self._process.pid), *children):
            subprocess.run(["kill", f"-{number.value}", pid], check=True)


def _free_port(host: str) -> int:
    with socket.socket() as listening:
        listening.bind((host, 0))
        return int(listening.getsockname()[1])
