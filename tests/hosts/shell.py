"""Running commands, and saying what went wrong when one fails."""

from __future__ import annotations

import subprocess


class CommandFailed(Exception):
    """A command of the set-up failed; the message has the command and what it printed."""


def sh(*command: str) -> str:
    """Run a command and return what it printed.

    :raises CommandFailed: it ended with an error, is missing, or took longer than 30 s
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CommandFailed(f"{' '.join(command)}: {error}") from None
    if done.returncode:
        raise CommandFailed(f"{' '.join(command)}: exit status {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def quietly(*command: str) -> None:
    """Run a command of the clean-up; what it would remove may be gone already."""
    subprocess.run(command, capture_output=True, timeout=30, check=False)
