"""Starts relays for the tests of this folder."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator

import gevent
import pytest
from gevent import socket

from porthole.proxy import relay as relay_module
from porthole.proxy.buffers import ReadBuffers
from porthole.proxy.errors import CloseCode
from porthole.proxy.input import BrowserInput
from porthole.proxy.relay import Relay
from porthole.proxy.rfb.conversation import Conversation
from tests.unit.proxy.dialogue import Dialogue, tcp_pair

Wrap = Callable[[socket.socket, socket.socket], tuple[socket.socket, socket.socket]]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions end without waiting long for browsers that do not read."""
    monkeypatch.setattr(relay_module, "CLOSE_TIMEOUT", 0.2)


@pytest.fixture
def dialogue() -> Iterator[Callable[..., Dialogue]]:
    """Starts relays; each has to have ended, with its sockets closed, when the test is over."""
    before = open_files()
    started: list[Dialogue] = []
    shared: list[ReadBuffers] = []

    def start(
        *,
        early: bytes = b"",
        ping_interval: float = 60,
        ping_timeout: float = 60,
        explain: Callable[[], tuple[int, str]] = lambda: (CloseCode.INSTANCE_STOPPED, "The instance was shut down."),
        wrap: Wrap = lambda b, c: (b, c),
        wrap_target: Wrap = lambda v, t: (v, t),
        opening: Conversation[None] | None = None,
        confirm: Callable[[], None] = lambda: None,
        client_buffer: int | None = None,
        target_buffer: int | None = None,
        buffers: ReadBuffers | None = None,
        input_: BrowserInput | None = None,
        pipelines: bool = False,
    ) -> Dialogue:
        browser, client = wrap(*tcp_pair())
        vnc, target = wrap_target(*tcp_pair())
        if client_buffer is not None:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, client_buffer)
        if target_buffer is not None:
            target.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, target_buffer)
            vnc.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, target_buffer)
        buffers = buffers or ReadBuffers()
        shared.append(buffers)
        relay = Relay(
            client, target, early=early, opening=opening, buffers=buffers,
            ping_interval=ping_interval, ping_timeout=ping_timeout, explain=explain,
            input_=input_, pipelines=pipelines, confirm=confirm,
        )  # fmt: skip
        started.append(Dialogue(relay, browser, vnc))
        return started[-1]

    yield start
    for one in started:
        one.browser.close()
        one.vnc.close()
        one.ended()
    for buffers in shared:
        buffers.pipes.close()
    if open_files() > before:
        gc.collect()  # it may be another test's
    assert open_files() <= before, "a relay left a file descriptor open"


def open_files() -> int:
    gevent.sleep(0)
    return len(os.listdir("/proc/self/fd"))
