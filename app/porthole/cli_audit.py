"""``porthole audit``, and how the other commands have their acts recorded."""

from __future__ import annotations

import argparse
import os
import pwd
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Unpack

from porthole.audit import AuditUnavailable, Event, Who, setup
from porthole.audit.command import cli_verify
from porthole.audit.recorder import Fields
from porthole.config import ConfigError, Settings
from porthole.consoleauth.keys import KeyFileError


class AuditError(Exception):
    """The audit log cannot be checked, or not be used; the message says why."""


def add_commands(
    group: Callable[[str, str], Any],
    config_arguments: Callable[[argparse.ArgumentParser], None],
    load: Callable[[argparse.Namespace], Settings],
) -> None:
    """Add the commands.

    :param group: makes a command that has commands, of a name and a help text
    :param config_arguments: adds the arguments that name the configuration
    :param load: reads the configuration that they name
    """
    audit = group("audit", "the log of who did what")
    verify = audit.add_parser(
        "verify",
        help="check the audit log and name the first line that was changed, removed or inserted: the exit status is 0 "
        "when there is none, 1 when there is one, and 2 when nothing could be checked",
    )
    verify.add_argument(
        "files", nargs="*", type=Path, metavar="FILE", help="check these, oldest first, instead of the configured log"
    )
    verify.add_argument(
        "--heads",
        default="",
        metavar="FILE",
        help="heads of the chain that were announced: what journalctl printed, or lines SEQ MAC; - for standard input. "
        "Without them nobody can say whether lines are missing at the end",
    )
    verify.add_argument("--key-file", type=Path, metavar="FILE", help="default: [audit] key_file")
    config_arguments(verify)
    verify.set_defaults(run=lambda options: run_verify(options, load))


def run_verify(options: argparse.Namespace, load: Callable[[argparse.Namespace], Settings]) -> int:
    """Check the log and print what was found; returns the exit status.

    The configuration is read only for what is not said: files and their keys may be checked on another machine.
    """
    key_file, path = options.key_file, Path()
    if key_file is None or not options.files:
        try:
            settings = load(options)
        except ConfigError as error:
            print(f"porthole: {error}", file=sys.stderr)
            return 2
        key_file, path = key_file or settings.audit_key_file, settings.audit_path
    outcome = cli_verify(path, key_file, files=options.files, heads=options.heads)
    for sentence in outcome.sentences:
        print(sentence, file=sys.stderr if outcome.status else sys.stdout)
    return outcome.status


def check(settings: Settings) -> None:
    """See that the log can be written, for the start of the service. Opens or creates it.

    :raises AuditError: it cannot; the message names the option
    """
    try:
        setup.check_log(settings)
    except AuditUnavailable as error:
        raise AuditError(
            f"option path in [audit] is {settings.audit_path}, where nothing can be recorded: {error.why}."
        ) from None


def tell(settings: Settings, event: Event, **fields: Unpack[Fields]) -> None:
    """Record an act of this command by the user who runs it.

    It is done although it cannot be recorded: a session has to be ended also when a disk is full. That is said then.
    """
    try:
        recorder = setup.make(settings)
    except KeyFileError as error:
        _complain(str(error))
        return
    sudo_user = {"sudo_user": os.environ["SUDO_USER"]} if "SUDO_USER" in os.environ else {}
    fields["who"] = Who(_login())
    fields["details"] = {**fields.get("details", {}), "way": "command line", **sudo_user}
    try:
        recorder.must(event, **fields)
    except AuditUnavailable as error:
        _complain(error.why)
    finally:
        recorder.close()


def _login() -> str:
    """The user of the operating system, by its number: the environment says what it likes."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def _complain(why: str) -> None:
    print(f"porthole: this is not in the audit log: {why}", file=sys.stderr)
