"""The whole API in one process: real users, keys, tokens, store and admission; only the compute hosts are made up."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from porthole.api.app import create_app
from porthole.api.errors import code_of
from porthole.api.services import Services
from porthole.auth.htpasswd import HtpasswdAuthenticator
from porthole.auth.policy import Policy
from porthole.auth.signin import SignIns
from porthole.auth.users import add_user
from porthole.compute.errors import (
    ComputeUnavailable,
    ConsoleTypeUnavailable,
    InstanceAmbiguous,
    InstanceNotFound,
    InstanceNotRunning,
)
from porthole.compute.model import ConnectInfo, Instance, Listing, PowerState
from porthole.config import AuthScheme, TokenAuthority
from porthole.consoleauth.keys import KeyRing
from porthole.consoleauth.tokens import ConsoleAuth
from porthole.metrics import Metrics
from porthole.proxy.origin import OriginPolicy
from porthole.proxy.rfb.policy import SecurityPolicy
from porthole.sessions.admission import Admission
from porthole.sessions.records import Lifetime, Records
from porthole.sessions.registry import OwnPlaces, Sessions
from porthole.state.sessions import SessionTable
from porthole.state.shares import ShareTable
from porthole.state.sqlite import SqliteStore
from porthole.state.verdict import SessionLimits
from tests.unit.audited import Audited

PASSWORD = "a good password"
BASE_URL = "http://consoles.example.org:6080/vnc_auto.html"
ORIGIN = "http://consoles.example.org:6080"
HOST_ORIGIN = "http://localhost"
"""The test client's own Host."""

WEB = Instance(
    "11111111-1111-4111-8111-111111111111", "web-1", "compute-a", PowerState.RUNNING, "instance-00000001", "default"
)
DB = Instance(
    "22222222-2222-4222-8222-222222222222", "db-1", "compute-b", PowerState.SHUTDOWN, "instance-00000002", "default"
)
TWIN_A = Instance(
    "33333333-3333-4333-8333-333333333333", "twin", "compute-a", PowerState.PAUSED, "instance-00000003", "default"
)
TWIN_B = Instance(
    "44444444-4444-4444-8444-444444444444", "twin", "compute-b", PowerState.RUNNING, "instance-00000004", "default"
)
NO_ONE = "99999999-9999-4999-8999-999999999999"


@dataclass
class MadeUpComputes:
    """Two compute hosts in memory, with the interface of ``porthole.compute.computes.Computes``.

    Unit tests need no libvirt; the integration tests have the real thing.

    :ivar headless: ids of running instances without a VNC display
    :ivar down: names of the computes that do not answer
    :ivar broken: raised by every call, when set
    :ivar look_ups: how many instances were looked for that no memory shows whoever asks
    :ivar before_the_connect: called when the address of a VNC server is asked for
    """

    instances: list[Instance] = field(default_factory=lambda: [WEB, DB, TWIN_A, TWIN_B])
    headless: set[str] = field(default_factory=set)
    down: set[str] = field(default_factory=set)
    asked: bool = True
    broken: Exception | None = None
    look_ups: int = 0
    before_the_connect: Callable[[], None] = lambda: None

    def wait_until_asked(self, timeout: float) -> bool:
        return self.asked

    def status(self) -> dict[str, bool]:
        return {name: name not in self.down for name in ("compute-a", "compute-b")}

    def listing(self) -> Listing:
        if self.broken:
            raise self.broken
        return Listing(tuple(sorted(self.instances, key=lambda i: (i.name, i.id))), tuple(sorted(self.down)))

    def find(self, id_or_name: str, may_see: Callable[[Instance], bool] = lambda _: True) -> Instance:
        if self.broken:
            raise self.broken
        seen = [i for i in self.instances if may_see(i)]
        found = [i for i in seen if i.id == id_or_name.lower()]
        found = found or [i for i in seen if i.name == id_or_name]
        if not found:
            self.look_ups += 1
            self._unless_down(*self.down)
            raise InstanceNotFound(id_or_name)
        if len(found) > 1:
            raise InstanceAmbiguous(id_or_name, tuple(sorted(i.id for i in found)))
        return found[0]

    def connect_info(
        self, instance_id: str, may_see: Callable[[Instance], bool] = lambda _: True, *, with_password: bool = False
    ) -> ConnectInfo:
        self.before_the_connect()
        instance = self.find(instance_id, may_see)
        self._unless_down(instance.compute)
        if not instance.state.has_guest:
            raise InstanceNotRunning(instance.id, instance.state)
        if instance.id in self.headless:
            raise ConsoleTypeUnavailable("novnc", "The instance has no VNC display.")
        return ConnectInfo(instance, "192.0.2.11", 5901, 7, SecurityPolicy((AuthScheme.NONE,), "compute-a"))

    def power_state(self, instance_id: str) -> PowerState | None:
        return self.find(instance_id).state

    def _unless_down(self, *names: str) -> None:
        for name in names:
            if name in self.down:
                raise ComputeUnavailable(name, "timed out after 3 s")


