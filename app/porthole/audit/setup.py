"""From the options of ``[audit]`` to a recorder."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import structlog

from porthole.audit.keys import AuditKeys
from porthole.audit.line import Head
from porthole.audit.log import AuditLog, check
from porthole.audit.recorder import Recorder

log = structlog.get_logger("porthole.audit")


class AuditOptions(Protocol):
    """The part of :class:`porthole.config.Settings` that is used here: the options of ``[audit]``."""

    @property
    def audit_enabled(self) -> bool:
        """Whether anything is recorded."""

    @property
    def audit_path(self) -> Path:
        """The log."""

    @property
    def audit_key_file(self) -> Path:
        """The keys of its chain."""

    @property
    def audit_max_bytes(self) -> int:
        """Of one file."""

    @property
    def audit_backups(self) -> int:
        """Full files that are kept."""

    @property
    def audit_announce_every(self) -> float:
        """Seconds."""


def check_keys(options: AuditOptions) -> None:
    """Read the key file.

    :raises porthole.consoleauth.keys.KeyFileError: it cannot be used
    """
    if options.audit_enabled:
        AuditKeys.from_file(options.audit_key_file)


def check_log(options: AuditOptions) -> None:
    """Open or create the log and see that it can be gone on with, in the calling thread: for the start.

    :raises porthole.consoleauth.keys.KeyFileError: the key file cannot be used
    :raises porthole.audit.errors.AuditUnavailable: the log cannot be gone on with
    """
    if options.audit_enabled:
        check(options.audit_path, AuditKeys.from_file(options.audit_key_file))


def make(options: AuditOptions) -> Recorder:
    """The recorder of a process. The chain's heads go to the journal.

    :raises porthole.consoleauth.keys.KeyFileError: the key file cannot be used
    """
    if not options.audit_enabled:
        return Recorder(None)
    return Recorder(
        AuditLog(
            options.audit_path,
            AuditKeys.from_file(options.audit_key_file),
            announce=announce,
            max_bytes=options.audit_max_bytes,
            backups=options.audit_backups,
            announce_every=options.audit_announce_every,
        )
    )


def announce(head: Head) -> None:
    """Write a head to the service's log, where ``porthole audit verify --heads`` looks for it."""
    log.info("audit head", seq=head.seq, mac=head.mac)
