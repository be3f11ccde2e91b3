"""``porthole policy``: the rules that say who may do what."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any


def add_commands(group: Callable[[str, str], Any]) -> None:
    """Add the commands.

    :param group: makes a command that has commands, of a name and a help text
    """
    policy = group("policy", "the rules that say who may do what")
    sample = policy.add_parser(
        "sample", help="print a policy file with all rules and their defaults, commented ([oslo_policy] policy_file)"
    )
    sample.set_defaults(run=print_sample)


def print_sample(_options: argparse.Namespace) -> None:
    """Print the file; it needs no configuration."""
    from porthole.auth import policy  # noqa: PLC0415 - oslo.policy takes a while, and other commands need none of it

    print(policy.sample(), end="")
