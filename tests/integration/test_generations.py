"""The service's life under systemd: ready, reload, a generation beside the old one, drain. No host is needed for it."""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import websocket

from porthole.auth.users import add_user
from tests.service.appliance import token_of
from tests.service.installation import Installation, free_port
from tests.service.manager import Manager
from tests.service.rfb import Closed, RfbClient
from tests.service.vnc import GUEST, EchoingVnc

PASSWORD = "a good password"
SECOND = "0b000000-0000-4000-8000-00000000000b"
AUTHORIZATION = {"Authorization": "Basic " + base64.b64encode(f"ann:{PASSWORD}".encode()).decode()}


@pytest.fixture
def vnc() -> Iterator[EchoingVnc]:
    server = EchoingVnc()
    yield server
    server.stop()


@pytest.fixture
def installation(tmp_path: Path, vnc: EchoingVnc) -> Iterator[Installation]:
    """One with a user, a compute and a guest."""
    installation = Installation(tmp_path)
    installation.computes["c1"] = vnc.node(tmp_path)
    installation.metrics_port = free_port()
    add_user(tmp_path / "htpasswd", tmp_path / "roles", "ann", PASSWORD, "admin", cost=4)
    yield installation
    installation.end()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(tmp_path / "notify")
    yield manager
    manager.close()


