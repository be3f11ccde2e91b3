"""Bodies, parameters and answers at every microversion, judged by Nova's own code.

The service is real, its hypervisor is libvirt's test driver. Nova's schemas for requests and for responses, and its
reading of versions, are those of the package nova from PyPI, in a process of their own.
"""

from __future__ import annotations

import http.client
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.openstack.environment import run_python
from tests.service.consoles import Process, Site
from tests.service.vnc import GUEST

VERSIONS = [f"2.{minor}" for minor in range(1, 105)]
NOVAS = "0b000000-0000-4000-8000-00000000000b"
"""An instance as Nova 34 makes one; the other one is a plain domain."""

IMAGE = "155d900f-4e14-4e4c-a73d-069cbf4541e6"
OPTIONS: dict[str, dict[str, object]] = {
    "compute:c1": {"owner_project": "default", "owner_user": "max"},
    "limits": {"api_requests_per_address": 0, "api_requests_per_user": 0},
}

NODE = """\
<node>
<domain type='test'><name>guest</name><uuid>{plain}</uuid><memory>8192</memory><vcpu>1</vcpu>
  <os><type>hvm</type></os><devices><graphics type='vnc' port='{port}' autoport='no'/></devices></domain>
<domain type='test'><name>instance-0000002a</name><uuid>{novas}</uuid>
  <metadata><nova:instance xmlns:nova='http://openstack.org/xmlns/libvirt/nova/1.1'>
    <nova:package version='34.0.0'/><nova:name>web-1</nova:name>
    <nova:creationTime>2026-11-23 18:00:00</nova:creationTime>
    <nova:flavor name='m1.small' id='2'><nova:memory>2048</nova:memory><nova:disk>20</nova:disk>
      <nova:swap>0</nova:swap><nova:ephemeral>0</nova:ephemeral><nova:vcpus>1</nova:vcpus>
      <nova:extraSpecs><nova:extraSpec name='hw:cpu_policy'>shared</nova:extraSpec></nova:extraSpecs></nova:flavor>
    <nova:image uuid='{image}'><nova:properties><nova:property name='hw_disk_bus'>virtio</nova:property>
      </nova:properties></nova:image>
    <nova:owner><nova:user uuid='7c8d'>max</nova:user><nova:project uuid='default'>web</nova:project></nova:owner>
    <nova:root type='image' uuid='{image}'/>
  </nova:instance></metadata>
  <memory>2097152</memory><vcpu>1</vcpu>
  <os><type>hvm</type></os><devices><graphics type='vnc' port='{port}' autoport='no'/></devices></domain>
</node>"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    folder = tmp_path_factory.mktemp("schemas")
    site = Site(folder)
    node = folder / "node.xml"
    node.write_text(NODE.format(plain=GUEST, novas=NOVAS, image=IMAGE, port=site.vnc.port))
    site.installation.computes = {"c1": f"test://{node}"}
    try:
        yield site.start(**OPTIONS)
    finally:
        site.stop()


def ask(service: Process, method: str, path: str, version: str, body: object = None, user: str = "ann") -> Any:
    """Status and body of a call at a microversion."""
    headers = {"OpenStack-API-Version": f"compute {version}"}
    status, answer, _ = service.call(method, f"/v2.1{path}", body, user=user, headers=headers)
    return status, answer


def nova_says(home: Path, questions: list[dict[str, Any]]) -> list[Any]:
    """Nova's answers, in the questions' order."""
    done = run_python(str(Path(__file__).with_name("nova_says.py")), home=home, text=json.dumps(questions))
    assert done.returncode == 0, done.stderr
    answers: list[Any] = json.loads(done.stdout)
    assert len(answers) == len(questions)
    return answers


def question(kind: str, controller: str, method: str, version: str, body: object) -> dict[str, Any]:
    return {"ask": kind, "controller": controller, "method": method, "version": version, "body": body}


def refusal(answer: Any) -> str | None:
    """What a 400 says, when it is one of a schema."""
    message = answer.get("badRequest", {}).get("message", "") if isinstance(answer, dict) else ""
    own = ("Invalid input for ", "Additional properties ", "'unknown' does not match any ")
    return (
        message
        if message.startswith(own) or message.endswith((" is a required property", " of type 'object'"))
        else None
    )


# --- what we answer


@pytest.mark.parametrize("user", ["ann", "max"])
def test_every_answer_at_every_microversion_is_one_that_novas_schema_has(
    service: Process, tmp_path: Path, user: str
) -> None:
    reads = [
        ("servers", "index", "/servers"),
        ("servers", "index", "/servers?limit=1"),
        ("servers", "detail", "/servers/detail"),
        ("servers", "detail", "/servers/detail?limit=1"),
        ("servers", "show", f"/servers/{GUEST}"),
        ("servers", "show", f"/servers/{NOVAS}"),
        ("flavors", "index", "/flavors?limit=1"),
        ("flavors", "detail", "/flavors/detail"),
        ("flavors", "show", "/flavors/2"),
        ("flavors", "show", "/flavors/1-vcpu-8-mib"),
        ("versionsV21", "show", "/"),
    ]
    questions = []
    for version, (controller, method, path) in itertools.product(VERSIONS, reads):
        status, answer = ask(service, "GET", path, version, user=user)
        assert status == 200, (path, version, answer)
        questions.append(question("answer", controller, method, version, answer))

    wrong = [
        (q["version"], q["method"], says)
        for q, says in zip(questions, nova_says(tmp_path, questions), strict=True)
        if says
    ]
    assert wrong == []


def test_consoles_and_what_their_tokens_open_are_too(service: Process, tmp_path: Path) -> None:
    questions = []
    for version in VERSIONS:
        if int(version[2:]) < 6:
            body = {"os-getVNCConsole": {"type": "novnc"}}
            status, answer = ask(service, "POST", f"/servers/{GUEST}/action", version, body)
            method = "get_vnc_console"
        else:
            body = {"remote_console": {"protocol": "vnc", "type": "novnc"}}
            status, answer = ask(service, "POST", f"/servers/{GUEST}/remote-consoles", version, body)
            method = "create"
        assert status == 200, (version, answer)
        questions.append(question("answer", "remote_consoles", method, version, answer))
        if int(version[2:]) >= 31:
            url = answer["remote_console"]["url"]
            status, answer = ask(service, "GET", f"/os-console-auth-tokens/{url.rpartition('%3D')[2]}", version)
            assert status == 200, (version, answer)
            questions.append(question("answer", "console_auth_tokens", "show", version, answer))

    assert [says for says in nova_says(tmp_path, questions) if says] == []


def test_the_list_of_versions_is_one_that_novas_schema_has(service: Process, tmp_path: Path) -> None:
    status, answer, headers = service.call("GET", "/", user=None, headers={"Accept": "application/json"})

    assert (status, headers["Vary"]) == (200, "Accept")
    assert nova_says(tmp_path, [question("answer", "versions", "index", "2.1", answer)]) == [None]
    # Without that header it is the page.
    connection_status, page = page_at_root(service)
    assert connection_status == 200
    assert b"<!doctype html>" in page[:200].lower()


def page_at_root(service: Process) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(service.address, timeout=30)
    try:
        connection.request("GET", "/", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


# --- what we take


def bodies() -> list[Any]:
    """Bodies for ``remote-consoles``: each protocol with each type, and each thing that can be wrong with one."""
    protocols = ["vnc", "spice", "serial", "rdp", "mks", "rfb", "", None, 1, ["vnc"]]
    types = ["novnc", "xvpvnc", "spice-html5", "spice-direct", "serial", "rdp-html5", "webmks", "vnc", "", None, 2]
    pairs = [{"remote_console": {"protocol": p, "type": t}} for p, t in itertools.product(protocols, types)]
    good = {"protocol": "vnc", "type": "novnc"}
    others = [
        {}, {"remote_console": None}, {"remote_console": []}, {"remote_console": {}}, {"console": good},
        {"remote_console": {"protocol": "vnc"}}, {"remote_console": {"type": "novnc"}},
        {"remote_console": {**good, "mode": "view"}}, {"remote_console": good, "extra": 1},
    ]  # fmt: skip
    return [*pairs, *others]


@pytest.mark.parametrize("version", ["2.6", "2.7", "2.8", "2.30", "2.98", "2.99", "2.104"])
def test_a_body_is_refused_where_novas_schema_refuses_it_and_with_its_words(
    service: Process, tmp_path: Path, version: str
) -> None:
    asked = bodies()
    says = nova_says(tmp_path, [question("body", "remote_consoles", "create", version, body) for body in asked])

    assert any(says)
    assert not all(says)
    for body, expected in zip(asked, says, strict=True):
        status, answer = ask(service, "POST", f"/servers/{GUEST}/remote-consoles", version, body)
        assert refusal(answer) == expected, body
        assert status == (200 if body == asked[0] else 400), (body, answer)


@pytest.mark.parametrize(
    ("action", "method"),
    [("os-getVNCConsole", "get_vnc_console"), ("os-getSPICEConsole", "get_spice_console"),
     ("os-getSerialConsole", "get_serial_console")],
)  # fmt: skip
def test_the_same_for_the_actions_until_2_5(service: Process, tmp_path: Path, action: str, method: str) -> None:
    types = ["novnc", "xvpvnc", "spice-html5", "spice-direct", "serial", "", None, 1]
    asked: list[Any] = [{action: {"type": each}} for each in types]
    asked += [{action: None}, {action: {}}, {action: {"type": types[0], "extra": 1}}]
    for version in ("2.1", "2.5"):
        says = nova_says(tmp_path, [question("body", "remote_consoles", method, version, body) for body in asked])
        for body, expected in zip(asked, says, strict=True):
            status, answer = ask(service, "POST", f"/servers/{GUEST}/action", version, body)
            assert refusal(answer) == expected, body
            assert status == (200 if body == {"os-getVNCConsole": {"type": "novnc"}} else 400), (body, answer)


def test_each_way_to_a_console_ends_where_the_other_begins(service: Process) -> None:
    for version in VERSIONS:
        is_new = int(version[2:]) >= 6
        body: dict[str, Any] = {"os-getVNCConsole": {"type": "novnc"}}
        assert ask(service, "POST", f"/servers/{GUEST}/action", version, body)[0] == (404 if is_new else 200)
        body = {"remote_console": {"protocol": "vnc", "type": "novnc"}}
        assert ask(service, "POST", f"/servers/{GUEST}/remote-consoles", version, body)[0] == (200 if is_new else 404)


def parameters() -> list[tuple[str, str]]:
    """Parameters with values that are good for one kind and wrong for another."""
    names = ["name", "limit", "sort_key", "sort_dir", "changes-since", "tags"]
    values = ["1", "[", "asc", "uuid", "vcpus", "locked", "rxtx_factor", "2026-11-23T18:00:00Z", "-1", ""]
    others = [
        "status", "host", "changes-before", "not-tags-any", "locked", "flavor", "image", "uuid", "ip", "ip6",
        "hostname", "config_drive", "unknown", "minRam", "minDisk", "is_public", "availability_zone", "reservation_id",
    ]  # fmt: skip
    return [*itertools.product(names, values), *((name, value) for name in others for value in ("1", "["))]


@pytest.mark.parametrize(
    ("controller", "method", "path"),
    [
        ("servers", "index", "/servers"),
        ("servers", "detail", "/servers/detail"),
        ("servers", "show", f"/servers/{GUEST}"),
        ("flavors", "index", "/flavors"),
        ("flavors", "detail", "/flavors/detail"),
        ("flavors", "show", "/flavors/2"),
        ("console_auth_tokens", "show", "/os-console-auth-tokens/x"),
    ],
)
def test_a_parameter_is_refused_where_novas_schema_refuses_it(
    service: Process, tmp_path: Path, controller: str, method: str, path: str
) -> None:
    versions = ["2.74", "2.75", "2.98", "2.99", "2.101", "2.102"]
    if path == "/servers":
        versions = ["2.1", "2.25", "2.26", "2.65", "2.66", "2.72", "2.73", *versions]
    asked = list(itertools.product(versions, parameters()))
    says = nova_says(
        tmp_path, [question("query", controller, method, version, {name: [value]}) for version, (name, value) in asked]
    )
    for (version, (name, value)), expected in zip(asked, says, strict=True):
        status, answer = ask(service, "GET", f"{path}?{urlencode({name: value})}", version)
        said = refusal(answer)
        # Values that the schema takes and the code behind it does not have words of their own.
        by_schema = said if said is None or " It has to be true or false." not in said else None
        assert (by_schema is None) == (expected is None), (version, name, value, answer, expected)
        assert status == 400 or expected is None
        if expected is not None and not expected.startswith("Invalid input for query parameters sort_key"):
            assert said == expected


# --- versions


def test_the_microversion_of_a_request_is_read_as_nova_reads_it(service: Process, tmp_path: Path) -> None:
    texts = [
        "2.1", "2.6", "2.104", "2.105", "2.0", "1.1", "3.1", "latest", "Latest", "2", "2.", ".1", "2.01", "02.1",
        "2.1.1", "two", "2.-1", "+2.1", "2.1 ", " 2.1", "2. 1", "2.1e1", "", "2.99999", "0.0", "2,1",
    ]  # fmt: skip
    headers = [{"X-OpenStack-Nova-API-Version": text} for text in texts]
    headers += [{"OpenStack-API-Version": f"compute {text}"} for text in texts]
    headers += [{"OpenStack-API-Version": f"placement 1.9, compute {text}"} for text in texts]
    headers += [{"OpenStack-API-Version": f"compute {text}", "X-OpenStack-Nova-API-Version": "2.3"} for text in texts]
    headers += [
        {"OpenStack-API-Version": text} for text in ("compute", "2.6", "nova 2.6", "COMPUTE 2.6", "compute  2.6")
    ]
    headers += [{}]
    says = nova_says(tmp_path, [{"ask": "version", "headers": each} for each in headers])

    assert {"malformed", "beyond", "2.104"} <= set(says)
    for each, expected in zip(headers, says, strict=True):
        status, _, answered = service.call("GET", "/v2.1/servers", user="ann", headers=each)
        assert status == {"malformed": 400, "beyond": 406}.get(expected, 200), (each, expected)
        if status == 200:
            assert answered["OpenStack-API-Version"] == f"compute {expected}", each
            assert answered["X-OpenStack-Nova-API-Version"] == expected
