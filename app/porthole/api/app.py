"""The Flask application: all of HTTP that is not a WebSocket."""

from __future__ import annotations

import time
from typing import Any, cast

from apiflask import APIFlask
from apiflask.exceptions import _ValidationError
from flask import Blueprint, Request, Response, g, request
from flask.json.provider import DefaultJSONProvider
from pydantic import ValidationError
from werkzeug.exceptions import RequestEntityTooLarge

import porthole
from porthole.api import errors, health, problems, spec
from porthole.api.authenticate import Authentication
from porthole.api.limits import RequestLimit
from porthole.api.nova.blueprint import create_blueprint as create_nova
from porthole.api.sandboxed import answer_frames
from porthole.api.services import Services
from porthole.api.v1.blueprint import create_blueprint as create_v1
from porthole.api.v1.models import describe
from porthole.config import frames
from porthole.metrics import Metrics
from porthole.proxy.handler import ROUTE

MAX_BODY_BYTES = 64 * 1024

_UNKNOWN_ROUTE = "unknown"
_LIMITED = ("/v1/", "/v2.1")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_DEFAULT_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
"""Of every answer that has not set its own, as the pages do."""


class _JSON(DefaultJSONProvider):
    sort_keys = False

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """JSON whose nesting is too deep for Python's parser is malformed, not an error of ours."""
        try:
            return super().loads(s, **kwargs)
        except RecursionError:
            raise ValueError("nested too deeply") from None


class _Request(Request):
    def get_data(self, *args: Any, **kwargs: Any) -> Any:
        """The body. Werkzeug cuts a chunked one off at the limit without a word; here it is too large."""
        data = super().get_data(*args, **kwargs)
        if self.content_length is None and len(data) >= MAX_BODY_BYTES:
            raise RequestEntityTooLarge
        return data


def create_app(services: Services, web: Blueprint | None = None) -> APIFlask:
    """Make the application.

    :param services: what the API works with
    :param web: the blueprint of the pages
    """
    app = _bare_app()
    authentication = Authentication(services)
    _count_requests(app, services.metrics)
    _limit_requests(app, RequestLimit(services.settings.api_requests_per_address, memory=services.memory("addresses")))
    errors.register(app, services.authenticator.challenge, services.metrics)
    app.register_error_handler(_ValidationError, _invalid_body)
    app.register_blueprint(health.create_blueprint(services))
    app.register_blueprint(create_v1(services, authentication))
    app.register_blueprint(create_nova(services, authentication))
    app.register_blueprint(problems.create_blueprint())
    if web is not None:
        app.register_blueprint(web)
    if frames.others(services.settings.frame_ancestors):
        answer_frames(app)
    return app


def _bare_app() -> APIFlask:
    # No docs_path: its page would load scripts from other hosts.
    app = APIFlask(
        "porthole",
        title="Porthole",
        version=porthole.__version__,
        docs_path=None,
        json_errors=False,
        static_folder=cast(Any, None),
    )
    app.json = _JSON(app)
    app.request_class = _Request
    app.config.update(MAX_CONTENT_LENGTH=MAX_BODY_BYTES, MAX_FORM_PARTS=1, MAX_FORM_MEMORY_SIZE=MAX_BODY_BYTES)
    # No address is ever answered with a redirection, so none can be bent to another host (CVE-2021-3654).
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.url_map.redirect_defaults = False
    spec.configure(app)

    @app.after_request
    def add_headers(response: Response) -> Response:
        for name, value in _DEFAULT_HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    return app


def _count_requests(app: APIFlask, metrics: Metrics) -> None:
    @app.before_request
    def start() -> None:
        g.started = time.monotonic()
        # The pattern is what the access log and the metrics show: a path may hold a token.
        request.environ[ROUTE] = request.url_rule.rule if request.url_rule else _UNKNOWN_ROUTE

    @app.after_request
    def count(response: Response) -> Response:
        route = request.environ.get(ROUTE, _UNKNOWN_ROUTE)
        method = request.method if request.method in _METHODS else "other"
        metrics.http_requests.labels(route, method, str(response.status_code)).inc()
        metrics.http_seconds.labels(route).observe(time.monotonic() - g.get("started", time.monotonic()))
        return response


def _limit_requests(app: APIFlask, limit: RequestLimit) -> None:
    @app.before_request
    def limit_requests() -> None:
        """Of the API alone: pages and health checks cost little."""
        if request.path.startswith(_LIMITED):
            limit.take(request.remote_addr or "")


def _invalid_body(error: _ValidationError) -> Response:
    """APIFlask's error for a body that its model does not take."""
    cause = error.__cause__
    detail = describe(cause) if isinstance(cause, ValidationError) else None
    return errors.answer(errors.RequestError(400, detail))
