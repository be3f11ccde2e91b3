"""What the machines that watch are told."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.unit.api.conftest import ADMIN, DB, MEMBER, WEB, Api


def test_it_is_alive_whatever_the_computes_do(api: Api) -> None:
    api.computes.down |= {"compute-a", "compute-b"}
    api.computes.asked = False

    response = api.client.get("/healthz")
    assert (response.status_code, response.get_json()) == (200, {"status": "ok"})


def test_it_is_ready_when_the_computes_have_been_asked(api: Api) -> None:
    response = api.client.get("/readyz")

    assert (response.status_code, response.get_json()) == (200, {"status": "ready", "reasons": []})


def test_one_compute_that_is_down_does_not_take_the_service_away(api: Api) -> None:
    api.computes.down.add("compute-a")

    assert api.client.get("/readyz").status_code == 200


def test_while_the_whole_service_drains_it_says_so_in_a_word(api: Api) -> None:
    api.draining.append(True)
    response = api.client.get("/readyz")

    assert response.status_code == 503
    assert response.get_json()["status"] == "draining"
    assert response.get_json()["reasons"] == ["This process only keeps its sessions. Another one takes new clients."]
    assert api.client.get("/healthz").status_code == 200


def test_it_says_why_it_is_not_ready_and_names_nobody(api: Api) -> None:
    api.computes.down |= {"compute-a", "compute-b"}
    api.readiness.append("The service is being stopped.")
    response = api.client.get("/readyz")

    assert response.status_code == 503
    assert response.get_json() == {
        "status": "not ready",
        "reasons": ["No compute host can be reached.", "The service is being stopped."],
    }
    api.computes.asked = False
    assert "not all been asked" in api.client.get("/readyz").get_json()["reasons"][0]


def test_what_would_not_work_elsewhere_either_is_said_and_takes_nobody_away(api: Api) -> None:
    assert api.client.get("/readyz").get_json() == {"status": "ready", "reasons": []}
    api.notices.append("Keystone cannot be asked.")
    response = api.client.get("/readyz")
    assert response.status_code == 200
    assert response.get_json() == {"status": "ready", "reasons": ["Keystone cannot be asked."]}


def test_the_metrics_are_prometheus_text_without_names(api: Api) -> None:
    token = api.token()
    api.client.post("/v1/consoles", json={"instance": "web-1"}, headers=MEMBER)
    api.client.post("/v1/consoles", json={"instance": DB.id}, headers=ADMIN)
    api.client.get(f"/v2.1/servers/{WEB.id}", headers=ADMIN)
    api.client.get(f"/v2.1/os-console-auth-tokens/{token}", headers=ADMIN)
    api.client.get(f"/{token}?token={token}")
    api.client.open("/healthz", method="X" * 50)

    text = api.metrics.exposition().decode()

    families = {family.name: family for family in text_string_to_metric_families(text)}
    for secret in ("alice", "bob", WEB.id, DB.id, "web-1", "compute-a", "compute-b", "192.0.2.", token, "XXX"):
        assert secret not in text
    routes = {sample.labels["route"] for sample in families["porthole_http_requests"].samples}
    assert routes <= {
        "/v1/consoles", "/v2.1/servers/<server_id>", "/v2.1/os-console-auth-tokens/<token>", "/healthz", "unknown"
    }  # fmt: skip


def test_the_public_listener_has_no_metrics(api: Api) -> None:
    assert api.client.get("/metrics").status_code == 404
    assert "/metrics" not in api.client.get("/openapi.json").get_json()["paths"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/openapi.json"])
def test_none_of_them_asks_for_a_sign_in(api: Api, path: str) -> None:
    assert api.client.get(path).status_code == 200
    assert api.client.head(path).status_code == 200
