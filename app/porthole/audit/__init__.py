"""The audit log: one line of JSON for each act, chained by a keyed hash, in which every edit shows."""

from porthole.audit.entry import NOBODY, Entry, Event, Result, Who
from porthole.audit.errors import AuditUnavailable
from porthole.audit.keys import AuditKeys
from porthole.audit.line import Head
from porthole.audit.log import AuditLog, check
from porthole.audit.recorder import Recorder

__all__ = [
    "NOBODY", "AuditKeys", "AuditLog", "AuditUnavailable", "Entry", "Event", "Head", "Recorder", "Result", "Who",
    "check",
]  # fmt: skip
