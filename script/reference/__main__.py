"""Write all pages."""

from __future__ import annotations

from pathlib import Path

from reference import PAGES

CHECKOUT = Path(__file__).resolve().parents[2]

if __name__ == "__main__":
    for name, make in PAGES.items():
        path = CHECKOUT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(make(), encoding="utf-8")
        print(name)