def call(installation: Installation, method: str, path: str, body: object = None) -> tuple[int, dict[str, object]]:
    """A call of the API."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{installation.port}{path}",
        json.dumps(body).encode() if body is not None else None,
        {"Content-Type": "application/json", **AUTHORIZATION},
        method=method,
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def open_console(installation: Installation, instance: str = GUEST) -> RfbClient:
    """A console up to ServerInit."""
    status, answer = call(installation, "POST", "/v1/consoles", {"instance": instance})
    assert status == 201, answer
    connection = websocket.create_connection(
        f"ws://127.0.0.1:{installation.port}/?token={token_of(str(answer['url']))}",
        timeout=30, suppress_origin=True, http_no_proxy=["*"],
    )  # fmt: skip
    return RfbClient(connection).handshake()


def assert_lives(console: RfbClient) -> None:
    console.send(b"still here")
    assert console.read(10) == b"still here"


def ended(process: subprocess.Popen[str]) -> list[dict[str, object]]:
    """The log of a process that ends with status 0."""
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return [json.loads(line) for line in err.splitlines()]


def events(log: list[dict[str, object]], *levels: str) -> list[str]:
    return [str(line["event"]) for line in log if line["level"] in levels]


def worker_of(process: subprocess.Popen[str]) -> int:
    return int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[-1])


class TestNotify:
    def test_it_is_ready_when_it_answers_and_says_so_once(self, installation: Installation, manager: Manager) -> None:
        process = installation.serve(environment=manager.environment)
        message = manager.wait_for("READY", "1")
        assert call(installation, "GET", "/healthz")[0] == 200, "without waiting for anything"
        assert message["STATUS"] == "Ready: 0 sessions, 1 of 1 compute hosts reachable"
        console = open_console(installation)
        manager.wait_for("STATUS", "Ready: 1 session,")
        process.terminate()
        manager.wait_for("STOPPING", "1")
        with pytest.raises(Closed, match="1001"):
            console.read(1)
        ended(process)
        assert [message for message in manager.heard if "READY" in message] == [message]

    def test_an_abstract_address_will_do(self, installation: Installation) -> None:
        name = f"porthole-test-{os.getpid()}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
            listener.bind(f"\0{name}")
            listener.settimeout(30)
            process = installation.serve(environment={"NOTIFY_SOCKET": f"@{name}"})
            assert listener.recv(1000).startswith(b"READY=1\n")
            process.terminate()
            ended(process)

    def test_a_compute_that_is_down_is_told_and_keeps_nobody_waiting_for_long(
        self, installation: Installation, manager: Manager
    ) -> None:
        installation.computes = {"c1": f"qemu+tcp://127.0.0.1:{free_port()}/system"}
        process = installation.serve(environment=manager.environment)
        message = manager.wait_for("READY", "1")
        assert message["STATUS"] == "Not ready: 0 sessions, 0 of 1 compute hosts reachable"
        process.terminate()
        ended(process)

    def test_a_worker_that_is_replaced_is_not_a_new_start(self, installation: Installation, manager: Manager) -> None:
        process = installation.serve(environment=manager.environment)
        manager.wait_for("READY", "1")
        os.kill(worker_of(process), signal.SIGKILL)
        installation.answers()
        process.terminate()
        ended(process)
        assert len([message for message in manager.heard if "READY" in message]) == 1


class TestReload:
    def test_the_list_of_computes_is_taken_over_and_sessions_go_on(
        self, installation: Installation, manager: Manager, vnc: EchoingVnc
    ) -> None:
        process = installation.serve(environment=manager.environment)
        manager.wait_for("READY", "1")
        worker = worker_of(process)
        console = open_console(installation)

        installation.computes = {"c2": vnc.node(installation.folder, "second", SECOND)}
        installation.configure()
        process.send_signal(signal.SIGHUP)
        reloading = manager.wait_for("RELOADING", "1")
        assert abs(int(reloading["MONOTONIC_USEC"]) / 1e6 - time.monotonic()) < 30
        manager.wait_for("READY", "1")

        assert_lives(open_console(installation, SECOND))
        status, answer = call(installation, "POST", "/v1/consoles", {"instance": GUEST})
        assert (status, answer["code"]) == (404, "instance-not-found")
        assert_lives(console)
        assert worker_of(process) == worker
        os.kill(worker, signal.SIGKILL)
        installation.answers()
        assert call(installation, "POST", "/v1/consoles", {"instance": SECOND})[0] == 201, "the next worker too"
        process.terminate()
        log = ended(process)
        assert "computes taken over: added c2; changed none; removed c1" in events(log, "info")

    def test_a_compute_that_changed_is_opened_anew(
        self, installation: Installation, manager: Manager, vnc: EchoingVnc
    ) -> None:
        process = installation.serve(environment=manager.environment)
        manager.wait_for("READY", "1")
        installation.computes = {"c1": vnc.node(installation.folder, "second", SECOND)}
        installation.configure()
        process.send_signal(signal.SIGHUP)
        manager.wait_for("READY", "1")
        assert call(installation, "POST", "/v1/consoles", {"instance": SECOND})[0] == 201
        process.terminate()
        assert "computes taken over: added none; changed c1; removed none" in events(ended(process), "info")

    def test_what_a_running_service_keeps_is_named(self, installation: Installation, manager: Manager) -> None:
        process = installation.serve(environment=manager.environment)
        manager.wait_for("READY", "1")
        port, installation.port = installation.port, free_port()
        installation.configure(state_path=installation.folder / "elsewhere")
        process.send_signal(signal.SIGHUP)
        manager.wait_for("READY", "1")
        installation.port = port
        assert_lives(open_console(installation))
        process.terminate()
        (line,) = [line for line in ended(process) if line["event"] == "changed options need a restart"]
        assert line["options"] == [
            "[DEFAULT] state_path", "[audit] path", "[vnc] novncproxy_base_url", "[vnc] novncproxy_port",
        ]  # fmt: skip

    def test_a_broken_configuration_changes_nothing(self, installation: Installation, manager: Manager) -> None:
        process = installation.serve(environment=manager.environment)
        manager.wait_for("READY", "1")
        console = open_console(installation)
        path = installation.configure()
        path.write_text(path.read_text() + "\nmystery = 1\n")
        process.send_signal(signal.SIGHUP)
        manager.wait_for("RELOADING", "1")
        manager.wait_for("READY", "1")
        assert_lives(console)
        assert_lives(open_console(installation))
        process.terminate()
        (line,) = [line for line in ended(process) if line["event"] == "configuration not taken over"]
        assert "option mystery in [compute:c1] is unknown" in str(line["why"])

    @pytest.mark.parametrize("number", [signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR1, signal.SIGWINCH])
    def test_other_signals_change_nothing(self, installation: Installation, number: signal.Signals) -> None:
        process = installation.serve()
        installation.answers()
        before = worker_of(process)
        process.send_signal(number)
        time.sleep(1.5)
        assert worker_of(process) == before
        process.terminate()
        ended(process)


class TestDrain:
    def test_the_old_one_keeps_its_session_and_the_new_one_answers(
        self, installation: Installation, manager: Manager
    ) -> None:
        old = installation.serve("--beside", environment=manager.environment)
        manager.wait_for("READY", "1")
        console = open_console(installation)
        kept = socket.create_connection(("127.0.0.1", installation.port), timeout=30)
        kept.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert kept.recv(65536).startswith(b"HTTP/1.1 200 ")
        new = installation.serve("--beside", environment=manager.environment)
        manager.wait_for("READY", "1")

        old.send_signal(signal.SIGUSR2)
        manager.wait_for("STATUS", "Draining: 1 session until 20")  # perhaps after one with a number up to 1 s old
        while kept.recv(1000):
            pass  # connections that wait for another request are closed
        kept.close()
        time.sleep(1)
        assert_lives(open_console(installation))
        old.send_signal(signal.SIGUSR2)
        assert_lives(console)
        assert old.poll() is None
        with urllib.request.urlopen(f"http://127.0.0.1:{installation.metrics_port}/metrics", timeout=30) as answer:
            assert b"porthole_sessions_started_total 1.0" in answer.read(), "of the new one"
        assert "STOPPING" not in {name for message in manager.heard for name in message}, "or systemd would count"

        console.websocket.close()
        log = ended(old)
        assert not events(log, "warning", "error", "critical")
        assert events(log, "info").count("draining") == 1
        new.terminate()
        ended(new)

    def test_nobody_is_refused(self, installation: Installation, manager: Manager) -> None:
        """New connections throughout two handovers, several at a time, each with one request."""
        stop = threading.Event()
        failures: list[str] = []
        served = [0]

        def client() -> None:
            while not stop.is_set():
                try:
                    with socket.create_connection(("127.0.0.1", installation.port), timeout=30) as connection:
                        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
                    served[0] += 1
                except (OSError, AssertionError) as error:
                    failures.append(repr(error))

        def start() -> tuple[subprocess.Popen[str], threading.Thread]:
            process = installation.serve("--beside", environment=manager.environment)
            manager.wait_for("READY", "1")
            reader = threading.Thread(target=process.communicate)  # its log would fill the pipe, and it would wait
            reader.start()
            return process, reader

        old, log = start()
        clients = [threading.Thread(target=client) for _ in range(8)]
        for thread in clients:
            thread.start()
        for _ in range(2):
            new, new_log = start()
            before = served[0]
            old.send_signal(signal.SIGUSR2)
            log.join(60)
            assert old.returncode == 0
            assert served[0] - before > 200
            old, log = new, new_log
        stop.set()
        for thread in clients:
            thread.join(60)
        old.terminate()
        log.join(60)
        assert not failures

    def test_the_time_has_an_end(self, installation: Installation, manager: Manager) -> None:
        process = installation.serve(graceful_shutdown_timeout=2, environment=manager.environment)
        manager.wait_for("READY", "1")
        console = open_console(installation)
        process.send_signal(signal.SIGUSR2)
        begun = time.monotonic()
        with pytest.raises(Closed, match=r"1001 .*Connect again"):
            console.read(1)
        assert 1.5 < time.monotonic() - begun < 10
        ended(process)

    def test_none_at_all_ends_sessions_at_once(self, installation: Installation) -> None:
        process = installation.serve(graceful_shutdown_timeout=0)
        installation.answers()
        console = open_console(installation)
        process.send_signal(signal.SIGUSR2)
        with pytest.raises(Closed, match="1001"):
            console.read(1)
        ended(process)

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
    def test_the_signals_that_end_it_still_do(self, installation: Installation, number: signal.Signals) -> None:
        process = installation.serve()
        installation.answers()
        console = open_console(installation)
        process.send_signal(signal.SIGUSR2)
        time.sleep(1.5)
        assert_lives(console)
        process.send_signal(number)
        with pytest.raises(Closed, match="1001"):
            console.read(1)
        ended(process)

    def test_a_worker_that_dies_meanwhile_is_the_end(self, installation: Installation) -> None:
        process = installation.serve()
        installation.answers()
        open_console(installation)
        process.send_signal(signal.SIGUSR2)
        time.sleep(1.5)
        os.kill(worker_of(process), signal.SIGKILL)
        log = ended(process)
        assert sum(event.startswith("Booting worker") for event in events(log, "info")) == 1

    def test_nobody_listens_any_more(self, installation: Installation) -> None:
        process = installation.serve()
        installation.answers()
        console = open_console(installation)
        process.send_signal(signal.SIGUSR2)
        end = time.monotonic() + 10
        for port in (installation.port, installation.metrics_port):
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=5).close()
                except ConnectionRefusedError:
                    break
                assert time.monotonic() < end
                time.sleep(0.05)
        assert_lives(console)
        process.terminate()
        ended(process)


class TestListeners:
    def test_without_beside_an_address_in_use_is_an_error(self, installation: Installation) -> None:
        first = installation.serve("--beside")
        installation.answers()
        assert "address already in use." in installation.refusal()
        first.terminate()
        ended(first)

    def test_with_beside_a_foreign_listener_is_an_error_too(self, installation: Installation) -> None:
        with socket.create_server(("127.0.0.1", installation.port)):
            assert "by another generation that was started without --beside" in installation.refusal("--beside")

    def test_the_metrics_port_is_looked_at_as_well(self, installation: Installation) -> None:
        with socket.create_server(("127.0.0.1", installation.metrics_port)):
            assert f"host and port in [metrics] are 127.0.0.1 and {installation.metrics_port}" in installation.refusal()

    def test_the_metrics_have_their_own_listener_and_nothing_else_is_there(self, installation: Installation) -> None:
        process = installation.serve()
        installation.answers()
        for port, path, status in (
            (installation.metrics_port, "/metrics", 200),
            (installation.metrics_port, "/healthz", 404),
            (installation.metrics_port, "/v1/instances", 404),
            (installation.port, "/metrics", 404),
        ):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request("GET", path)
            assert connection.getresponse().status == status, (port, path)
            connection.close()
        upgrade = http.client.HTTPConnection("127.0.0.1", installation.metrics_port, timeout=30)
        upgrade.request("GET", "/?token=x", headers={"Upgrade": "websocket", "Connection": "Upgrade"})
        assert upgrade.getresponse().status == 404
        upgrade.close()
        process.terminate()
        ended(process)
