"""The OpenAPI 3.1 document: what APIFlask finds in the routes, finished by hand where it has no word for it."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any, cast

from apiflask import APIFlask

from porthole.api.errors import NOVA_FAULTS, PROBLEM_TYPE

Document = dict[str, Any]
Responses = dict[int | str, Any]
"""Responses by status, as APIFlask's ``doc`` takes them."""

OPERATION = "x-porthole-operation"
"""An operation's extension whose keys replace those of the operation itself; it does not stay in the document."""

MICROVERSION_PARAMETER = {
    "name": "OpenStack-API-Version",
    "in": "header",
    "description": "Microversion, for example 'compute 2.6' or 'compute latest'; 2.1 without it.",
    "schema": {"type": "string"},
}

PATH_PARAMETERS = {
    "server_id": "The instance's id, a UUID.",
    "flavor_id": "The flavor's id.",
    "token": "The token of a console's URL.",
    "session_id": "The session's id, 32 hexadecimal digits.",
    "token_id": "The token's id, 32 hexadecimal digits.",
}
"""Descriptions by name."""

SCHEMAS: Document = {
    "Problem": {
        "type": "object",
        "description": "An error (RFC 9457).",
        "properties": {
            "type": {"type": "string", "description": "Address of what the code means."},
            "title": {"type": "string", "description": "The same for every error with this code."},
            "status": {"type": "integer", "description": "The HTTP status."},
            "detail": {"type": "string", "description": "What is wrong, and what would help."},
            "code": {"type": "string", "description": "Tells errors apart; it does not change."},
        },
        "required": ["type", "title", "status", "detail", "code"],
    },
    "NovaFault": {
        "type": "object",
        "description": f"Nova's form of an error. Keys: {', '.join(sorted({*NOVA_FAULTS.values(), 'computeFault'}))}.",
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": {
            "type": "object",
            "properties": {"code": {"type": "integer"}, "message": {"type": "string"}},
            "required": ["code", "message"],
        },
    },
}

SECURITY_SCHEMES: Document = {
    "basic": {"type": "http", "scheme": "basic", "description": "A user name and password of the htpasswd file."},
    "keystone": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Auth-Token",
        "description": "A token of Keystone for a project, where [api] auth_strategy is keystone.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "porthole_session",
        "description": "The browser's sign-in, from POST /v1/session.",
    },
}


def problems(*statuses: int) -> Responses:
    """Responses with a problem of RFC 9457, for APIFlask's ``doc(responses=...)``."""
    return _errors(PROBLEM_TYPE, "Problem", statuses)


def nova_faults(*statuses: int) -> Responses:
    """Responses with Nova's error body."""
    return _errors("application/json", "NovaFault", statuses)


def _errors(content_type: str, schema: str, statuses: tuple[int, ...]) -> Responses:
    content = {content_type: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


def finish(generated: Document) -> Document:
    """APIFlask's document with what it cannot say, in an order that does not change (its ``spec_processor``)."""
    # A copy: parts of the document are shared between operations.
    spec: Document = json.loads(json.dumps(generated))
    components = spec.setdefault("components", {})
    components.setdefault("schemas", {}).update(SCHEMAS)
    components["securitySchemes"] = SECURITY_SCHEMES
    spec["paths"] = dict(sorted(spec["paths"].items()))
    for path, operations in spec["paths"].items():
        for method, operation in operations.items():
            operations[method] = _finished(path, operation)
    return spec


def _finished(path: str, operation: Document) -> Document:
    extra = operation.pop(OPERATION, {})
    parameters = [*operation.get("parameters", []), *extra.pop("parameters", [])]
    if path.startswith("/v2.1"):
        parameters.append(MICROVERSION_PARAMETER)
    if path.startswith(("/v1", "/v2.1")):
        operation["security"] = [{"basic": []}, {"keystone": []}, {"session": []}]
    finished = {**operation, **extra, "parameters": parameters}
    if "requestBody" in finished:
        finished["requestBody"]["required"] = True
    for parameter in parameters:
        if parameter["in"] == "path":
            parameter.setdefault("description", PATH_PARAMETERS[parameter["name"]])
    return finished


def configure(app: APIFlask) -> None:
    """Settings of the generated document."""
    app.config.update(
        OPENAPI_VERSION="3.1.0",
        # The document is the same wherever it comes from, so that the committed one can be compared.
        AUTO_SERVERS=False,
        AUTO_404_RESPONSE=False,
        AUTO_VALIDATION_ERROR_RESPONSE=False,
        AUTO_200_RESPONSE=False,
        VALIDATION_ERROR_STATUS_CODE=400,
        DESCRIPTION=(
            "Consoles of OpenStack Nova and libvirt instances in the browser. /v1 is the service's own API, /v2.1 "
            "the part of Nova's compute API that consoles need."
        ),
    )
    app.spec_processor(cast(Any, finish))
