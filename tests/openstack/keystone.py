"""A real Keystone, PyPI's, on SQLite: as many as a test likes, each in a folder of its own."""

from __future__ import annotations

import base64
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests

from tests.openstack.environment import environment, program, run_python

START_TIMEOUT = 120
"""Seconds; it takes two on a machine that is not busy."""

ANSWER_TIMEOUT = 60

REGION = "RegionOne"

_CONFIGURATION = """\
[DEFAULT]
log_file = {folder}/keystone.log
[database]
connection = sqlite:///{folder}/keystone.sqlite
[fernet_tokens]
key_repository = {folder}/fernet
[fernet_receipts]
key_repository = {folder}/fernet
[credential]
key_repository = {folder}/credential
[identity]
# bcrypt's least, so that tests are quick.
password_hash_rounds = 4
[cache]
enabled = false
[oslo_policy]
enforce_scope = true
"""


_SERVER = """\
wsgi_app = "keystone.wsgi.api:application"
bind = "{host}:{port}"
workers = 1
worker_class = "gthread"
threads = 8
timeout = 300
"""


class Keystone:
    """A running Keystone.

    :ivar url: its address, ``http://10.64.1.1:35357/v3``
    :ivar passwords: of the users, by name; ``admin`` is there from the start
    :ivar log_file: what it has written
    """

    def __init__(self, folder: Path, host: str) -> None:
        self.folder = folder
        self.host, self.port = host, _free_port(host)
        self.url = f"http://{host}:{self.port}/v3"
        self.log_file = folder / "log"
        self.passwords = {"admin": secrets.token_urlsafe(12)}
        self._process: subprocess.Popen[bytes] | None = None
        self._token = ""
        self._ids: dict[tuple[str, str], str] = {}
        self._configure()

    # --- the process

    def start(self) -> None:
        """Start it and wait until it answers.

        :raises AssertionError: it does not; the message has its log
        """
        # Keystone reads the command line of whatever serves it, so gunicorn has its options from a file.
        argv = [program("python"), "-P", "-m", "gunicorn"]
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                argv, cwd=self.folder, env=environment(self.folder, self._variables),
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def _wait(self) -> None:
        assert self._process is not None
        end = time.monotonic() + START_TIMEOUT
        while time.monotonic() < end:
            assert self._process.poll() is None, f"Keystone ended:\n{self.log()}"
            try:
                if requests.get(self.url, timeout=START_TIMEOUT).status_code == 200:
                    return
            except requests.ConnectionError:
                time.sleep(0.05)
        raise AssertionError(f"Keystone was not there after {START_TIMEOUT} s:\n{self.log()}")

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

    def pause(self) -> None:
        """Leave it there without an answer to anything, as a machine that has lost its network would."""
        for pid in self._pids():
            subprocess.run(["kill", "-STOP", str(pid)], check=True)

    def go_on(self) -> None:
        """The end of that."""
        for pid in self._pids():
            subprocess.run(["kill", "-CONT", str(pid)], check=True)

    def log(self) -> str:
        """What it has written so far."""
        files = (self.log_file, self.folder / "keystone.log")
        return "".join(file.read_text(errors="replace") for file in files if file.exists())

    # --- who there is

    def add_project(self, name: str, domain: str = "default") -> str:
        """A project, by its id; the same for a name that is there."""
        return self._add("project", name, {"domain_id": domain})

    def add_domain(self, name: str) -> str:
        """A domain, by its id."""
        return self._add("domain", name, {})

    def add_user(
        self, name: str, project: str, *roles: str, domain: str = "default", default_project: bool = False
    ) -> str:
        """A user with roles in a project; returns the user's id.

        :param domain: id of the user's domain
        :param default_project: whether the user's tokens are for the project when no other is asked for
        """
        self.passwords.setdefault(name, secrets.token_urlsafe(12))
        project_id = self.add_project(project)
        more = {"default_project_id": project_id} if default_project else {}
        user = self._add("user", name, {"domain_id": domain, "password": self.passwords[name], **more})
        for role in roles:
            self.call("PUT", f"/projects/{project_id}/users/{user}/roles/{self.role(role)}")
        return user

    def add_role(self, user: str, project: str, role: str) -> None:
        """Give a user a role."""
        ids = self._ids["project", project], self._ids["user", user], self.role(role)
        self.call("PUT", "/projects/{}/users/{}/roles/{}".format(*ids))

    def remove_role(self, user: str, project: str, role: str) -> None:
        """Take a role from a user; Keystone revokes the user's tokens with it."""
        ids = self._ids["project", project], self._ids["user", user], self.role(role)
        self.call("DELETE", "/projects/{}/users/{}/roles/{}".format(*ids))

    def role(self, name: str) -> str:
        """A role's id."""
        if ("role", name) not in self._ids:
            (found,) = self.call("GET", f"/roles?name={name}")["roles"]
            self._ids["role", name] = str(found["id"])
        return self._ids["role", name]

    def scope(self, project: str, domain: str = "default") -> dict[str, Any]:
        """The scope of a project's token."""
        return {"project": {"name": project, "domain": {"id": domain}}}

    def token(self, user: str, scope: Mapping[str, Any] | str | None, domain: str = "default") -> str:
        """A new token: of a project by its name, of another scope, or unscoped."""
        who = {"name": user, "domain": {"id": domain}, "password": self.passwords[user]}
        auth: dict[str, Any] = {"identity": {"methods": ["password"], "password": {"user": who}}}
        auth["scope"] = "unscoped" if scope is None else self.scope(scope) if isinstance(scope, str) else scope
        answer = requests.post(f"{self.url}/auth/tokens", json={"auth": auth}, timeout=ANSWER_TIMEOUT)
        assert answer.status_code == 201, answer.text
        return answer.headers["X-Subject-Token"]

    def is_good(self, token: str) -> bool:
        """Whether Keystone still takes a token."""
        headers = {"X-Auth-Token": token, "X-Subject-Token": token}
        return requests.get(f"{self.url}/auth/tokens", headers=headers, timeout=ANSWER_TIMEOUT).status_code == 200

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """A call as the administrator; its JSON."""
        if not self._token:
            self._token = self.token("admin", "admin")
        answer = requests.request(
            method, self.url + path, json=body, headers={"X-Auth-Token": self._token}, timeout=ANSWER_TIMEOUT
        )
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def variables(self, user: str, project: str) -> dict[str, str]:
        """With which ``openstack`` is this user in this project."""
        return {
            "OS_AUTH_TYPE": "password",
            "OS_AUTH_URL": self.url,
            "OS_IDENTITY_API_VERSION": "3",
            "OS_USERNAME": user,
            "OS_PASSWORD": self.passwords[user],
            "OS_PROJECT_NAME": project,
            "OS_USER_DOMAIN_ID": "default",
            "OS_PROJECT_DOMAIN_ID": "default",
            "OS_REGION_NAME": REGION,
        }

    # --- inside

    @property
    def _variables(self) -> dict[str, str]:
        return {"OS_KEYSTONE_CONFIG_FILES": str(self.folder / "keystone.conf"), "PYTHONWARNINGS": "ignore"}

    def _configure(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in ("fernet", "credential"):
            keys = self.folder / name
            keys.mkdir(mode=0o700)
            for number in "01":  # as keystone-manage makes them, which takes seconds
                (keys / number).write_bytes(base64.urlsafe_b64encode(secrets.token_bytes(32)))
        (self.folder / "keystone.conf").write_text(_CONFIGURATION.format(folder=self.folder))
        (self.folder / "gunicorn.conf.py").write_text(_SERVER.format(host=self.host, port=self.port))
        urls = [f"--bootstrap-{interface}-url={self.url}" for interface in ("public", "internal", "admin")]
        for arguments in (
            ["db_sync"],
            ["bootstrap", f"--bootstrap-region-id={REGION}", *urls],
        ):
            done = run_python(
                program("keystone-manage"), "--config-file", str(self.folder / "keystone.conf"), *arguments,
                home=self.folder,
                more={**self._variables, "OS_BOOTSTRAP_PASSWORD": self.passwords["admin"]},
            )  # fmt: skip
            assert done.returncode == 0, f"keystone-manage {arguments[0]}:\n{done.stderr}"

    def _pids(self) -> list[int]:
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        return [self._process.pid, *map(int, children)]

    def _add(self, kind: str, name: str, values: Mapping[str, Any]) -> str:
        if (kind, name) not in self._ids:
            made = self.call("POST", f"/{kind}s", {kind: {"name": name, **values}})
            self._ids[kind, name] = str(made[kind]["id"])
        return self._ids[kind, name]


def _free_port(host: str) -> int:
    with socket.socket() as listening:
        listening.bind((host, 0))
        return int(listening.getsockname()[1])
