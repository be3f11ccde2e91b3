"""A service in front of libvirt's test driver, asked at microversions, and Nova's own code to judge what it says.

The service is real, and so are Nova's schemas and its reading of versions: they are those of the package nova from
PyPI, in a process of their own (nova_says.py).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

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


def start(folder: Path) -> tuple[Site, Process]:
    """A site with the two instances, and its service."""
    site = Site(folder)
    node = folder / "node.xml"
    node.write_text(NODE.format(plain=GUEST, novas=NOVAS, image=IMAGE, port=site.vnc.port))
    site.installation.computes = {"c1": f"test://{node}"}
    return site, site.start(**OPTIONS)


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
    message: str = answer.get("badRequest", {}).get("message", "") if isinstance(answer, dict) else ""
    starts = ("Invalid input for ", "Additional properties ")
    ends = (" is a required property", " of type 'object'", " not match any of the regexes: '^_'")
    return message if message.startswith(starts) or message.endswith(ends) else None
