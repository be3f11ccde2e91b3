"""What the documents tell people to write, for tests that do it word for word."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1] / "docs"

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str, language: str) -> list[str]:
    """The blocks of one language on a page.

    :param page: below ``docs``
    """
    text = (DOCS / page).read_text(encoding="utf-8")
    return [block for its, block in _BLOCK.findall(text) if its == language]


def replaced(text: str, changes: dict[str, str]) -> str:
    """The text with what has to be different in a test; each of it has to be there."""
    for before, after in changes.items():
        assert before in text, f"the page has no {before!r} any more"
        text = text.replace(before, after)
    return text


def ini(text: str) -> dict[str, dict[str, str]]:
    """A block of a configuration file: options by section."""
    parser = configparser.ConfigParser(interpolation=None, default_section="-")
    parser.read_string(text)
    return {section: dict(parser[section]) for section in parser.sections()}
