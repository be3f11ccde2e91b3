"""The version document at ``/v2.1/`` (nova/api/openstack/compute/versions.py); it needs no sign-in."""

from __future__ import annotations

from flask import Response, jsonify, request

from porthole.api.nova import microversion


def show() -> Response:
    """The one version there is, with its microversions."""
    return jsonify(
        version={
            "id": "v2.1",
            "status": "CURRENT",
            "version": str(microversion.MAX),
            "min_version": str(microversion.MIN),
            "updated": "2013-07-23T11:33:21Z",
            "links": [
                {"rel": "self", "href": f"{request.host_url}v2.1/"},
                {"rel": "describedby", "type": "application/json", "href": f"{request.host_url}openapi.json"},
            ],
            "media-types": [{"base": "application/json", "type": "application/vnd.openstack.compute+json;version=2.1"}],
        }
    )
