"""The sockets that the service listens on."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from gevent import socket

from porthole import config
from porthole.server.listeners import Listener, Listeners, listeners_of, prefer_the_newest


@pytest.fixture
def listen() -> Iterator[Any]:
    """Binds the addresses of a configuration."""
    made: list[Listeners] = []

    def begin(*, beside: bool = False, **values: Any) -> Listeners:
        settings: Any = SimpleNamespace(
            **{
                "cert": None, "novncproxy_host": "127.0.0.1", "novncproxy_port": 0,
                "metrics_host": "127.0.0.1", "metrics_port": 0, **values,
            }
        )  # fmt: skip
        made.append(listeners_of(settings, beside=beside))
        return made[-1]

    yield begin
    for listeners in made:
        for listener in (listeners.public, listeners.metrics):
            if listener is not None:
                listener.close()


def port_of(listener: Listener | None) -> int:
    assert listener is not None
    return int(listener.sock.getsockname()[1])


def accepted(listener: Listener | None) -> int:
    """How many connections wait there; they are taken."""
    assert listener is not None
    listener.sock.settimeout(0)
    count = 0
    while True:
        try:
            listener.sock.accept()[0].close()
        except OSError:
            return count
        count += 1


def connect(port: int, times: int) -> None:
    for _ in range(times):
        socket.create_connection(("127.0.0.1", port), timeout=10).close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::"])
def test_a_free_address_is_fine(listen: Any, host: str) -> None:
    listeners = listen(novncproxy_host=host)
    assert str(listeners.public).startswith("http://")
    assert listeners.metrics is None


def test_a_port_in_use(listen: Any) -> None:
    port = port_of(listen().public)
    for beside in (False, True):
        with pytest.raises(
            config.ConfigError, match=f"novncproxy_port in \\[vnc\\] are 127.0.0.1 and {port}.*in use"
        ) as caught:
            listen(novncproxy_port=port, beside=beside)
        assert ("without --beside" in str(caught.value)) is beside


def test_the_metrics_port_is_named_when_it_is_in_use(listen: Any) -> None:
    port = port_of(listen().public)
    with pytest.raises(config.ConfigError, match=f"host and port in \\[metrics\\] are 127.0.0.1 and {port}.*in use"):
        listen(metrics_port=port)


def test_systemd_may_have_opened_the_public_one_for_us(listen: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_FDS", "1")
    assert listen(novncproxy_host="192.0.2.1").public is None


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "no-such-host.invalid"])
def test_an_address_that_is_not_ours(listen: Any, host: str) -> None:
    with pytest.raises(config.ConfigError, match=f"novncproxy_host .* {host} .*an address of this machine"):
        listen(novncproxy_host=host)


def test_beside_an_older_one_it_takes_no_client_before_it_listens(listen: Any) -> None:
    old = listen(beside=True)
    old.public.sock.listen()
    new = listen(beside=True, novncproxy_port=port_of(old.public))
    connect(port_of(old.public), 20)
    assert accepted(old.public) == 20
    new.public.sock.listen()
    old.public.close()
    connect(port_of(new.public), 20)
    assert accepted(new.public) == 20


def test_the_newest_takes_new_clients_and_the_old_one_keeps_its_own(listen: Any) -> None:
    old = listen(beside=True).public
    old.sock.listen(100)
    prefer_the_newest(old.sock)
    port = port_of(old)
    for _ in range(3):
        connect(port, 20)
        new = listen(beside=True, novncproxy_port=port).public
        new.sock.listen(100)
        prefer_the_newest(new.sock)
        connect(port, 40)
        assert (accepted(old), accepted(new)) == (20, 40)
        old.close()
        old = new


def test_when_the_newest_goes_the_old_one_has_them_again(listen: Any) -> None:
    old = listen(beside=True).public
    old.sock.listen(100)
    new = listen(beside=True, novncproxy_port=port_of(old)).public
    new.sock.listen(100)
    prefer_the_newest(new.sock)
    new.close()
    connect(port_of(old), 20)
    assert accepted(old) == 20


def test_alone_it_takes_all(listen: Any) -> None:
    for beside in (False, True):
        public = listen(beside=beside).public
        public.sock.listen(100)
        prefer_the_newest(public.sock)
        connect(port_of(public), 20)
        assert accepted(public) == 20
