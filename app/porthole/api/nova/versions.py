"""The version documents at ``/`` and ``/v2.1/`` (nova/api/openstack/compute/versions.py); they need no sign-in."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify, request

from porthole.api.nova import microversion


def asks_for_index() -> bool:
    """Whether the current request asks for the document at ``/``, and not for the page that is there.

    A browser wants HTML. An OpenStack client says that it takes JSON; curl, which takes anything, gets the page.
    """
    if request.path != "/" or request.method not in ("GET", "HEAD"):
        return False
    offers = request.accept_mimetypes
    return offers["application/json"] > offers["text/html"]


def index() -> Response:
    """All versions that there are: one."""
    return jsonify(versions=[_version() | {"links": [{"rel": "self", "href": f"{request.host_url}v2.1/"}]}])


def show() -> Response:
    """The one version there is, with its microversions."""
    return jsonify(
        version=_version()
        | {
            "links": [
                {"rel": "self", "href": f"{request.host_url}v2.1/"},
                {"rel": "describedby", "type": "application/json", "href": f"{request.host_url}openapi.json"},
            ],
            "media-types": [{"base": "application/json", "type": "application/vnd.openstack.compute+json;version=2.1"}],
        }
    )


def _version() -> dict[str, Any]:
    return {
        "id": "v2.1",
        "status": "CURRENT",
        "version": str(microversion.MAX),
        "min_version": str(microversion.MIN),
        "updated": "2013-07-23T11:33:21Z",
    }
