"""What the audit log raises."""

from __future__ import annotations


class AuditUnavailable(Exception):
    """The record is not on the disk, so what it is about must not happen. ``why`` is for the service's log."""

    def __init__(self, why: str) -> None:
        super().__init__(
            "The service cannot record at the moment, so it opens no consoles. Try again in a few seconds."
        )
        self.why = why
