"""The checks of part lint: commands that find fault without running anything."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

TYPED = ("app/porthole", "bench", "roles", "script", "tests")
SHELL_FOLDERS = ("script", "vagrant", ".ci")


def shell_scripts(checkout: Path) -> list[str]:
    """The files of :data:`SHELL_FOLDERS` that are shell scripts, by their first line."""
    paths = sorted(path for folder in SHELL_FOLDERS for path in (checkout / folder).iterdir() if path.is_file())
    return [
        str(path.relative_to(checkout))
        for path in paths
        if path.read_bytes()
        .partition(b"\n")[0]
        .startswith((b"#!/usr/bin/env bash", b"#!/bin/sh", b"# shellcheck shell="))
    ]


def commands(checkout: Path, python: Path) -> dict[str, list[str]]:
    """Name → argument list, to be run in *checkout*."""
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
        "shellcheck": ["shellcheck", "--external-sources", *shell_scripts(checkout)],
        "ansible-lint": [str(tools / "ansible-lint"), "--offline", "--strict", "-q", "--nocolor"],
        "vagrant validate": ["vagrant", "validate"],
    }


def run(checkout: Path, python: Path, say: Callable[[str], None]) -> list[str]:
    """Run all of them; the names of those that failed."""
    env = {
        **os.environ,
        "PYTHONPATH": str(checkout / "app"),
        # ansible-lint starts ansible-playbook and ansible-config.
        "PATH": os.pathsep.join([str(python.parent), os.environ.get("PATH", "")]),
        "ANSIBLE_HOME": str(checkout / ".cache" / "ansible"),
        # Vagrant's own files and those of machines that somebody has up are not touched.
        "VAGRANT_CWD": str(checkout / "vagrant"),
        "VAGRANT_HOME": str(checkout / ".cache" / "vagrant" / "home"),
        "VAGRANT_DOTFILE_PATH": str(checkout / ".cache" / "vagrant" / "validate"),
        "VAGRANT_DEFAULT_PROVIDER": "libvirt",
        "VAGRANT_CHECKPOINT_DISABLE": "1",
    }
    failed = []
    for name, argv in commands(checkout, python).items():
        done = subprocess.run(
            argv, cwd=checkout, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        say(f"{name}: {'passed' if done.returncode == 0 else 'FAILED'}")
        if done.returncode:
            say((done.stdout + done.stderr).rstrip())
            failed.append(name)
    return failed
