"""The generated pages are those that the code generates now."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest

from porthole.config.options import COMPUTE_OPTS, GROUPS
from reference import COMMAND, PAGES, nova_options

CHECKOUT = Path(__file__).resolve().parents[2]
SHOWN = 40


@pytest.mark.parametrize("name", PAGES)
def test_the_committed_page_is_the_generated_one(name: str) -> None:
    path = CHECKOUT / name
    committed = path.read_text(encoding="utf-8") if path.is_file() else ""
    generated = PAGES[name]()

    changes = difflib.unified_diff(
        committed.splitlines(), generated.splitlines(), "committed", "generated", lineterm=""
    )
    difference = "\n".join(list(changes)[:SHOWN])
    assert committed == generated, (
        f"{name} is not what the code says. If the difference is meant, make the page anew with\n"
        f"    {COMMAND}\n\n{difference}"
    )


def test_the_pages_do_not_depend_on_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    wide = PAGES["docs/reference/cli.md"]()
    monkeypatch.setenv("COLUMNS", "40")

    assert PAGES["docs/reference/cli.md"]() == wide


class TestNovasOptions:
    def test_one_that_is_missing_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        fewer = {**nova_options.USES, "console": {"allowed_origins": "The same."}}
        monkeypatch.setattr(nova_options, "USES", fewer)
        with pytest.raises(ValueError, match="have different options"):
            nova_options.page()

    def test_what_is_the_same_is_an_option_of_ours(self) -> None:
        for group, uses in nova_options.USES.items():
            ours = {opt.name for opt in GROUPS[group]} | {opt.name for opt in COMPUTE_OPTS}
            assert {name for name, use in uses.items() if use.startswith("The same")} <= ours, group
            assert not {name for name, use in uses.items() if use.startswith("Not taken")} & ours, group
