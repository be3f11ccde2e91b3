"""The checks of part lint: commands that find fault without running anything, and generated files."""

from __future__ import annotations

import difflib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

TYPED = ("app/porthole", "script/local_lab", "script/provision", "script/run_tests", "tests")
SHELL = ("script/lab", "script/test", "script/python.sh", ".ci/run")

GENERATED = {
    "docs/reference/openapi.json": ("openapi",),
    "docs/reference/porthole.conf": ("config", "sample"),
}
"""File → the porthole command that prints it."""

DIFFERENCE_LINES = 40


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
    for path, arguments in GENERATED.items():
        problem = _out_of_date(checkout / path, [str(python), "-m", "porthole", *arguments], env)
        say(f"{path}: {'as generated' if not problem else 'FAILED'}")
        if problem:
            say(f"{problem}\nMake it anew with: script/test references")
            failed.append(path)
    return failed


def write_references(checkout: Path, python: Path) -> None:
    """Make the generated files anew.

    :raises subprocess.CalledProcessError: the command that prints one failed; its reason is on standard error
    """
    env = {**os.environ, "PYTHONPATH": str(checkout / "app")}
    for path, arguments in GENERATED.items():
        argv = [str(python), "-m", "porthole", *arguments]
        made = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True)
        (checkout / path).parent.mkdir(parents=True, exist_ok=True)
        (checkout / path).write_bytes(made.stdout)
        print(path, file=sys.stderr)


def _out_of_date(path: Path, argv: list[str], env: dict[str, str]) -> str:
    made = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if made.returncode:
        return f"'{' '.join(argv[1:])}' failed: {made.stderr.rstrip()}"
    if not path.is_file():
        return "The file is missing."
    lines = difflib.unified_diff(
        path.read_text().splitlines(), made.stdout.splitlines(), "committed", "generated", lineterm="", n=1
    )
    return "\n".join(list(lines)[:DIFFERENCE_LINES])
