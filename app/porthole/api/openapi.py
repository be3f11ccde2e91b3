"""The OpenAPI document without a running service (``porthole openapi``)."""

from __future__ import annotations

from typing import Any, cast

from porthole.api.app import create_app
from porthole.api.services import Services
from porthole.audit import Recorder
from porthole.config import AuthStrategy
from porthole.metrics import Metrics


class _Nothing:
    """Stands for the collaborators while only the routes are read."""

    challenge = ""
    strategy = AuthStrategy.HTTP_BASIC
    novncproxy_base_url = ""
    vnc_enabled = True
    frame_ancestors = ()
    api_requests_per_address = api_requests_per_user = failed_sign_ins = lockout_time = 0


def openapi_document() -> dict[str, Any]:
    """The OpenAPI document, as ``/openapi.json`` answers it; needs no configuration."""
    nothing = cast(Any, _Nothing())
    services = Services(
        settings=nothing,
        authenticator=nothing,
        sign_ins=nothing,
        policy=nothing,
        computes=nothing,
        console_auth=nothing,
        admission=nothing,
        records=nothing,
        shares=nothing,
        metrics=Metrics(),
        audit=Recorder(None),
    )
    app = create_app(services)
    with app.app_context():
        return cast(dict[str, Any], app.spec)
