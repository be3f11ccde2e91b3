"""The command line, ``porthole``.

:mod:`porthole.cli_sessions` has the commands about sessions and tokens, :mod:`porthole.cli_policy` those about the
rules, :mod:`porthole.cli_audit` those about the audit log, :mod:`porthole.cli_clouds` the one for OpenStack's clients.
"""

from __future__ import annotations

import argparse
import dataclasses
import getpass
import json
import os
import signal
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from porthole import __version__, cli_audit, cli_clouds, cli_policy, cli_sessions, config, log
from porthole.audit import Event
from porthole.auth import users
from porthole.auth.files import UserFileError
from porthole.auth.principal import Role
from porthole.consoleauth.keys import KeyFileError, add_key
from porthole.state.backup import BackupError, backup, restore

CONFIG_FILE = Path("/etc/porthole/porthole.conf")
CONFIG_DIR = Path("/etc/porthole/porthole.conf.d")
MAX_PASSWORD_INPUT = 1024


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    :param arguments: without the program's name; ``sys.argv`` by default
    :returns: the exit status: 0, or 1 after an error, which is told on standard error in a sentence; ``audit verify``
        has its own
    """
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options) or 0)
    except _ERRORS as error:
        print(f"porthole: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        return 1
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 128 + signal.SIGINT


class StartError(Exception):
    """The service cannot be started; the message says why and what would help."""


_ERRORS = (
    config.ConfigError, KeyFileError, UserFileError, users.UserError, BackupError, StartError,
    cli_sessions.SessionsError, cli_audit.AuditError, cli_clouds.CloudsError,
)  # fmt: skip


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="porthole", description="VNC consoles of instances in the browser.")
    parser.add_argument("--version", action="version", version=f"porthole {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", help="run the service")
    _config_arguments(serve)
    serve.add_argument(
        "--beside",
        action="store_true",
        help="share the addresses with another process of this service that was started so, of the same user: the one "
        "that started last takes new clients, and SIGUSR2 lets the other one drain",
    )
    serve.set_defaults(run=_serve)

    config_commands = _group(commands, "config", "show and check the configuration")
    sample = config_commands.add_parser("sample", help="print a commented configuration file")
    sample.set_defaults(run=lambda _: print(config.sample(), end=""))
    check = config_commands.add_parser("check", help="check the configuration and say what is wrong")
    _config_arguments(check)
    check.set_defaults(run=_config_check)

    user_commands = _group(commands, "user", "the users of http_basic")
    add = user_commands.add_parser("add", help="add a user, or change its password and role")
    add.add_argument("name")
    add.add_argument("--role", choices=[role.value for role in Role], default=Role.MEMBER.value)
    add.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    _user_arguments(add)
    add.set_defaults(run=_user_add)
    remove = user_commands.add_parser("remove", help="remove a user")
    remove.add_argument("name")
    _user_arguments(remove)
    remove.set_defaults(run=_user_remove)
    listing = user_commands.add_parser("list", help="list the users and their roles")
    _user_arguments(listing)
    listing.set_defaults(run=_user_list)

    key_commands = _group(commands, "keys", "the keys that sign tokens")
    key = key_commands.add_parser("add", help="put a new key in front; tokens of older keys stay valid")
    key.add_argument("file", type=Path)
    key.add_argument(
        "--keep", type=_positive, metavar="N", help="let the N newest keys stay, the new one among them; default: all"
    )
    key.set_defaults(run=_keys_add)

    store_commands = _group(commands, "store", "the store of issued tokens and ended sign-ins")
    copy = store_commands.add_parser("backup", help="write a copy of the store; the service may run meanwhile")
    copy.add_argument("file", type=Path)
    _config_arguments(copy)
    copy.set_defaults(run=_store_backup)
    back = store_commands.add_parser("restore", help="put a copy in the store's place; no service may run")
    back.add_argument("file", type=Path)
    _config_arguments(back)
    back.set_defaults(run=_store_restore)

    cli_sessions.add_commands(partial(_group, commands), _config_arguments, _load)
    cli_policy.add_commands(partial(_group, commands))
    cli_audit.add_commands(partial(_group, commands), _config_arguments, _load)
    cli_clouds.add_command(commands.add_parser, _config_arguments, _load)

    openapi = commands.add_parser("openapi", help="print the HTTP API's OpenAPI document")
    openapi.set_defaults(run=_openapi)
    return parser


def _group(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str
) -> argparse._SubParsersAction[argparse.ArgumentParser]:
    return commands.add_parser(name, help=text).add_subparsers(title="commands", required=True, metavar="COMMAND")


def _positive(text: str) -> int:
    """An argument's value that is 1 or more."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("it has to be 1 or more")
    return number


def _config_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config-file", type=Path, action="append", metavar="FILE", help=f"may be repeated; default: {CONFIG_FILE}"
    )
    parser.add_argument(
        "--config-dir", type=Path, action="append", metavar="FOLDER", help=f"of *.conf files; default: {CONFIG_DIR}"
    )


def _user_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--user-file", type=Path, default=Path(_default("http_basic_auth_user_file")), metavar="FILE")
    parser.add_argument("--role-file", type=Path, default=Path(_default("http_basic_auth_role_file")), metavar="FILE")


def _default(name: str) -> str:
    return next(str(opt.default) for opt in config.API_OPTS if opt.name == name)


