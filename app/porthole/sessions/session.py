"""One session: somebody's browser on one instance's screen."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import gevent
import structlog

from porthole.audit import AuditUnavailable
from porthole.compute.errors import ComputeError
from porthole.compute.model import ConnectInfo, PowerState
from porthole.consoleauth.tokens import VIEW, Claims
from porthole.proxy.ended import Ended
from porthole.proxy.errors import CloseCode
from porthole.proxy.input import BrowserInput
from porthole.proxy.relay import Relay
from porthole.proxy.rfb.client_messages import Mode
from porthole.proxy.target import Target
from porthole.sessions.records import Recorded
from porthole.sessions.start import Start
from porthole.state.database import StoreUnavailable
from porthole.state.rows import Traffic

EXPLAIN_TIMEOUT = 5.0
"""Seconds to wait for libvirt to say that a guest has stopped: QEMU's socket closes before libvirt has noticed,
and libvirt answers nothing about a guest while it ends it."""

_EXPLAIN_EVERY = 0.1

log = structlog.get_logger("porthole.sessions")

_REASONS = {
    None: "The instance was shut down or deleted.",
    PowerState.NOSTATE: "The instance was shut down.",
    PowerState.SHUTDOWN: "The instance was shut down.",
    PowerState.CRASHED: "The instance has crashed.",
    PowerState.SUSPENDED: "The instance was suspended.",
}


class Session:
    """A console from its admission to its end (a :class:`porthole.proxy.gate.Console`).

    :param start: what has to be on record before anything of the instance is shown
    :param undo: called when it cannot be; the token is then as it was before
    :param expiry: asked when the session's time seems over: until when it was renewed meanwhile, None when it was not
    :param clock: the Unix time by which its record ends
    :param looks_at_input: whether the browser's messages are counted although all of them get through
    :ivar record: the session on record: its id, the connection's name, when it ends
    :ivar claims: what the token said
    :ivar info: where the instance's VNC server was at the connect
    :ivar client: the browser's address
    :ivar started_at: when the 101 went out, on a clock that nobody sets; None before
    """

    def __init__(  # noqa: PLR0913 - what it is made of is given by name
        self,
        record: Recorded,
        claims: Claims,
        info: ConnectInfo,
        target: Target,
        client: str,
        *,
        start: Start,
        power_state: Callable[[str], PowerState | None],
        forget: Callable[[Session, Ended | None], None],
        undo: Callable[[], None] = lambda: None,
        expiry: Callable[[], float | None] = lambda: None,
        clock: Callable[[], float] = time.time,
        looks_at_input: bool = False,
    ) -> None:
        self.record = record
        self.claims = claims
        self.info = info
        self.client = client
        self.start = start
        self.started_at: float | None = None
        self._target = target
        self._power_state = power_state
        self._forget = forget
        self._undo = undo
        self._expiry = expiry
        self._clock = clock
        self._relay: Relay | None = None
        self._end_early: tuple[int, str] | None = None
        self._timer: gevent.Greenlet[..., None] | None = None
        self._over = False
        self._told = (0, 0)
        self._inputs = 0
        self._used_at = time.monotonic()
        mode = Mode.VIEW if claims.mode == VIEW else Mode.FULL
        needed = looks_at_input or mode is Mode.VIEW
        self._input = BrowserInput(mode, target.opened) if needed else None

    @property
    def target(self) -> Target:
        """The connection to the VNC server."""
        return self._target

    @property
    def input(self) -> BrowserInput | None:
        """What the browser's bytes go through; None when they are not looked at."""
        return self._input

    @property
    def relayed(self) -> tuple[int, int]:
        """Bytes of RFB so far: to the browser, to the VNC server."""
        return (self._relay.traffic.to_client, self._relay.traffic.to_target) if self._relay else (0, 0)

    @property
    def seconds(self) -> float:
        """Since the 101; 0 before it."""
        return 0.0 if self.started_at is None else time.monotonic() - self.started_at

    @property
    def described(self) -> dict[str, str]:
        """What the log says of it, with field names."""
        return {
            "session_id": self.record.session_id,
            "token_id": self.claims.token_id,
            "instance": self.claims.instance_id,
            "compute": self.info.instance.compute,
            "user": self.claims.user_id,
            "client": self.client,
        }

    def take_traffic(self) -> Traffic:
        """What was relayed since the last time this was asked."""
        before, self._told = self._told, self.relayed
        return Traffic(
            self.record.session_id, self.record.connection, self._told[0] - before[0], self._told[1] - before[1]
        )

    def give_back(self, traffic: Traffic) -> None:
        """That could not be recorded: it is part of the next."""
        self._told = (self._told[0] - traffic.to_client, self._told[1] - traffic.to_target)

    def idle_seconds(self) -> float:
        """For how long nobody has used keyboard, mouse or clipboard.

        0 when nobody looks, before the 101, and of a console for viewing only: whoever watches sends nothing.
        """
        if self._relay is None or self._input is None or self.claims.mode == VIEW:
            return 0.0
        if self._input.inputs != self._inputs:
            self._inputs = self._input.inputs
            self._used_at = time.monotonic()
        return time.monotonic() - self._used_at

    def started(self, relay: Relay) -> None:
        """The 101 went out; the session's time begins."""
        self._relay = relay
        self.started_at = time.monotonic()
        self._used_at = time.monotonic()
        if self._end_early is not None:
            relay.end(*self._end_early)
        elif self.record.expires is not None:
            self._timer = gevent.spawn(self._wait_for_the_end, float(self.record.expires))

    def confirm(self) -> None:
        """Wait until the start is on record; when it cannot be, the session ends and its token is as it was.

        The browser has its 101 and our greeting by then, and nothing that is the instance's.
        """
        log.info("session admitted", **self.described, vnc_security=self._target.opened.security.name.lower())
        try:
            self.start.must_be_told()
        except AuditUnavailable as error:
            with contextlib.suppress(StoreUnavailable):
                self._undo()
            self.end(CloseCode.INTERNAL_ERROR, str(error))

    def end(self, code: int, reason: str) -> None:
        """End the session, with a close code and a sentence for its browser; before the 101, right after it."""
        if self._relay is not None:
            self._relay.end(code, reason)
        else:
            self._end_early = self._end_early or (code, reason)

    def _wait_for_the_end(self, expires: float) -> None:
        """Until its time is over, and was not made longer meanwhile. Setting a clock makes no difference to a sleep."""
        while True:
            gevent.sleep(max(0.0, expires - self._clock()))
            try:
                renewed = self._expiry()
            except StoreUnavailable:
                renewed = None
            if renewed is None or renewed <= expires:
                break
            expires = renewed
        self.end(CloseCode.SESSION_TIMEOUT, "The time of this session is over.")

    def explain(self) -> tuple[int, str]:
        """Why the VNC server closed: what libvirt says of the instance, within :data:`EXPLAIN_TIMEOUT`.

        Nobody is asked about an instance that libvirt did not know at the connect, so that its absence says nothing.
        """
        reason = None
        if self.info.is_known:
            reason = gevent.with_timeout(EXPLAIN_TIMEOUT, self._wait_for_stop, timeout_value=None)
        if reason is None:
            return CloseCode.VNC_SERVER_CLOSED, "The instance's screen was disconnected by its host."
        return CloseCode.INSTANCE_STOPPED, reason

    def _wait_for_stop(self) -> str | None:
        """Ask until the instance is no longer running; None when its compute does not answer."""
        while True:
            try:
                state = self._power_state(self.claims.instance_id)
            except ComputeError:
                return None
            if state in _REASONS:
                return _REASONS[state]
            gevent.sleep(_EXPLAIN_EVERY)

    def ended(self, ended: Ended | None) -> None:
        """The session is over; called once."""
        if self._over:
            return
        self._over = True
        if self._timer is not None:
            self._timer.kill(block=False)
        self._forget(self, ended)
