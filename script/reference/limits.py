"""limits.md: every bound of the service, by the name of its constant."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

from reference import markdown

_KIB = 1024
_MIB = 1024 * 1024

_INTRODUCTION = """\
# Limits

Every buffer, queue, wait and retry has a bound. These are constants of the code; the bounds that can be set are
[options](options.md). [Architecture](../explanation/architecture.md) says what each of them is for.
"""


@dataclass(frozen=True, slots=True)
class Limit:
    """A constant.

    :ivar constant: ``module.NAME`` below the package porthole
    :ivar unit: ``bytes``, ``s``, or what is counted
    """

    constant: str
    unit: str
    meaning: str


LIMITS: dict[str, tuple[Limit, ...]] = {
    "HTTP": (
        Limit("proxy.handler.MAX_HEAD", "bytes", "Header lines of a request; beyond it, 400."),
        Limit("api.app.MAX_BODY_BYTES", "bytes", "Body of a request; beyond it, 413."),
        Limit(
            "server.http.MAX_CONNECTIONS",
            "",
            "Connections that are no console; one more cuts one of the busiest address.",
        ),
        Limit("server.metrics.MAX_METRICS_CONNECTIONS", "", "The same at the listener of the metrics."),
        Limit("server.listeners.BACKLOG", "", "Connections that the kernel keeps waiting to be accepted."),
        Limit("server.worker.GRACEFUL_TIMEOUT", "s", "For requests to end when the service stops."),
        Limit("server.serving.HANDOVER_TIME", "s", "To accept what is on its way when a drain begins."),
        Limit("server.serving.SPARE", "", "Connections of a worker beside `[proxy] max_sessions`; more wait."),
        Limit("api.nova.paging.MAX_LIMIT", "", "Servers, or flavors, in one page of Nova's lists."),
        Limit("api.nova.query.MAX_PATTERN", "", "Characters of a filter of text in Nova's lists."),
    ),
    "Workers and reloads": (
        Limit("server.sets.MAX_WORKERS", "", "Workers, however many processors there are."),
        Limit(
            "server.sets.MAX_DRAINING", "", "Reloads whose earlier workers keep sessions; of one more, the oldest end."
        ),
        Limit("server.sets.READY_TIME", "s", "For new workers to be ready, beside two libvirt calls."),
        Limit("server.reload.HAND_OVER_TIME", "s", "For old workers to stop taking clients when new ones begin."),
        Limit("server.sets.LONGEST_PAUSE", "s", "Before a worker that cannot start is started again."),
        Limit("server.evenness.PAUSE", "s", "For which a worker with more connections leaves a client to others."),
        Limit("server.board.SILENT_AFTER", "s", "Until a worker that gives no sign of life is not waited for."),
        Limit("server.board.LOCK_TIME", "s", "To count among all workers; then a new session is refused."),
    ),
    "Sign-ins and passwords": (
        Limit("auth.keystone.identity.AT_ONCE", "", "Tokens that Keystone is asked about at the same time."),
        Limit("auth.keystone.identity.MAX_WAITING", "", "Asked or waiting; beyond it, `identity-unavailable`."),
        Limit("auth.keystone.identity.SIGN_INS_AT_ONCE", "", "Passwords that Keystone checks at the same time."),
        Limit("auth.keystone.identity.MAX_SIGN_INS", "", "Of these, asked or waiting; beyond it, the same."),
        Limit("auth.keystone.identity.REVOCATIONS_AT_ONCE", "", "Tokens revoked at the same time, after sign-outs."),
        Limit("auth.keystone.identity.MAX_REVOCATIONS", "", "Of these, asked or waiting; beyond it, a warning."),
        Limit("auth.keystone.identity.PATIENCE", "", "Times `http_connect_timeout` that one question may take in all."),
        Limit("auth.keystone.identity.PROBE_EVERY", "s", "After which Keystone is looked for again when nobody asked."),
        Limit("auth.keystone.identity.PROVE_EVERY", "s", "The same, for whether it checks tokens for this service."),
        Limit("auth.keystone.trouble.LAPSES", "s", "For which a failed sign-in counts as trouble with Keystone."),
        Limit("auth.keystone.validated.MAX_REMEMBERED", "", "Tokens of Keystone remembered."),
        Limit("auth.keystone.trouble.MAX_REASON", "characters", "Of what Keystone says is wrong, in the log."),
        Limit("auth.keystone.authenticator.MAX_TOKEN_LENGTH", "characters", "Of a token of Keystone; beyond it, 401."),
        Limit("auth.passwords.THREADS", "", "Native threads that check passwords."),
        Limit("auth.passwords.MAX_WAITING", "", "Checks under way or waiting; beyond it, `too-busy`."),
        Limit("auth.passwords.REMEMBER_SECONDS", "s", "For which a password that was right needs no new check."),
        Limit("auth.passwords.MAX_REMEMBERED", "", "Passwords remembered."),
        Limit("auth.passwords.MAX_PASSWORD_BYTES", "bytes", "Of a password, which is bcrypt's own limit."),
        Limit("api.limits.MAX_REMEMBERED", "", "Addresses, and users at addresses, whose requests are counted."),
        Limit(
            "api.limits.SIGN_INS_PER_ADDRESS",
            "",
            "Sign-ins of one address under way in a process; beyond it, `too-busy`.",
        ),
        Limit("auth.signin.LIFETIME", "s", "Of the browser's sign-in."),
        Limit("auth.signin.MAX_COOKIE_LENGTH", "bytes", "Of the sign-in cookie that is looked at."),
        Limit("auth.files.MAX_FILE_BYTES", "bytes", "Of the user file and of the role file."),
        Limit("auth.files.MAX_COST", "", "Highest cost of a bcrypt hash in the user file."),
    ),
    "Tokens and their store": (
        Limit("consoleauth.tokens.MAX_TOKEN_LENGTH", "bytes", "Of a token that is looked at."),
        Limit("consoleauth.keys.MAX_KEYS", "", "Keys in the key file."),
        Limit("state.sqlite.BUSY_TIMEOUT", "s", "For a lock that another process holds; then `store-unavailable`."),
        Limit("state.sqlite.MAX_WAITING", "", "Calls waiting for the store's thread; then `store-unavailable`."),
        Limit("state.sqlite.PURGE_EVERY", "s", "Between removals of what has expired."),
        Limit("state.upkeep.KEEP_SESSIONS", "s", "For which a session that nobody has seen any more is on record."),
        Limit("state.clock.MAX_AHEAD", "s", "By which a clock may go back without a new era of the service's time."),
        Limit("state.sessions.MAX_LISTED", "", "Sessions in one answer."),
    ),
    "The audit log": (
        Limit("audit.log.MAX_WAITING", "", "Records waiting to be written; beyond it, `audit-unavailable`."),
        Limit("audit.log.WAIT", "s", "For a record to be on the disk; then `audit-unavailable`."),
        Limit("audit.log.MAX_BATCH", "", "Records that are written together."),
        Limit("audit.line.MAX_LINE", "bytes", "Of a line."),
        Limit("audit.entry.MAX_TEXT", "", "Characters of a text; a longer one is cut."),
        Limit("audit.entry.MAX_DETAILS", "", "Details of a record."),
        Limit("audit.recorder.MAX_LATE", "", "Acts waiting to be recorded while the log does not work."),
        Limit("audit.recorder.RETRY_EVERY", "s", "Between attempts to record them."),
        Limit("audit.recorder.TELL_EVERY", "s", "For which refusals are counted that get no line of their own."),
        Limit("audit.allowance.MAX_ADDRESSES", "", "Addresses whose refusals are counted."),
        Limit("audit.heads.MAX_HEADS", "", "Heads that a check takes."),
        Limit("api.recording.BASIC_AGAIN", "s", "Until a password that comes with each request is a new sign-in."),
    ),
    "One compute host": (
        Limit("compute.link.CALLS_AT_ONCE", "", "libvirt calls of a connection at the same time."),
        Limit("compute.link.THREADS", "", "Native threads for libvirt calls."),
        Limit("compute.link.MAX_STUCK", "", "Calls that may be stuck while libvirt itself answers."),
        Limit("compute.link.MAX_CHANGED", "", "Instances waiting to be looked at again; beyond it, all are listed."),
        Limit("compute.host.LONGEST_STUCK", "s", "Until a connection with a stuck call is replaced."),
        Limit("compute.host.FIRST_PAUSE", "s", "Before the first attempt to connect again; it doubles."),
        Limit("compute.host.LONGEST_PAUSE", "s", "Between later attempts, a quarter more or less."),
        Limit("compute.host.CHUNK", "", "Instances described by one call."),
        Limit("compute.xml.MAX_XML", "bytes", "Of a domain's XML."),
        Limit("compute.details.MAX_TEXT", "", "Characters of a flavor's name, and of each of its extra specs."),
        Limit("compute.details.MAX_PAIRS", "", "Extra specs of a flavor, and properties of an image."),
        Limit("compute.details.MAX_SHARED", "", "Flavors and images that are kept once for all their instances."),
        Limit("compute.events.MAX_WAITING", "", "Events of all hosts waiting for the hub; beyond it, all are listed."),
        Limit("compute.computes.STOP_TIMEOUT", "s", "For the connections to close when the service stops."),
    ),
    "One session": (
        Limit("proxy.target.GREETING_TIMEOUT", "s", "For a VNC server to begin its greeting; then it is tried again."),
        Limit("proxy.rfb.reading.MAX_REASON", "bytes", "Of a VNC server's reason to refuse us."),
        Limit("proxy.rfb.errors.MAX_SHOWN", "", "Characters of a VNC server's words in a log line."),
        Limit("proxy.relay.OPENING_TIMEOUT", "s", "For the browser's part of the opening of RFB."),
        Limit("proxy.buffers.CHUNK", "bytes", "Read at once from the VNC server, and held for a slow browser."),
        Limit("proxy.buffers.TLS_CHUNK", "bytes", "The same where TLS is on either leg."),
        Limit("proxy.buffers.PIPE_SIZE", "bytes", "The same where nothing is copied, through a pipe."),
        Limit("proxy.buffers.MAX_PIPES", "", "Pipes of a process; beyond it its sessions copy."),
        Limit("proxy.buffers.CLIENT_CHUNK", "bytes", "Read at once from the browser, and held for a slow VNC server."),
        Limit("proxy.frames.MAX_FRAME_PAYLOAD", "bytes", "A frame may announce; none is ever gathered in memory."),
        Limit("proxy.forwarded.MAX_HOPS", "", "Entries of X-Forwarded-For that are looked at."),
        Limit("consoleauth.nova_api.AT_ONCE", "", "Questions to Nova under way; more wait for their turn."),
        Limit("consoleauth.nova_api.MAX_WAITING", "", "Questions that wait; beyond it, 503."),
        Limit("consoleauth.nova_api.MAX_ANSWER", "bytes", "Of an answer of Nova's; beyond it, 503."),
        Limit("sessions.nova.RESOLVE_TIMEOUT", "s", "For the name of a compute that Nova alone knows."),
        Limit("proxy.access_path.MAX_HEAD", "bytes", "Of the answer to CONNECT for an internal_access_path."),
        Limit("sessions.watch.LOOK_EVERY", "s", "Between two looks at who ended a session or lost a permission."),
        Limit("sessions.reports.REPORT_EVERY", "s", "Between two reports of a session's bytes to the store."),
        Limit("sessions.reports.TRY_AGAIN", "s", "Before reports go on, after the store did not work."),
        Limit("sessions.reports.AT_ONCE", "", "Sessions reported in one transaction."),
        Limit("state.verdict.STALE_AFTER", "s", "Without a report, until a session's process is taken to be dead."),
        Limit("state.sessions.MAX_AWAY", "s", "For which a page that waits for its guest keeps its session."),
        Limit("sessions.registry.MAX_LATE", "", "Ends that wait to be recorded while the store does not work."),
        Limit("sessions.session.EXPLAIN_TIMEOUT", "s", "To find out why the VNC server closed the connection."),
        Limit("proxy.relay.CLOSE_TIMEOUT", "s", "For what is still to be delivered, and for the answer to a close."),
        Limit("proxy.relay.MAX_AFTER_CLOSE", "bytes", "Read and thrown away while waiting for that answer."),
        Limit("proxy.errors.MAX_REASON_BYTES", "bytes", "Of a close reason (RFC 6455, 5.5)."),
    ),
}
"""By heading."""


def page() -> str:
    """The whole page.

    :raises ValueError: the code has no such constant
    """
    parts = [markdown.NOTICE, _INTRODUCTION]
    for heading, limits in LIMITS.items():
        rows = [(f"`{limit.constant}`", _shown(_value(limit.constant), limit.unit), limit.meaning) for limit in limits]
        parts.append(f"## {heading}\n\n{markdown.table(('constant', 'value', 'of what'), rows)}")
    return "\n".join(parts)


def _value(constant: str) -> int | float:
    module, _, name = constant.rpartition(".")
    value = getattr(importlib.import_module(f"porthole.{module}"), name, None)
    if not isinstance(value, int | float):
        raise ValueError(f"porthole.{constant}, which script/reference/limits.py names, is no number")
    return value


def _shown(value: int | float, unit: str) -> str:
    if unit == "bytes" and value >= _MIB and value % _MIB == 0:
        return f"{value // _MIB} MiB"
    if unit == "bytes" and value >= _KIB and value % _KIB == 0:
        return f"{value // _KIB} KiB"
    return f"{value:,g} {unit}".rstrip() if value < 10**6 else f"{value:,} {unit}".rstrip()
