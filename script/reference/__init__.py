"""The generated pages of docs/reference/: one function a page, each returning the page's whole text.

A page is made from the code it describes, so it cannot say anything else than the code does.
tests/unit/test_reference.py compares the committed pages with :data:`PAGES`.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from porthole import config
from porthole.api.openapi import openapi_document
from reference import commands, limits, options, problems

__all__ = ["COMMAND", "FOLDER", "PAGES"]

COMMAND = "script/generate_reference"
FOLDER = "docs/reference"


def _openapi() -> str:
    """As ``porthole openapi`` prints it."""
    return json.dumps(openapi_document(), indent=2, sort_keys=True) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "cli.md": commands.page,
    "limits.md": limits.page,
    "openapi.json": _openapi,
    "options.md": options.page,
    "porthole.conf": config.sample,
    "problems.md": problems.page,
}
"""File name in :data:`FOLDER` → what makes its text."""
