"""What the ``type`` of a problem leads to: a sentence about each code (RFC 9457, 3.1.1)."""

from __future__ import annotations

from apiflask import APIBlueprint
from flask import Response, abort, jsonify

from porthole.api.errors import TABLE

_TITLES = {kind.code: (kind.status, kind.title) for kind in TABLE.values()}


def create_blueprint() -> APIBlueprint:
    """Make the blueprint."""
    problems = APIBlueprint("problems", __name__, tag="Problems", enable_openapi=False)

    @problems.get("/problems/<code>")
    def show_problem(code: str) -> Response:
        """What a problem's code means."""
        if code not in _TITLES:
            abort(404)
        status, title = _TITLES[code]
        return jsonify(code=code, status=status, title=title)

    return problems
