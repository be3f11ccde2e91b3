"""What is refused, and how: a real nova-api and the service are asked the same, and say the same.

Only calls that are here are compared. Addresses and methods that it has not Nova answers with the words of libraries
below it, here they are faults too; and a body that is no object gets Nova's 404, here a 400 that says what is wrong.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from tests.openstack.nova import Nova
from tests.service.consoles import PASSWORD, Process

NO_ONE = "11111111-1111-4111-8111-111111111111"
SERVER = f"/servers/{NO_ONE}"
BORDERS = [1, 5, 6, 7, 8, 30, 31, 65, 66, 72, 73, 74, 75, 82, 83, 98, 99, 101, 102, 104]
"""Minor versions on both sides of what the calls here change with."""

TIMEOUT = 120


@dataclass(frozen=True)
class Call:
    """A request, the same for both."""

    method: str
    path: str
    body: str | None = None
    content_type: str = "application/json"


@dataclass(frozen=True)
class Refusal:
    """Status, and the fault's name and words where it is one."""

    status: int
    fault: str = ""
    message: str = ""


class Both:
    """The two, with the users that are the same in both: an administrator and a member."""

    def __init__(self, nova: Nova, service: Process) -> None:
        keystone = nova.keystone
        keystone.add_user("max", "demo", "member")
        basic = {
            name: f"Basic {base64.b64encode(f'{user}:{PASSWORD}'.encode()).decode()}"
            for name, user in (("admin", "ann"), ("member", "max"))
        }
        self._ours = f"http://{service.address}/v2.1", {name: {"Authorization": it} for name, it in basic.items()}
        tokens = {"admin": keystone.token("admin", "admin"), "member": keystone.token("max", "demo")}
        self._novas = nova.url, {name: {"X-Auth-Token": token} for name, token in tokens.items()}
        self._session = requests.Session()
        self._session.trust_env = False

    def answers(self, call: Call, minor: int, who: str) -> tuple[Refusal, Refusal]:
        """Nova's answer, and the service's."""
        novas, ours = (self._ask(url, headers[who], call, minor) for url, headers in (self._novas, self._ours))
        return novas, ours

    def _ask(self, url: str, headers: dict[str, str], call: Call, minor: int) -> Refusal:
        answer = self._session.request(
            call.method, url + call.path, data=call.body, timeout=TIMEOUT, allow_redirects=False,
            headers={**headers, "OpenStack-API-Version": f"compute 2.{minor}", "Content-Type": call.content_type},
        )  # fmt: skip
        if answer.status_code < 400:
            return Refusal(answer.status_code)
        ((fault, said),) = answer.json().items()
        assert said["code"] == answer.status_code
        return Refusal(answer.status_code, fault, said["message"])


@pytest.fixture(scope="module")
def both(judged: Process, local_nova: Nova) -> Both:
    return Both(local_nova, judged)


def same(novas: Refusal, ours: Refusal) -> bool:
    """Whether they are: ours may say more, and has words of its own where Nova only lists what it knows."""
    if (novas.status, novas.fault) != (ours.status, ours.fault):
        return False
    if novas.message.startswith(("Unrecognized value", "The server could not comply")):
        return ours.message != ""
    known, lists, _ = novas.message.partition("query parameters sort_key.")
    return ours.message.startswith(known + lists)


def check(both: Both, calls: list[Call], refused: int, *, who: tuple[str, ...] = ("admin", "member")) -> None:
    """Ask everything at every border.

    :param refused: of these calls so many at least are refused at one border or another: what never is shows nothing
    """
    others, seen = [], set()
    for call in calls:
        for minor in BORDERS:
            for user in who:
                novas, ours = both.answers(call, minor, user)
                if novas.status >= 400:
                    seen.add(call)
                if not same(novas, ours):
                    others.append((f"2.{minor}", user, call, novas, ours))
    assert others == []
    assert len(seen) >= refused


