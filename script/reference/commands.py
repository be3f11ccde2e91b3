"""cli.md: what ``porthole`` and each of its commands say with ``--help``."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from unittest import mock

from porthole import cli
from reference import markdown

_WIDTH = "100"
"""Columns; argparse takes them from the environment."""

_INTRODUCTION = """\
# Commands

Every command ends with status 0, with 1 after an error that it tells in a sentence on standard error, and with 2 when
its arguments are not understood.
"""


def page() -> str:
    """The whole page."""
    parts = [markdown.NOTICE, _INTRODUCTION]
    with mock.patch.dict(os.environ, {"COLUMNS": _WIDTH, "NO_COLOR": "1"}):
        for name, parser in _commands("porthole", cli._parser()):
            parts.append(f"## {name}\n\n```\n{parser.format_help()}```\n")
    return "\n".join(parts)


def _commands(name: str, parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """The parser and all those below it."""
    yield name, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, below in action.choices.items():
                yield from _commands(f"{name} {word}", below)