class Clock:
    """The real time plus what a test adds."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@dataclass
class ApiSettings:
    """The settings the API looks at, and what the policy file has."""

    novncproxy_base_url: str = BASE_URL
    vnc_enabled: bool = True
    frame_ancestors: tuple[str, ...] = ("'self'",)
    api_requests_per_address: int = 0
    api_requests_per_user: int = 0
    failed_sign_ins: int = 0
    lockout_time: int = 900
    token_authority: tuple[TokenAuthority, ...] = (TokenAuthority.PORTHOLE,)
    token_uses: int = 1
    share_ttl: int = 3600
    share_ttl_max: int = 86400
    shares_per_user: int = 100
    lifetime: Lifetime = field(default_factory=Lifetime)
    rules: str = ""


@dataclass
class Api:
    """The application with everything it was made of."""

    client: FlaskClient
    computes: MadeUpComputes
    console_auth: ConsoleAuth
    store: SqliteStore
    metrics: Metrics
    settings: ApiSettings
    clock: Clock
    users: Path
    roles: Path
    readiness: list[str]
    notices: list[str]
    records: Records
    audited: Audited
    draining: list[bool]

    def token(self, instance: Instance = WEB, user: str = "bob") -> str:
        """A good console token."""
        return self.console_auth.authorize(
            instance_id=instance.id, console_type="novnc", user_id=user, project_id="default"
        ).token


def basic(user: str, password: str = PASSWORD) -> dict[str, str]:
    """The header of http_basic."""
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def nova(user: str, version: str | None = None) -> dict[str, str]:
    """The headers of an OpenStack client."""
    return basic(user) | ({"OpenStack-API-Version": f"compute {version}"} if version else {})


def get_nova(client: FlaskClient, path: str, user: str = "carol", version: str | None = None) -> Any:
    """What a GET below ``/v2.1`` is answered with; it has to succeed."""
    response = client.get(f"/v2.1{path}", headers=nova(user, version))
    assert response.status_code == 200, response.text
    return response.get_json()


ADMIN, MEMBER, READER = basic("alice"), basic("bob"), basic("carol")


@pytest.fixture(scope="session")
def user_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The text of a user file and a role file: alice (admin), bob (member), carol (reader), dave (no role)."""
    folder = tmp_path_factory.mktemp("users")
    users, roles = folder / "htpasswd", folder / "roles"
    for name, role in (("alice", "admin"), ("bob", "member"), ("carol", "reader"), ("dave", "reader")):
        add_user(users, roles, name, PASSWORD, role, cost=4)
    return users.read_text(), roles.read_text().replace(" dave", "")


@pytest.fixture
def api(tmp_path: Path, user_files: tuple[str, str], request: pytest.FixtureRequest) -> Iterator[Api]:
    """A fresh application; its parameter, if it has one, is the settings."""
    users, roles = tmp_path / "htpasswd", tmp_path / "roles"
    users.write_text(user_files[0])
    roles.write_text(user_files[1])
    clock, computes, metrics = Clock(), MadeUpComputes(), Metrics()
    settings: ApiSettings = getattr(request, "param", None) or ApiSettings()
    keys, store = KeyRing((b"k" * 32,)), SqliteStore(tmp_path / "store.sqlite", clock)
    store.open()
    authenticator = HtpasswdAuthenticator(users, roles, "default")
    console_auth = ConsoleAuth(keys, store, 600, clock, takes_shares=settings.share_ttl_max > 0)
    records = Records(SessionTable(store, 60), settings.token_uses, SessionLimits(), settings.lifetime)
    audited = Audited(tmp_path, clock)
    policy_file = tmp_path / "policy.yaml"
    policy_file.write_text(settings.rules)
    policy = Policy(policy_file)
    admission = Admission(
        console_auth=console_auth,
        find_principal=authenticator.holder,
        policy=policy,
        instances=computes,
        sessions=Sessions(OwnPlaces(10), metrics, records, audited.recorder),
        origins=OriginPolicy(BASE_URL, ()),
        connect_timeout=1.0,
        vnc_tls=None,
        looks_at_input=False,
        code_of=code_of,
    )
    readiness: list[str] = []
    notices: list[str] = []
    draining: list[bool] = []
    services = Services(
        settings=settings,
        authenticator=authenticator,
        sign_ins=SignIns(keys, store, clock=clock),
        policy=policy,
        computes=computes,
        console_auth=console_auth,
        admission=admission,
        records=records,
        shares=ShareTable(store),
        metrics=metrics,
        audit=audited.recorder,
        readiness=[lambda: " ".join(readiness)],
        notices=[lambda: " ".join(notices)],
        is_draining=lambda: any(draining),
    )
    yield Api(
        create_app(services).test_client(), computes, console_auth, store, metrics, settings, clock, users, roles,
        readiness, notices, records, audited, draining,
    )  # fmt: skip
    audited.recorder.close()
    authenticator.close()
    store.close()


@pytest.fixture
def client(api: Api) -> FlaskClient:
    """The test client of the fresh application."""
    return api.client
