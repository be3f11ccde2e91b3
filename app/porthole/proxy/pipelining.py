"""Between one session's two ways: where an update begins, a ping to the browser and a request to the VNC server.

:mod:`~porthole.proxy.ahead` decides; here its words are put between whole messages and whole frames.
"""

from __future__ import annotations

import time

from porthole.proxy.ahead import Ahead
from porthole.proxy.input import BrowserInput
from porthole.proxy.to_client import ToClient
from porthole.proxy.to_target import ToTarget
from porthole.proxy.watchers import Watchers


class Pipelining:
    """One session's.

    :param input_: what the browser's bytes go through
    :param to_client: the way on which updates come
    :param to_target: the way on which they are asked for
    :param watchers: the session's
    """

    def __init__(self, input_: BrowserInput, to_client: ToClient, to_target: ToTarget, watchers: Watchers) -> None:
        self._ahead = Ahead()
        self._input = input_
        self._to_client, self._to_target = to_client, to_target
        self._watchers = watchers
        self._seen = 0  # requests of the browser
        self._unsent = b""  # one that has to wait for the end of a message
        self._comes_back_at = 0.0

    @property
    def repeats(self) -> int:
        """Requests that were sent in the browser's name."""
        return self._ahead.repeats

    def begins(self) -> None:
        """The VNC server has sent something, which is read after this."""
        ahead = self._ahead
        ping, request = ahead.begins(time.monotonic(), self._to_client.written)
        if ahead.rest:
            self._to_client.before_read = None
            self._watchers.after(ahead.rest, self._look_again)
            return
        if ping:
            self._to_client.ping(ping)
        self._ask(request)

    def _look_again(self) -> None:
        self._to_client.before_read = self.begins

    def answered(self, payload: bytes) -> None:
        """The browser has answered a ping."""
        self._ask(self._ahead.answered(payload, time.monotonic(), self._to_client.written))

    def pass_on(self, data: bytes) -> bytes:
        """What the VNC server gets of the browser's bytes, with a request among them that was to be sent.

        :raises porthole.proxy.rfb.errors.RfbError: they are not RFB
        """
        input_ = self._input
        payload = input_.feed(data)
        if (requests := input_.requests) != self._seen:
            self._seen = requests
            is_alone = payload == input_.request and input_.is_between
            request = input_.request
            if not self._ahead.asked(request, time.monotonic(), self._to_client.written, may_wait=is_alone):
                self._come_back()
                payload = b""
            self._unsent = b""
        if self._unsent and payload and input_.is_between:
            payload, self._unsent = payload + self._unsent, b""
        return payload

    def _ask(self, request: bytes) -> None:
        if request and not self._watchers.over:
            if self._input.is_between and not self._to_target.is_stuck:
                self._to_target.put(request)
            else:
                self._unsent = request
        self._come_back()

    def _come_back(self) -> None:
        """Have :meth:`_due` called when it is time; what is called earlier than that finds nothing to do."""
        wait = self._ahead.wait
        if wait is None:
            return
        at = time.monotonic() + wait
        if self._comes_back_at and self._comes_back_at <= at:
            return
        self._comes_back_at = at
        self._watchers.after(wait, self._due)

    def _due(self) -> None:
        self._comes_back_at = 0.0
        self._ask(self._ahead.due(time.monotonic(), self._to_client.written))
