"""What a reload makes of two configurations: what differs, and what cannot be taken over."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import fields
from pathlib import Path

from porthole.config.keystone import GROUP as KEYSTONE
from porthole.config.keystone import KeystoneSettings
from porthole.config.options import GROUPS
from porthole.config.settings import Settings

_IN_COMPUTES = frozenset(("computes", "auth_schemes"))
"""Fields that count for nothing but the computes."""

FIXED = frozenset(
    (
        "novncproxy_host", "novncproxy_port", "metrics_host", "metrics_port", "state_path", "audit_enabled",
        "audit_path",
    )
)  # fmt: skip
"""Fields that a running service keeps: what is bound, and what all its processes have to agree on."""

_READ_AT_START = (
    "token_key_file", "vencrypt_ca_certs", "vencrypt_client_cert", "vencrypt_client_key", "audit_key_file",
    "nova_password_file", "nova_cafile",
)  # fmt: skip
"""Fields that name files which a worker reads when it starts, and not again."""


def changes(old: Settings, new: Settings) -> list[str]:
    """The options whose values differ, as ``[group] name``, sorted. What is part of the computes is not looked at."""
    return sorted(_option_of(name) for name in _changed(old, new))


def kept(old: Settings, new: Settings) -> tuple[Settings, list[str]]:
    """A new configuration as far as a running service can take it over.

    :returns: that, and the options that stay as they are until a restart, as ``[group] name``, sorted
    """
    changed = _changed(old, new)
    names = changed & FIXED
    if "novncproxy_port" in names:
        names |= changed & {"novncproxy_base_url"}  # which has the port in it
    values = {name: getattr(old, name) for name in names}
    return dataclasses.replace(new, **values), sorted(_option_of(name) for name in names)


def contents(settings: Settings) -> dict[Path, str]:
    """What is in the files that are read at the start only: their SHA-256; empty for one that cannot be read."""
    paths = [getattr(settings, name) for name in _READ_AT_START]
    if settings.keystone is not None:
        paths.append(settings.keystone.cafile)
    return {path: _digest(path) for path in paths if path is not None}


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def _changed(old: Settings, new: Settings) -> set[str]:
    names = {field.name for field in fields(Settings)} - _IN_COMPUTES - {"keystone"}
    changed = {name for name in names if getattr(old, name) != getattr(new, name)}
    return changed | _changed_of_keystone(old.keystone, new.keystone)


def _changed_of_keystone(old: KeystoneSettings | None, new: KeystoneSettings | None) -> set[str]:
    """The fields that differ, after their group's name."""
    names = {field.name for field in fields(KeystoneSettings)}
    return {f"{KEYSTONE}_{name}" for name in names if getattr(old, name, None) != getattr(new, name, None)}


def _option_of(field: str) -> str:
    """The option that a field of the settings holds."""
    return next(
        f"[{group}] {opt.name}" for group, opts in GROUPS.items() for opt in opts if field in _fields(group, opt.name)
    )


def _fields(group: str, option: str) -> tuple[str, str]:
    return option, f"{group}_{option}"