def _load(options: argparse.Namespace) -> config.Settings:
    files = options.config_file or [CONFIG_FILE]
    directories = options.config_dir or ([CONFIG_DIR] if CONFIG_DIR.is_dir() and not options.config_file else [])
    return config.load(files, directories)


def _serve(options: argparse.Namespace) -> None:
    # Imported here: the other commands need neither gunicorn nor libvirt.
    from porthole import server  # noqa: PLC0415 - not every command needs it
    from porthole.service import Service  # noqa: PLC0415 - not every command needs it

    settings = _load(options)
    log.configure(settings.debug)
    os.umask(0o027)  # what it writes is nobody else's
    _check_files(settings)
    _check_state(settings)
    cli_audit.check(settings)
    listeners = server.listeners_of(settings, beside=options.beside)

    def fitting(settings: config.Settings) -> config.Settings:
        return dataclasses.replace(settings, max_sessions=server.sessions_that_fit(settings.max_sessions))

    server.ConsoleApplication(
        fitting(settings),
        Service.build,
        listeners=listeners,
        reread=lambda: fitting(_load(options)),
        check=_check_again,
    ).run()


def _check_files(settings: config.Settings) -> None:
    from porthole import server  # noqa: PLC0415 - not every command needs it
    from porthole.service import Service  # noqa: PLC0415 - not every command needs it

    Service.check(settings)
    server.check_certificate(settings)


def _check_again(settings: config.Settings) -> None:
    """For a reload: all that is wrong is an error of the configuration.

    :raises ConfigError: with the file and what would be right
    """
    try:
        _check_files(settings)
    except (KeyFileError, UserFileError) as error:
        raise config.ConfigError(str(error)) from None


def _check_state(settings: config.Settings) -> None:
    from porthole.state import sqlite  # noqa: PLC0415 - not every command needs it

    try:
        settings.state_path.mkdir(mode=0o750, parents=True, exist_ok=True)
        sqlite.check(settings.state_path / sqlite.FILE)
    except (OSError, sqlite.StoreUnavailable) as error:
        why = error.why if isinstance(error, sqlite.StoreUnavailable) else error.strerror
        raise StartError(
            f"option state_path in [DEFAULT] is {settings.state_path}, where the store does not work: {why}. It has to "
            "be a folder that this user may write to; a store that is broken can be moved away, and open console URLs "
            "and sign-ins are then lost."
        ) from None


def _config_check(options: argparse.Namespace) -> None:
    settings = _load(options)
    _check_files(settings)
    count = len(settings.computes)
    print(f"The configuration is good: {count} compute{'' if count == 1 else 's'}, {settings.novncproxy_base_url}")


def _user_add(options: argparse.Namespace) -> None:
    password = _password_from_stdin() if options.password_stdin else _password_asked_for(options.name)
    if users.is_as_given(options.user_file, options.role_file, options.name, password, options.role):
        print(f"User {options.name} has this password and the role {options.role} already; nothing was changed.")
        return
    is_new = users.add_user(options.user_file, options.role_file, options.name, password, options.role)
    print(f"User {options.name} was {'added' if is_new else 'changed'} with the role {options.role}.")


def _password_from_stdin() -> str:
    password = sys.stdin.readline(MAX_PASSWORD_INPUT).rstrip("\n")
    if not password:
        raise users.UserError("There is no password on standard input.")
    return password


def _password_asked_for(name: str) -> str:
    try:
        password = getpass.getpass(f"Password of {name}: ")
        again = getpass.getpass("The same again: ")
    except EOFError:
        raise users.UserError("The password was not given; a program passes it with --password-stdin.") from None
    if again != password:
        raise users.UserError("The two passwords differ; nothing was changed.")
    return password


def _user_remove(options: argparse.Namespace) -> None:
    users.remove_user(options.user_file, options.role_file, options.name)
    print(f"User {options.name} was removed.")


def _user_list(options: argparse.Namespace) -> None:
    for user in users.list_users(options.user_file, options.role_file):
        print(f"{user.name}\t{','.join(user.roles) or '-'}")


def _keys_add(options: argparse.Namespace) -> None:
    count = add_key(options.file, options.keep)
    print(f"{options.file} holds {count} key{'' if count == 1 else 's'}; the new one signs from the next start on.")


def _store_backup(options: argparse.Namespace) -> None:
    settings = _load(options)
    path = _store(settings)
    cli_audit.tell(settings, Event.ADMIN_ACT, reason="copied the store", details={"file": str(options.file)})
    backup(path, options.file)
    print(f"{options.file} is a copy of {path}.")


def _store_restore(options: argparse.Namespace) -> None:
    settings = _load(options)
    path = _store(settings)
    cli_audit.tell(settings, Event.ADMIN_ACT, reason="replaced the store", details={"file": str(options.file)})
    restore(options.file, path)
    print(f"{path} is what {options.file} was. What was revoked or signed out since that copy is good again.")


def _store(settings: config.Settings) -> Path:
    from porthole.state.sqlite import FILE  # noqa: PLC0415 - not every command needs it

    return settings.state_path / FILE


def _openapi(_options: argparse.Namespace) -> None:
    from porthole.api.openapi import openapi_document  # noqa: PLC0415 - not every command needs it

    print(json.dumps(openapi_document(), indent=2, sort_keys=True))
