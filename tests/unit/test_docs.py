"""The documentation: every link leads somewhere, and every page is found from its index."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
DOCS = CHECKOUT / "docs"
INDEX = DOCS / "README.md"
PAGES = [CHECKOUT / "README.md", *sorted(DOCS.rglob("*.md"))]

_FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\[[^]]*\]\(\s*<?([^)>\s]+)>?(?:\s+\"[^\"]*\")?\s*\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)


def links(page: Path) -> Iterator[str]:
    """The targets of a page's links and images, without those that leave the checkout."""
    text = _CODE.sub("", _FENCE.sub("", page.read_text(encoding="utf-8")))
    for target in _LINK.findall(text):
        if not urllib.parse.urlsplit(target).scheme:
            yield target


def anchors(page: Path) -> set[str]:
    """The names of a page's headings, as they are linked to: lower case, hyphens for spaces, no punctuation."""
    headings = _HEADING.findall(_FENCE.sub("", page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / urllib.parse.unquote(path)).resolve() if path else page
        is_good = target.is_relative_to(CHECKOUT) and target.exists()
        if is_good and anchor and target.suffix == ".md":
            is_good = anchor in anchors(target)
        if not is_good:
            broken.append(link)

    assert broken == []


def test_the_index_names_every_page() -> None:
    named = {(DOCS / link.partition("#")[0]).resolve() for link in links(INDEX)}

    assert [str(page.relative_to(DOCS)) for page in PAGES[1:] if page != INDEX and page not in named] == []


def test_both_indexes_name_every_role() -> None:
    roles = {path.parents[1] for path in (CHECKOUT / "roles").glob("*/meta/argument_specs.yml")}
    named = {(DOCS / link).resolve().parent for link in links(INDEX) if link.startswith("../roles/")}
    (line,) = re.findall(r"^roles/ +(.*)$", (CHECKOUT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)

    assert named == roles
    assert set(line.split(", ")) == {role.name for role in roles}


def test_decisions_are_numbered_without_gaps() -> None:
    numbers = [int(page.name[:4]) for page in sorted((DOCS / "decisions").glob("*.md"))]

    assert numbers == list(range(1, len(numbers) + 1))