def bodies() -> list[Any]:
    actions = {
        "os-getVNCConsole": "novnc", "os-getSPICEConsole": "spice-html5", "os-getSerialConsole": "serial",
        "os-getRDPConsole": "rdp-html5",
    }  # fmt: skip
    pairs = [
        ("vnc", "novnc"), ("vnc", "serial"), ("spice", "spice-html5"), ("spice", "spice-direct"), ("serial", "serial"),
        ("rdp", "rdp-html5"), ("mks", "webmks"), ("rfb", "novnc"),
    ]  # fmt: skip
    return [
        {}, {"nothing": None}, {"a": 1, "b": 2},
        *({action: {"type": kind}} for action, kind in actions.items()),
        *({action: {"type": "x"}} for action in actions),
        *({action: None} for action in actions),
        {"os-getVNCConsole": {"type": "novnc", "extra": 1}},
        *({"remote_console": {"protocol": protocol, "type": kind}} for protocol, kind in pairs),
        {"remote_console": {"protocol": "vnc", "type": "novnc", "extra": 1}}, {"remote_console": None},
    ]  # fmt: skip


@pytest.mark.parametrize("path", [f"{SERVER}/action", f"{SERVER}/remote-consoles", "/servers/web-1/remote-consoles"])
def test_consoles_of_an_instance_that_does_not_exist(both: Both, path: str) -> None:
    good = json.dumps({"remote_console": {"protocol": "vnc", "type": "novnc"}})
    calls = [Call("POST", path, json.dumps(body)) for body in bodies()]
    calls += [Call("POST", path, text) for text in ("{", "nul", "\0", "")]
    calls += [Call("POST", path, good, kind) for kind in ("text/plain", "application/xml", "text/html", "")]
    check(both, calls, refused=len(calls), who=("admin",))


def test_instances_flavors_and_tokens_that_do_not_exist(both: Both) -> None:
    paths = [SERVER, "/servers/web-1", f"{SERVER}?unknown=1", "/flavors/none", "/flavors/none?unknown=1"]
    check(both, [Call("GET", path) for path in paths], refused=len(paths))
    tokens = ["/os-console-auth-tokens/none", "/os-console-auth-tokens/none?unknown=1"]
    check(both, [Call("GET", path) for path in tokens], refused=len(tokens), who=("admin",))


@pytest.mark.parametrize("collection", ["/servers", "/servers/detail"])
def test_parameters_of_lists_of_servers(both: Both, collection: str) -> None:
    refused = [
        "limit=-1", "limit=x", "limit=", "marker=x", f"marker={NO_ONE}", "status=none", "status=DELETED",
        "all_tenants=x", "all_tenants=1", "sort_key=none", "sort_key=host", "sort_key=reservation_id", "sort_dir=up",
        "sort_key=uuid&sort_dir=asc&sort_dir=asc", "name=%5B", "name=", "ip=%5B", "changes-since=x",
        "changes-since=2026-02-01T00:00:00Z&changes-before=2026-01-01T00:00:00Z", "_x=1", "unknown=1", "locked=x",
        "block_device_mapping=1",
    ]  # fmt: skip
    taken = [
        "", "limit=0", "limit=99999999999", "status=ACTIVE", "all_tenants=0", "host=x", "deleted=x", "locked=true",
        "tags=a",
    ]  # fmt: skip
    check(both, [Call("GET", f"{collection}?{query}") for query in (*refused, *taken)], refused=len(refused))


@pytest.mark.parametrize("collection", ["/flavors", "/flavors/detail"])
def test_parameters_of_lists_of_flavors(both: Both, collection: str) -> None:
    refused = [
        "limit=x", "limit=-1", "marker=none", "minRam=x", "minDisk=x", "is_public=x", "sort_key=none",
        "sort_key=rxtx_factor", "sort_dir=up", "unknown=1", "name=x",
    ]  # fmt: skip
    taken = ["", "limit=0", "minRam=-1", "is_public=none"]
    check(both, [Call("GET", f"{collection}?{query}") for query in (*refused, *taken)], refused=len(refused))
