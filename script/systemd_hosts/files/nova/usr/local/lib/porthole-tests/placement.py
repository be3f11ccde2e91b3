"""Stands in for the Placement service: it says its version, and that it is out of service for all else.

nova-compute starts when it has got the version. What it would report here, no test looks at.
"""

from __future__ import annotations

import http.server
import json

VERSIONS = {
    "versions": [
        {
            "id": "v1.0",
            "status": "CURRENT",
            "min_version": "1.0",
            "max_version": "1.39",
            "links": [{"rel": "self", "href": ""}],
        }
    ]
}


class Placement(http.server.BaseHTTPRequestHandler):
    """One request."""

    def do_GET(self) -> None:
        """Answer."""
        status, body = (200, json.dumps(VERSIONS).encode()) if self.path == "/" else (503, b"{}")
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PUT = do_GET  # noqa: N815 - names that http.server asks for

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("127.0.0.1", 8778), Placement).serve_forever()
