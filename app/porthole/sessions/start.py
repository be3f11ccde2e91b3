"""The start of a session, for the audit log."""

from __future__ import annotations

from porthole.audit import AuditUnavailable, Event, Recorder, Who
from porthole.audit.recorder import Fields
from porthole.compute.model import ConnectInfo
from porthole.consoleauth.tokens import Claims


class Start:
    """That a connection is about to show an instance's screen.

    :param resumed: whether it goes on with a session that another connection had
    """

    def __init__(
        self, audit: Recorder, claims: Claims, session_id: str, info: ConnectInfo, client: str, *, resumed: bool
    ) -> None:
        self._audit = audit
        self._at = audit.clock()
        self._is_told = False
        self._fields: Fields = {
            **about(claims, session_id, info, client),
            "details": {"mode": claims.mode, "resumed": resumed, "shared": bool(claims.share_uses)},
        }

    def must_be_told(self) -> None:
        """Put it on record, once.

        :raises AuditUnavailable: it is not, so the screen must not be shown
        """
        if self._is_told:
            return
        self._is_told = True  # while it is on its way, the session's end does not tell it a second time
        try:
            self._audit.must(Event.SESSION_STARTED, **self._fields)
        except AuditUnavailable:
            self._is_told = False
            raise

    def tell_late(self) -> None:
        """It came to nothing before it was on record; its end is to have a beginning there."""
        if not self._is_told:
            self._is_told = True
            self._audit.happened(Event.SESSION_STARTED, at=self._at, **self._fields)


def about(claims: Claims, session_id: str, info: ConnectInfo, client: str) -> Fields:
    """Whose session on which instance it is."""
    return {
        "who": who(claims),
        "client": client,
        "instance": claims.instance_id,
        "compute": info.instance.compute,
        "token_id": claims.token_id,
        "session_id": session_id,
    }


def who(claims: Claims) -> Who:
    """For whom a token was issued."""
    return Who(claims.user_id, claims.project_id)
