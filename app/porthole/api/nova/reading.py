"""The body of a request as Nova reads it (nova/api/openstack/wsgi.py, ``Resource``)."""

from __future__ import annotations

from typing import Any

from flask import json, request

from porthole.api.errors import RequestError

# Nova reads a body without a type, or with text/plain, as JSON.
_CONTENT_TYPES = frozenset({"", "text/plain", "application/json", "application/vnd.openstack.compute+json"})


def read_body() -> Any:
    """The body from JSON; None when it is empty.

    :raises RequestError: 415 for another content type, 400 for what is no JSON
    """
    if request.mimetype not in _CONTENT_TYPES:
        raise RequestError(415, "Unsupported Content-Type")
    data = request.get_data(cache=False)
    if not data:
        return None
    try:
        return json.loads(data)
    except ValueError:
        raise RequestError(400, "Malformed request body") from None
