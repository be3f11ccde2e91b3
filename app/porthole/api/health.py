"""For the machines that watch: liveness and readiness. The metrics have a listener of their own."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import Response, jsonify

from porthole.api.services import Services
from porthole.api.spec import Responses

_DRAINING = "This process only keeps its sessions. Another one takes new clients."
_ANSWER = {"type": "object", "properties": {"status": {"type": "string"}}, "required": ["status"]}
_READINESS = {
    "type": "object",
    "properties": {
        "status": {"type": "string", "enum": ["ready", "not ready", "draining"]},
        "reasons": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["status", "reasons"],
}


def _json(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


_HEALTH: Responses = {200: _json("It answers.", _ANSWER)}
_READY: Responses = {200: _json("Ready.", _READINESS), 503: _json("Not ready, and why.", _READINESS)}


def create_blueprint(services: Services) -> APIBlueprint:
    """Make the blueprint. None of its answers names a compute, an instance or a person."""
    health = APIBlueprint("health", __name__, tag="Health")

    @health.get("/healthz")
    @health.doc(operation_id="getHealth", responses=_HEALTH)
    def healthz() -> Response:
        """Whether the process answers

        Nothing else is looked at: a compute that is down is no reason to restart this service.
        """
        return jsonify(status="ok")

    @health.get("/readyz")
    @health.doc(
        operation_id="getReadiness",
        responses=_READY,
    )
    def readyz() -> tuple[Response, int]:
        """Whether requests should be sent here

        Not before each compute has been asked once, and not while none of them can be reached. One that
        is down of several does not matter. A service that drains says so: another one takes new clients.
        One that is ready may have reasons too: what does not work, and would not work elsewhere either, as when
        Keystone cannot be reached.
        """
        if services.is_draining():
            return jsonify(status="draining", reasons=[_DRAINING]), 503
        reasons = [
            reason for reason in (_computes_missing(services), *(check() for check in services.readiness)) if reason
        ]
        if reasons:
            return jsonify(status="not ready", reasons=reasons), 503
        return jsonify(status="ready", reasons=[said for notice in services.notices if (said := notice())]), 200

    return health


def _computes_missing(services: Services) -> str:
    if not services.computes.wait_until_asked(0):
        return "The compute hosts have not all been asked yet."
    status = services.computes.status()
    if status and not any(status.values()):
        return "No compute host can be reached."
    return ""
