"""The OpenAPI document without a running service (``porthole openapi``)."""

from __future__ import annotations

from typing import Any, cast

from porthole.api.app import create_app
from porthole.metrics import Metrics


class _Nothing:
    """Stands for the collaborators while only the routes are read."""

    challenge = ""
    novncproxy_base_url = ""
    vnc_enabled = True


def openapi_document() -> dict[str, Any]:
    """The OpenAPI document, as ``/openapi.json`` answers it; needs no configuration."""
    nothing = cast(Any, _Nothing())
    app = create_app(
        settings=nothing,
        authenticator=nothing,
        sign_ins=nothing,
        computes=nothing,
        console_auth=nothing,
        admission=nothing,
        metrics=Metrics(),
    )
    with app.app_context():
        return cast(dict[str, Any], app.spec)
