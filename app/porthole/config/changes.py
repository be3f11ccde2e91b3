"""Which options differ between two configurations."""

from __future__ import annotations

from dataclasses import fields

from porthole.config.options import GROUPS
from porthole.config.settings import Settings

_IN_COMPUTES = frozenset(("computes", "auth_schemes"))
"""Fields that count for nothing but the computes."""


def changes(old: Settings, new: Settings) -> list[str]:
    """The options whose values differ, as ``[group] name``, sorted. What is part of the computes is not looked at."""
    names = [field.name for field in fields(Settings) if field.name not in _IN_COMPUTES]
    return sorted(_option_of(name) for name in names if getattr(old, name) != getattr(new, name))


def _option_of(field: str) -> str:
    """The option that a field of the settings holds."""
    return next(
        f"[{group}] {opt.name}" for group, opts in GROUPS.items() for opt in opts if field in _fields(group, opt.name)
    )


def _fields(group: str, option: str) -> tuple[str, str]:
    return option, f"{group}_{option}"
