"""One session: somebody's browser on one instance's screen."""

from __future__ import annotations

import time
from collections.abc import Callable

import gevent

from porthole.compute.errors import ComputeError
from porthole.compute.model import ConnectInfo, PowerState
from porthole.consoleauth.tokens import Claims
from porthole.proxy.errors import CloseCode
from porthole.proxy.relay import Ended, Relay
from porthole.proxy.target import Target

EXPLAIN_TIMEOUT = 5.0
"""Seconds to wait for libvirt to say that a guest has stopped: QEMU's socket closes before libvirt has noticed,
and libvirt answers nothing about a guest while it ends it."""

_EXPLAIN_EVERY = 0.1

_REASONS = {
    None: "The instance was shut down or deleted.",
    PowerState.NOSTATE: "The instance was shut down.",
    PowerState.SHUTDOWN: "The instance was shut down.",
    PowerState.CRASHED: "The instance has crashed.",
    PowerState.SUSPENDED: "The instance was suspended.",
}


class Session:
    """A console from its admission to its end (a :class:`porthole.proxy.gate.Console`).

    :ivar id: the token's id; with tokens that may be used again, several sessions share it
    :ivar claims: what the token said
    :ivar info: where the instance's VNC server was at the connect
    :ivar client: the browser's address
    :ivar started_at: Unix time of the 101, None before
    """

    def __init__(
        self,
        claims: Claims,
        info: ConnectInfo,
        target: Target,
        client: str,
        *,
        power_state: Callable[[str], PowerState | None],
        deadline: float | None,
        forget: Callable[[Session, Ended | None], None],
    ) -> None:
        self.claims = claims
        self.info = info
        self.client = client
        self.started_at: float | None = None
        self._target = target
        self._power_state = power_state
        self._deadline = deadline
        self._forget = forget
        self._relay: Relay | None = None
        self._timer: gevent.Greenlet[..., None] | None = None
        self._over = False

    @property
    def target(self) -> Target:
        """The connection to the VNC server."""
        return self._target

    @property
    def relayed(self) -> tuple[int, int]:
        """Bytes of RFB so far: to the browser, to the VNC server."""
        return (self._relay.traffic.to_client, self._relay.traffic.to_target) if self._relay else (0, 0)

    def started(self, relay: Relay) -> None:
        """The 101 went out; the session's time begins."""
        self._relay = relay
        self.started_at = time.time()
        if self._deadline is not None:
            left = max(0.0, self._deadline - time.time())
            self._timer = gevent.spawn_later(
                left, self.end, CloseCode.SESSION_TIMEOUT, "The time of this session is over."
            )

    def end(self, code: int, reason: str) -> None:
        """End the session, with a close code and a sentence for its browser."""
        if self._relay is not None:
            self._relay.end(code, reason)

    def explain(self) -> tuple[int, str]:
        """Why the VNC server closed: what libvirt says of the instance, within :data:`EXPLAIN_TIMEOUT`."""
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
