"""The OpenAPI document: generated, the same everywhere, and the one that is committed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from porthole.api.openapi import openapi_document
from tests.unit.api.conftest import Api

COMMITTED = Path(__file__).parents[3] / "docs" / "reference" / "openapi.json"


def test_the_committed_document_is_the_generated_one() -> None:
    generated = json.dumps(openapi_document(), indent=2, sort_keys=True) + "\n"

    assert COMMITTED.read_text() == generated, (
        "docs/reference/openapi.json is not what the code says. Look at the difference and, if it is meant, run: "
        "porthole openapi > docs/reference/openapi.json"
    )


def test_the_service_answers_the_same_document(api: Api) -> None:
    for host in ("localhost", "consoles.example.org"):
        response = api.client.get("/openapi.json", headers={"Host": host})
        assert response.get_json() == openapi_document()


def test_every_route_of_the_api_is_in_it(api: Api) -> None:
    rules = {
        re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        for rule in api.client.application.url_map.iter_rules()
        if rule.endpoint.partition(".")[0] in ("v1", "nova", "health")
    }

    assert rules == set(openapi_document()["paths"])


def test_it_is_3_1_and_every_reference_leads_somewhere() -> None:
    document = openapi_document()

    assert document["openapi"].startswith("3.1")
    for name in re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)):
        assert name in document["components"]["schemas"]


def test_every_operation_has_an_id_a_summary_and_its_errors() -> None:
    operations = [op for path in openapi_document()["paths"].values() for op in path.values()]
    ids = [operation["operationId"] for operation in operations]

    assert len(set(ids)) == len(ids)
    for operation in operations:
        assert operation["summary"]
        assert any(status.startswith("2") for status in operation["responses"])
        assert "x-porthole-operation" not in operation


@pytest.mark.parametrize("page", ["/docs", "/redoc", "/docs/oauth2-redirect"])
def test_no_page_that_loads_scripts_from_elsewhere_is_served(api: Api, page: str) -> None:
    assert api.client.get(page).status_code == 404
