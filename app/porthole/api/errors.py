"""The one table of errors: which exception is which HTTP status, code and title.

Below ``/v2.1`` an answer has Nova's body (nova/api/openstack/wsgi.py, ``Fault``),
everywhere else it is a problem of RFC 9457; a browser that opens an address by
itself gets the same words as a short page. Each says what would help. An
exception that is not in the table is our own error: 500 with an id that is in the
log too, and nothing else of it for the client.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from http import HTTPStatus

import structlog
from flask import Flask, Response, g, json, request
from markupsafe import escape
from werkzeug.exceptions import HTTPException

from porthole.api.limits import LockedOut, TooManyRequests, TooManyShares
from porthole.audit import AuditUnavailable
from porthole.auth.errors import CrossSite, Forbidden, IdentityUnavailable, NotAuthenticated, TooBusy, WrongScope
from porthole.compute.errors import (
    ComputeNotAllowed,
    ComputeUnavailable,
    ConsoleTypeUnavailable,
    InstanceAmbiguous,
    InstanceNotFound,
    InstanceNotRunning,
)
from porthole.consoleauth.errors import (
    AuthorityUnavailable,
    TokenExpired,
    TokenInvalid,
    TokenMissing,
    TokenOfAnotherConsole,
    TokenUsed,
)
from porthole.metrics import Metrics
from porthole.proxy.errors import (
    BadUpgrade,
    OriginRefused,
    ServiceStopping,
    SessionLimit,
    TargetInsecure,
    TargetLocked,
    TargetUnreachable,
    TooManySessions,
)
from porthole.proxy.handler import REFUSAL
from porthole.state.sqlite import StoreUnavailable

NOVA_PREFIX = "/v2.1"
PROBLEM_TYPE = "application/problem+json"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Kind:
    """What an exception is over HTTP.

    :ivar status: HTTP status
    :ivar code: slug that programs and the pages tell errors apart by; it never changes
    :ivar title: the same for every error of this kind
    :ivar retry_after: seconds for ``Retry-After``; 0 for none
    :ivar advice: a sentence put after the exception's own text, what would help
    """

    status: int
    code: str
    title: str
    retry_after: int = 0
    advice: str = ""


TABLE: dict[type[Exception], Kind] = {
    NotAuthenticated: Kind(401, "not-authenticated", "Not signed in"),
    Forbidden: Kind(403, "forbidden", "Not allowed"),
    WrongScope: Kind(403, "wrong-scope", "Not a token of a project"),
    CrossSite: Kind(403, "cross-site", "Request from another site"),
    TooBusy: Kind(503, "too-busy", "Too busy to check passwords", retry_after=5),
    IdentityUnavailable: Kind(503, "identity-unavailable", "The identity service cannot be asked", retry_after=5),
    InstanceNotFound: Kind(
        404, "instance-not-found", "No such instance", advice="Check its id or name in the list of instances."
    ),
    InstanceAmbiguous: Kind(409, "instance-ambiguous", "Several instances have this name"),
    InstanceNotRunning: Kind(409, "instance-not-running", "The instance is not running"),
    ConsoleTypeUnavailable: Kind(400, "console-type-unavailable", "No console of this type"),
    ComputeUnavailable: Kind(503, "compute-unavailable", "A compute host cannot be reached", retry_after=5),
    ComputeNotAllowed: Kind(403, "compute-not-allowed", "The compute host may not be connected to"),
    TokenMissing: Kind(403, "token-missing", "The token is missing"),
    TokenExpired: Kind(403, "token-expired", "The console URL has expired"),
    TokenUsed: Kind(403, "token-used", "The console URL has been used"),
    TokenInvalid: Kind(403, "token-invalid", "The console URL is not valid"),
    TokenOfAnotherConsole: Kind(403, "token-other-console", "The URL is for another console"),
    AuthorityUnavailable: Kind(503, "nova-unavailable", "Nova cannot be asked", retry_after=5),
    OriginRefused: Kind(403, "origin-refused", "Page from another site"),
    BadUpgrade: Kind(400, "bad-request", "Not a WebSocket upgrade"),
    TooManySessions: Kind(503, "too-many-sessions", "Too many open consoles", retry_after=10),
    SessionLimit: Kind(429, "session-limit", "Too many open consoles", retry_after=10),
    TooManyRequests: Kind(429, "too-many-requests", "Too many requests", retry_after=60),
    TooManyShares: Kind(429, "share-limit", "Too many share links", retry_after=60),
    LockedOut: Kind(429, "locked-out", "Too many wrong passwords", retry_after=60),
    ServiceStopping: Kind(503, "service-stopping", "The service is being restarted", retry_after=5),
    TargetUnreachable: Kind(503, "compute-unavailable", "The instance's screen cannot be reached", retry_after=5),
    TargetInsecure: Kind(502, "screen-not-secure", "The way to the instance's screen is not secure"),
    TargetLocked: Kind(502, "screen-locked", "The instance's screen is locked by a password"),
    StoreUnavailable: Kind(503, "store-unavailable", "The service cannot reach its records", retry_after=5),
    AuditUnavailable: Kind(503, "audit-unavailable", "The service cannot record", retry_after=5),
}

NOVA_FAULTS = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    409: "conflictingRequest",
    413: "overLimit",
    415: "badMediaType",
    429: "overLimit",
    501: "notImplemented",
    503: "serviceUnavailable",
}
"""nova/api/openstack/wsgi.py, ``Fault._fault_names``; any other status is a ``computeFault``, 406 too."""

_HTTP_CODES = {
    400: "bad-request",
    404: "not-found",
    405: "method-not-allowed",
    406: "not-acceptable",
    408: "request-timeout",
    413: "too-large",
    415: "unsupported-media-type",
}
_HTTP_DETAILS = {
    400: "The request cannot be understood. See /openapi.json for what this service takes.",
    404: "There is nothing at this address. See /openapi.json for the addresses of this service.",
    405: "This address does not take this method; the Allow header names those that it takes.",
    413: "The request's body is too large. No call of this service needs more than 64 KiB.",
    415: "The request's body has to be JSON: send Content-Type: application/json.",
}
_NOVA_DETAILS = {
    400: "The server could not comply with the request since it is either malformed or otherwise incorrect.",
    404: "The resource could not be found.",
}
"""webob's own words, which Nova's answers have where its code says nothing."""


_WITH_WHY = (
    ComputeUnavailable, TargetUnreachable, TargetInsecure, StoreUnavailable, AuditUnavailable, IdentityUnavailable,
    AuthorityUnavailable,
)  # fmt: skip
"""Errors that know more than is said to whoever asks."""


class RequestError(Exception):
    """The request itself is wrong.

    :param status: HTTP status
    :param detail: what is wrong and what would be right; None for the words that belong to the status
    :param code: slug; None for the one that belongs to the status
    """

    def __init__(self, status: int, detail: str | None = None, code: str | None = None) -> None:
        super().__init__(detail or "")
        self.status = status
        self.detail = detail
        self.code = code


@dataclass(frozen=True, slots=True)
class Answer:
    """An error, ready to be written in one of the three forms.

    :ivar instance_id: the instance it is about, where whoever asks has shown that it may know; the console page can
        then wait for it, or ask for a new URL
    """

    kind: Kind
    detail: str
    headers: dict[str, str]
    instance_id: str | None = None


def kind_of(error: BaseException) -> Kind | None:
    """The table's entry for an exception or one of its base classes."""
    return next((TABLE[base] for base in type(error).__mro__ if base in TABLE), None)


