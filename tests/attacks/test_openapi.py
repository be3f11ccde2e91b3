"""The whole OpenAPI document against the running service, with libvirt behind it: what it says is what happens.

schemathesis makes requests of the document, good ones and bad ones, the same in each run. No answer is a 5xx, and each
has a status, a content type and a body that the document names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from porthole.api.openapi import openapi_document
from tests.hosts import ComputeHost, Guest, Network
from tests.service import Appliance

WHO = {"administrator": "ann", "member": "max", "nobody": None}
EXAMPLES = 8
"""Requests of each operation for each of :data:`WHO`, beside those of the document's own examples."""

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]

document = schemathesis.openapi.from_dict(openapi_document())


@pytest.fixture(scope="module")
def guest(computes: tuple[ComputeHost, ComputeHost]) -> Iterator[Guest]:
    yield computes[0].start_guest("web-1")
    for host in computes:
        host.remove_guests()


@pytest.fixture(scope="module")
def appliance(
    network: Network, computes: tuple[ComputeHost, ComputeHost], guest: Guest, novnc: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Appliance]:  # fmt: skip
    appliance = Appliance(
        tmp_path_factory.mktemp("openapi"),
        network.appliance,
        network.appliance_ip,
        computes,
        port=6330,
        options={"limits": {"failed_sign_ins": 0}},
    )
    appliance.start()
    yield appliance
    assert not appliance.log_lines("unexpected error")
    assert not appliance.log_lines("request failed")
    assert not appliance.log_lines("unhandled error")
    appliance.stop()


def test_the_document_that_is_served_is_the_one_that_is_checked_here(appliance: Appliance) -> None:
    assert appliance.call("GET", "/openapi.json", None).json() == openapi_document()


@pytest.mark.parametrize("who", WHO)
@document.parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
def test_what_the_document_says_is_what_happens(case: schemathesis.Case[Any], who: str, appliance: Appliance) -> None:
    session = requests.Session()
    user = WHO[who]
    if user is not None:
        session.auth = (user, appliance.passwords[user])
    answer = case.call(base_url=appliance.url, session=session, timeout=15, allow_redirects=False)
    case.validate_response(answer, checks=CHECKS)


@pytest.mark.parametrize("who", ["administrator", "member"])
def test_each_operation_about_an_instance_says_so_of_a_real_one_too(
    appliance: Appliance, guest: Guest, who: str, eventually: Callable[[Callable[[], object]], None]
) -> None:
    user = WHO[who]
    eventually(lambda: appliance.call("GET", "/v1/instances", user).json()["instances"])
    sent: dict[tuple[str, str], dict[str, Any]] = {
        ("/v1/consoles", "POST"): {"json": {"instance": guest.uuid}},
        ("/v1/instances", "GET"): {},
        ("/v2.1/servers", "GET"): {},
        ("/v2.1/servers/detail", "GET"): {},
        ("/v2.1/flavors", "GET"): {},
        ("/v2.1/flavors/detail", "GET"): {},
        ("/v2.1/servers/{server_id}", "GET"): {},
        ("/v2.1/servers/{server_id}/action", "POST"): {"json": {"os-getVNCConsole": {"type": "novnc"}}},
    }
    for (path, method), body in sent.items():
        answer = appliance.call(method, path.format(server_id=guest.uuid), user, **body)
        assert answer.status_code in (200, 201), answer.text
        document[path][method].validate_response(answer)
