"""The role nova_console uses modules and filters of compute_vnc, and both are the same files."""

from __future__ import annotations

from pathlib import Path

import pytest

ROLES = Path(__file__).resolve().parents[3] / "roles"


@pytest.mark.parametrize("folder", ["library", "filter_plugins"])
def test_what_it_shares_is_a_link_within_the_checkout(folder: str) -> None:
    link = ROLES / "nova_console" / folder
    assert link.is_symlink()
    assert link.resolve() == ROLES / "compute_vnc" / folder
    assert not link.readlink().is_absolute()
