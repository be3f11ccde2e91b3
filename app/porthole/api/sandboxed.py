"""The console page in a frame without an origin: what it may ask.

A frame that is sandboxed without ``allow-same-origin`` has the origin ``null``, and what its scripts fetch from
the page's own host is a request to another site (HTML Standard, "sandboxed origin"). The console page asks one
thing, whether its token is good. The token is in the body and is all the proof there is, so this may be answered to
any page that has one. No answer allows credentials: what a cookie opens stays closed.
"""

from __future__ import annotations

from flask import Flask, Response, request

PATH = "/v1/consoles/check"
ORIGIN = "null"

_PREFLIGHT = {
    "Access-Control-Allow-Methods": "POST",
    "Access-Control-Allow-Headers": "content-type, x-requested-with",
    "Access-Control-Max-Age": "600",
}


def answer_frames(app: Flask) -> None:
    """Let pages without an origin read the answers of :data:`PATH` (Fetch Standard 3.3, CORS)."""

    @app.after_request
    def add_headers(response: Response) -> Response:
        if request.path == PATH and request.headers.get("Origin") == ORIGIN:
            response.headers["Access-Control-Allow-Origin"] = ORIGIN
            response.headers.add("Vary", "Origin")
            if request.method == "OPTIONS":
                response.headers.update(_PREFLIGHT)
        return response
