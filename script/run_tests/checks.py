"""The checks of part lint: commands that find fault without running anything."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

TYPED = ("app/porthole", "script/local_lab", "script/provision", "script/reference", "script/run_tests", "tests")
SHELL = ("script/lab", "script/test", "script/python.sh", "script/generate_reference", ".ci/run")


def commands(python: Path) -> dict[str, list[str]]:
    """Name → argument list, to be run in the checkout."""
    tools = python.parent
    return {
        "ruff format": [str(tools / "ruff"), "format", "--check", "--quiet", "--diff", "."],
        "ruff check": [str(tools / "ruff"), "check", "--quiet", "."],
        "mypy": [str(tools / "mypy"), "--no-error-summary", "--cache-dir", ".cache/mypy", *TYPED],
        "import rules": [
            str(tools / "lint-imports"),
            "--config",
            "pyproject.toml",
            "--cache-dir",
            ".cache/import_linter",
        ],
        "shellcheck": ["shellcheck", "--external-sources", *SHELL],
    }


def run(checkout: Path, python: Path, say: Callable[[str], None]) -> list[str]:
    """Run all of them; the names of those that failed."""
    env = {**os.environ, "PYTHONPATH": str(checkout / "app")}
    failed = []
    for name, argv in commands(python).items():
        done = subprocess.run(
            argv, cwd=checkout, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        say(f"{name}: {'passed' if done.returncode == 0 else 'FAILED'}")
        if done.returncode:
            say((done.stdout + done.stderr).rstrip())
            failed.append(name)
    return failed
