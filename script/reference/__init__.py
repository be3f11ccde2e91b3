"""The generated pages, docs/reference/ and the READMEs of roles: one function a page, returning its whole text.

A page is made from the code it describes, so it cannot say anything else than the code does.
tests/unit/test_reference.py compares the committed pages with :data:`PAGES`.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable

from porthole import config
from porthole.api.openapi import openapi_document
from reference import commands, limits, nova_options, options, problems, roles

__all__ = ["COMMAND", "PAGES"]

COMMAND = "script/generate_reference"


def _openapi() -> str:
    """As ``porthole openapi`` prints it."""
    return json.dumps(openapi_document(), indent=2, sort_keys=True) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "docs/reference/cli.md": commands.page,
    "docs/reference/limits.md": limits.page,
    "docs/reference/nova-options.md": nova_options.page,
    "docs/reference/openapi.json": _openapi,
    "docs/reference/options.md": options.page,
    "docs/reference/porthole.conf": config.sample,
    "docs/reference/problems.md": problems.page,
    **{f"roles/{name}/README.md": functools.partial(roles.page, name) for name in roles.names()},
}
"""File in the checkout → what makes its text."""
