"""problems.md: why a request is refused, and why a WebSocket ends."""

from __future__ import annotations

from porthole.api import errors
from porthole.proxy.errors import CloseCode
from reference import markdown

_INTRODUCTION = """\
# Problem codes and close codes

[Troubleshooting](../how-to/troubleshoot.md) says what to do about each of them.

## Problems

A refused request is answered with one of these as a problem of RFC 9457: `application/problem+json` with `type`,
`title`, `status`, `detail` and `code`. The code does not change between releases; title and detail may. A browser that
opens an address by itself gets the same words as a short page. A WebSocket upgrade is refused in the same way, before
the 101.
"""

_OTHER = """\
## Other refusals

A request that is wrong in itself has the code of its HTTP status.
"""

_FAULTS = """\
## Below /v2.1

There the body is Nova's, `{"FAULT": {"code": STATUS, "message": "..."}}`, and the fault's name follows from the status.
The look-up of a token (`/v2.1/os-console-auth-tokens`) answers 404 for a token that is not good, and for one whose
instance has no console now.
"""

_CLOSE = """\
## Close codes

A session that was open ends with a WebSocket close code and a sentence as its reason. Codes from 4000 on are
Porthole's own; the others are those of RFC 6455, 7.4.1.
"""

_WHY: dict[CloseCode, str] = {
    CloseCode.NORMAL: "The browser ended the session.",
    CloseCode.GOING_AWAY: "The service stops or starts anew. A browser whose page is closed sends this code too.",
    CloseCode.PROTOCOL_ERROR: "The browser's frames broke RFC 6455.",
    CloseCode.UNSUPPORTED_DATA: "The browser sent a text frame; RFB is binary.",
    CloseCode.NO_STATUS: "Never sent. In the log and the metrics: the browser ended the session and gave no code.",
    CloseCode.INVALID_PAYLOAD: "The browser sent a close reason that is not UTF-8.",
    CloseCode.TOO_BIG: "The browser announced a frame larger than is taken.",
    CloseCode.INTERNAL_ERROR: "An error of the service itself; its log has it.",
    CloseCode.INSTANCE_STOPPED: "The guest has stopped; the reason says how.",
    CloseCode.SESSION_TIMEOUT: "The session's time is over: that of `[consoleauth] session_timeout`, or, with "
    "`enforce_session_timeout`, that of its token.",
    CloseCode.ENDED_BY_ADMINISTRATOR: "An administrator, or its user from elsewhere, ended the session, or its token "
    "was revoked.",
    CloseCode.VNC_SERVER_CLOSED: "The VNC server closed the connection, or took no input, and the guest did not stop.",
    CloseCode.CLIENT_SILENT: "The browser did not answer a ping in time.",
    CloseCode.TAKEN_OVER: "Another connection with the same secret goes on with the session.",
    CloseCode.ACCESS_LOST: "The user is gone, or may no longer open this console.",
    CloseCode.IDLE: "Nobody used keyboard, mouse or clipboard for `[consoleauth] idle_timeout`.",
}


def page() -> str:
    """The whole page.

    :raises ValueError: a close code is not described here
    """
    if missing := set(CloseCode) - set(_WHY):
        raise ValueError(f"script/reference/problems.py does not describe {sorted(code.name for code in missing)}")
    parts = [_INTRODUCTION, _problems(), _OTHER, _others(), _FAULTS, _faults(), _CLOSE, _close_codes()]
    return "\n".join([markdown.NOTICE, *parts])


def _problems() -> str:
    rows = [
        (
            f"`{kind.code}`",
            str(kind.status),
            f"{kind.retry_after} s" if kind.retry_after else "",
            markdown.from_docstring(error.__doc__),
        )
        for error, kind in sorted(errors.TABLE.items(), key=lambda entry: (entry[1].code, entry[1].title))
    ]
    return markdown.table(("code", "status", "Retry-After", "when"), rows)


def _others() -> str:
    codes = {**errors._HTTP_CODES, 500: "internal-error"}
    return markdown.table(("code", "status"), [(f"`{code}`", str(status)) for status, code in codes.items()])


def _faults() -> str:
    rows = [(str(status), f"`{fault}`") for status, fault in errors.NOVA_FAULTS.items()]
    return markdown.table(("status", "fault"), [*rows, ("any other", "`computeFault`")])


def _close_codes() -> str:
    return markdown.table(("code", "name", "when"), [(str(int(c)), c.name.lower(), _WHY[c]) for c in CloseCode])
