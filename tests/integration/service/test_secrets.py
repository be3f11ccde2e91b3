"""The files that hold secrets are private. Where secrets do not get to is in tests/attacks/test_regressions.py."""

from __future__ import annotations

from tests.service import Appliance


def test_files_it_makes_are_private(appliance: Appliance) -> None:
    keys = [appliance.folder / name for name in ("token.keys", "audit.keys")]
    for path in [*keys, *(appliance.folder / "state").iterdir()]:
        assert path.stat().st_mode & 0o007 == 0, path