def code_of(error: BaseException) -> str:
    """The problem code that an exception is answered with."""
    kind = kind_of(error)
    return kind.code if kind is not None else "internal-error"


def is_nova(path: str) -> bool:
    """Whether the address belongs to Nova's API."""
    return path == NOVA_PREFIX or path.startswith(f"{NOVA_PREFIX}/")


def register(app: Flask, challenge: str, metrics: Metrics) -> None:
    """Let the app answer every exception from the table.

    :param challenge: value of ``WWW-Authenticate``
    """

    @app.before_request
    def refuse_upgrade() -> None:
        """A WebSocket upgrade that the gate refused comes here as an ordinary request."""
        refusal = request.environ.get(REFUSAL)
        if isinstance(refusal, Exception):
            raise refusal

    def handle(error: Exception) -> Response:
        described = _describe(error, challenge)
        if kind_of(error) is not None:
            metrics.refusals.labels(described.kind.code).inc()
        return _render(described)

    app.register_error_handler(HTTPException, handle)
    app.register_error_handler(Exception, handle)


def answer(error: RequestError) -> Response:
    """The response to a request that is wrong in itself."""
    return _render(_describe_other(error, {}))


def _describe(error: Exception, challenge: str) -> Answer:
    headers: dict[str, str] = {}
    if REFUSAL in request.environ:
        headers["Connection"] = "close"
    kind = kind_of(error)
    if kind is None:
        return _describe_other(error, headers)
    detail = f"{error} {kind.advice}".rstrip()
    retry_after = getattr(error, "retry_after", kind.retry_after)
    if retry_after:
        headers["Retry-After"] = str(retry_after)
    if isinstance(error, NotAuthenticated) and "X-Requested-With" not in request.headers:
        # A page's own call must not make the browser open its password window.
        headers["WWW-Authenticate"] = challenge
    if isinstance(error, BadUpgrade) and error.wrong_version:
        kind = Kind(426, kind.code, kind.title)
        headers |= {"Sec-WebSocket-Version": "13", "Upgrade": "websocket", "Connection": "Upgrade, close"}
    if isinstance(error, _WITH_WHY):
        log.warning("request refused", code=kind.code, why=error.why, compute=getattr(error, "compute", None))
    if isinstance(error, ComputeUnavailable) and _asked_by_admin():
        detail = f"{detail} For administrators: compute {error.compute}: {error.why}."
    return Answer(kind, detail, headers, _instance_of(error))


