"""Where everything is kept."""

from __future__ import annotations

from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
CACHE = CHECKOUT / ".cache" / "systemd_hosts"
"""Root's alone: it holds a private key, and trees with programs that have the set-user-id bit."""

LAYERS = CACHE / "layers"
NETS = CACHE / "nets"
KEY = CACHE / "id_ed25519"
LOG = CACHE / "log"


def prepare() -> None:
    """Make the folders."""
    for folder in (CACHE, LAYERS, NETS):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
