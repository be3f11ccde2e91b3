"""README.md of each role, read from its ``meta/argument_specs.yml``, ``meta/main.yml`` and ``defaults/main.yml``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from reference import markdown

_CODE = re.compile(r"\b[CEOPRV]\(([^)]*)\)")
"""Ansible's own markup of words that are to be typed."""

ROLES = Path(__file__).resolve().parents[2] / "roles"

_USE = """\
The playbooks of this project run the role; `ansible-playbook -i INVENTORY site.yml` is the ordinary way to it.
Variables are set in the inventory. What is not set has the default below, and a value of another type is refused
before anything is touched.
"""


def names() -> list[str]:
    """The roles that there are."""
    return sorted(path.parents[1].name for path in ROLES.glob("*/meta/argument_specs.yml"))


def page(name: str) -> str:
    """A role's whole README.

    :raises KeyError: its files do not have what the page shows
    """
    specs: dict[str, dict[str, Any]] = _yaml(name, "meta/argument_specs.yml")["argument_specs"]
    galaxy = _yaml(name, "meta/main.yml")["galaxy_info"]
    defaults = _yaml(name, "defaults/main.yml") or {}
    platforms = ", ".join(
        f"{it['name']} ({', '.join(str(version) for version in it['versions'])})" for it in galaxy["platforms"]
    )
    options = {variable: option for spec in specs.values() for variable, option in _flat(spec.get("options", {}))}
    rows = [
        (f"`{variable}`", _type(option), _default(variable, option, defaults), " ".join(_lines(option["description"])))
        for variable, option in options.items()
    ]
    return "\n".join(
        [
            markdown.NOTICE,
            f"# {name}\n\n{galaxy['description']}\n\n{_USE}",
            f"Written for {platforms}; needs Ansible {galaxy['min_ansible_version']} or later.\n",
            "## Variables\n",
            markdown.table(("variable", "type", "default", "meaning"), rows),
            "## Entry points\n",
            *(_entry_point(entry, spec) for entry, spec in specs.items()),
        ]
    )


def _yaml(role: str, path: str) -> Any:
    return yaml.safe_load((ROLES / role / path).read_text(encoding="utf-8"))


def _entry_point(name: str, spec: dict[str, Any]) -> str:
    variables = ", ".join(f"`{variable}`" for variable in spec.get("options", {}))
    paragraphs = [*_lines(spec["description"]), f"Variables: {variables or 'none'}."]
    return f"### {name}\n\n" + "\n\n".join(paragraphs) + "\n"


def _flat(options: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """The options, each followed by those of its entries."""
    for name, option in options.items():
        yield prefix + name, option
        entries = "[]" if option["type"] == "list" else ""
        yield from _flat(option.get("options", {}), f"{prefix}{name}{entries}.")


def _type(option: dict[str, Any]) -> str:
    kind: str = option["type"]
    if "elements" in option:
        kind = f"{kind} of {option['elements']}"
    if "choices" in option:
        kind = f"{kind}: " + ", ".join(f"`{choice}`" for choice in option["choices"])
    return kind


def _default(name: str, option: dict[str, Any], defaults: dict[str, Any]) -> str:
    if option.get("required"):
        return "(required)"
    value = defaults.get(name, option.get("default"))
    if value is None:
        return ""
    if isinstance(value, bool):
        value = str(value).lower()
    return f"`{' '.join(str(value).split())}`" if value != "" else "`''`"


def _lines(description: str | list[str]) -> list[str]:
    """Each paragraph as one line of Markdown."""
    paragraphs = [description] if isinstance(description, str) else description
    return [_CODE.sub(r"`\1`", " ".join(paragraph.split())) for paragraph in paragraphs]
