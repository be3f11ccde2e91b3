"""What Nova's own code says: a program for the virtual environment with OpenStack's packages.

It reads one JSON list of questions from standard input and writes one of answers. A question is an object:

``{"ask": "answer", "controller": C, "method": M, "version": V, "body": …}``
    whether a response's body is one that Nova's schema for it has; ``null``, or what is wrong with it
``{"ask": "body", …}`` and ``{"ask": "query", …}``
    the same for a request's body, and for its parameters by name, each a list of values
``{"ask": "version", "headers": {…}}``
    the microversion that these headers ask for, ``"malformed"``, or ``"beyond"``
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from typing import Any

import microversion_parse
from nova import exception
from nova.api.openstack import api_version_request
from nova.api.validation import validators

CONTROLLERS = {
    "servers": "ServersController",
    "flavors": "FlavorsController",
    "remote_consoles": "RemoteConsolesController",
    "console_auth_tokens": "ConsoleAuthTokensController",
    "versions": "Versions",
    "versionsV21": "VersionsController",
}
SCHEMAS = {"answer": "response_body_schemas", "body": "request_body_schemas", "query": "request_query_schemas"}


def schema_of(question: dict[str, Any]) -> Any:
    """The schema at a microversion."""
    module = import_module(f"nova.api.openstack.compute.{question['controller']}")
    method = getattr(getattr(module, CONTROLLERS[question["controller"]]), question["method"])
    wanted = api_version_request.APIVersionRequest(question["version"])
    for schema, first, last in getattr(method, SCHEMAS[question["ask"]])._schemas:
        if wanted.matches(first, last):
            return schema
    raise LookupError(f"Nova has no schema for {question}")


def judge(question: dict[str, Any]) -> str | None:
    """What Nova's validator says of a body, or of parameters; None when it takes them."""
    validator = validators._SchemaValidator(schema_of(question), False, question["ask"] != "query")
    try:
        validator.validate(question["body"])
    except exception.ValidationError as error:
        return str(error.kwargs["detail"])
    return None


def version(headers: dict[str, str]) -> str:
    """nova/api/openstack/wsgi.py, ``Request.set_api_version_request``."""
    asked = microversion_parse.get_version(
        headers, service_type="compute", legacy_headers=["X-OpenStack-Nova-API-Version"]
    )
    if asked is None:
        return str(api_version_request.DEFAULT_API_VERSION)
    if asked == "latest":
        return str(api_version_request.max_api_version().get_string())
    try:
        wanted = api_version_request.APIVersionRequest(asked)
    except exception.InvalidAPIVersionString:
        return "malformed"
    in_range = wanted.matches(api_version_request.min_api_version(), api_version_request.max_api_version())
    return str(wanted.get_string()) if in_range else "beyond"


if __name__ == "__main__":
    json.dump(
        [version(each["headers"]) if each["ask"] == "version" else judge(each) for each in json.load(sys.stdin)],
        sys.stdout,
    )