def _instance_of(error: Exception) -> str | None:
    if isinstance(error, TokenExpired | TokenUsed):
        return None if error.shared else error.instance_id
    return error.instance if isinstance(error, InstanceNotRunning) else None


def _describe_other(error: Exception, headers: dict[str, str]) -> Answer:
    nova = is_nova(request.path)
    if isinstance(error, RequestError):
        status, detail, code = error.status, error.detail, error.code
    elif isinstance(error, HTTPException) and error.code is not None and error.code < HTTPStatus.INTERNAL_SERVER_ERROR:
        status, detail, code = error.code, None, None
        allow = dict(error.get_headers()).get("Allow")
        if allow:
            headers["Allow"] = allow
    else:
        status, detail, code = 500, _unexpected(error), "internal-error"
    title = HTTPStatus(status).phrase
    words = (_NOVA_DETAILS.get(status) if nova else None) or _HTTP_DETAILS.get(status) or f"{title}."
    return Answer(Kind(status, code or _HTTP_CODES.get(status, "bad-request"), title), detail or words, headers)


def _unexpected(error: Exception) -> str:
    """Log an error of our own under an id, and say so."""
    error_id = secrets.token_hex(8)
    # The route's pattern, not the path: a path may hold a token, a query or a body more than that.
    route = request.url_rule.rule if request.url_rule else None
    log.error("unexpected error", error_id=error_id, method=request.method, route=route, exc_info=error)
    return (
        "Something went wrong in this service. It is in its log under the error id "
        f"{error_id}; give this id to your administrator."
    )


def _asked_by_admin() -> bool:
    principal = g.get("principal")
    return principal is not None and principal.is_admin


def _render(answer: Answer) -> Response:
    kind = answer.kind
    if is_nova(request.path):
        fault: dict[str, object] = {"code": kind.status, "message": answer.detail}
        if kind.status in (413, 429) and "Retry-After" in answer.headers:
            fault["retryAfter"] = answer.headers["Retry-After"]
        body = json.dumps({NOVA_FAULTS.get(kind.status, "computeFault"): fault})
        response = Response(body, kind.status, mimetype="application/json")
    elif _wants_page():
        response = Response(_page(kind, answer.detail), kind.status, mimetype="text/html")
    else:
        problem: dict[str, object] = {
            "type": f"/problems/{kind.code}",
            "title": kind.title,
            "status": kind.status,
            "detail": answer.detail,
            "code": kind.code,
        }
        if answer.instance_id:
            problem["instance_id"] = answer.instance_id
        response = Response(json.dumps(problem), kind.status, mimetype=PROBLEM_TYPE)
    response.headers.update(answer.headers)
    return response


def _wants_page() -> bool:
    """Whether a browser asks for a page, not one of our scripts or a program."""
    if request.path.startswith("/v1/"):
        return False
    offers = [PROBLEM_TYPE, "application/json", "text/html"]
    return request.accept_mimetypes.best_match(offers, PROBLEM_TYPE) == "text/html"


def _page(kind: Kind, detail: str) -> str:
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(kind.title)}</title>\n<h1>{escape(kind.title)}</h1>\n<p>{escape(detail)}</p>\n"
    )
