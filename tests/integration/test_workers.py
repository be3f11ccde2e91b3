"""Several workers: clients are spread evenly, and what holds for one holds for all. No compute host is needed."""

from __future__ import annotations

import base64
import concurrent.futures
import contextlib
import os
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import websocket

from porthole.auth.users import add_user
from tests.integration.test_generations import (
    AUTHORIZATION,
    PASSWORD,
    assert_lives,
    call,
    ended,
    events,
    open_console,
)
from tests.service.appliance import token_of
from tests.service.installation import Installation, free_port
from tests.service.manager import Manager
from tests.service.rfb import Closed, RfbClient
from tests.service.vnc import GUEST, EchoingVnc
from tests.service.workers import Log, sessions_by_worker, until, worker_with, workers_of


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    """One with two workers, a user, a compute and a guest."""
    vnc = EchoingVnc()
    installation = Installation(tmp_path)
    installation.workers = 2
    installation.computes["c1"] = vnc.node(tmp_path)
    installation.metrics_port = free_port()
    add_user(tmp_path / "htpasswd", tmp_path / "roles", "ann", PASSWORD, "admin", cost=4)
    yield installation
    installation.end()
    vnc.stop()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(tmp_path / "notify")
    yield manager
    manager.close()


def token(installation: Installation) -> str:
    status, answer = call(installation, "POST", "/v1/consoles", {"instance": GUEST})
    assert status == 201, answer
    return token_of(str(answer["url"]))


def delete(installation: Installation, path: str) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{installation.port}{path}", headers=AUTHORIZATION, method="DELETE"
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 204


def connect(installation: Installation, token: str) -> RfbClient | int:
    """A console up to ServerInit, or the status of the refusal."""
    try:
        connection = websocket.create_connection(
            f"ws://127.0.0.1:{installation.port}/?token={token}",
            timeout=60, suppress_origin=True, http_no_proxy=["*"],
        )  # fmt: skip
    except websocket.WebSocketBadStatusException as error:
        return int(error.status_code)
    return RfbClient(connection).handshake()


def at_once(installation: Installation, tokens: list[str]) -> list[RfbClient | int]:
    with concurrent.futures.ThreadPoolExecutor(len(tokens)) as pool:
        return list(pool.map(lambda one: connect(installation, one), tokens))


def at_two_workers(installation: Installation, process: subprocess.Popen[str]) -> list[RfbClient]:
    """Two consoles, each at another worker."""
    consoles = [open_console(installation)]
    while worker_with(process, consoles[-1]) == worker_with(process, consoles[0]):
        consoles.append(open_console(installation))
        assert len(consoles) < 20
    for console in consoles[1:-1]:
        console.close()
    return [consoles[0], consoles[-1]]


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    """While a worker hangs."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def metrics(installation: Installation) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{installation.metrics_port}/metrics", timeout=30) as answer:
        lines = [line for line in answer.read().decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


class TestEvenness:
    @pytest.mark.parametrize(("workers", "most"), [(2, 0.6), (4, 0.35)])
    def test_no_worker_has_clearly_more_sessions_than_another(
        self, installation: Installation, manager: Manager, workers: int, most: float
    ) -> None:
        installation.workers = workers
        process = installation.serve(environment=manager.environment)
        manager.wait_for("READY", "1")
        log = Log(process)
        assert len(workers_of(process)) == workers
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            with contextlib.ExitStack() as hanging:
                # The first come to one worker, so that the others have something to make up for.
                for pid in workers_of(process)[1:]:
                    hanging.enter_context(stopped(pid))
                consoles = list(pool.map(lambda _: open_console(installation), range(120)))
            consoles += pool.map(lambda _: open_console(installation), range(280))
        shares = sessions_by_worker(process, consoles)
        assert sum(shares.values()) == 400
        assert max(shares.values()) <= most * 400, shares
        for console in consoles:
            console.websocket.close(timeout=0)
        process.terminate()
        log.ended()

    def test_a_worker_that_hangs_keeps_no_client_waiting(self, installation: Installation, manager: Manager) -> None:
        process = installation.serve(environment=manager.environment)
        manager.wait_for("READY", "1")
        first, _second = workers_of(process)
        with stopped(first):
            for _ in range(30):
                console = open_console(installation)
                assert_lives(console)
                console.close()
        process.terminate()
        ended(process)


class TestAcrossWorkers:
    def test_one_worker_lists_and_ends_sessions_of_another(self, installation: Installation, manager: Manager) -> None:
        process = installation.serve(environment=manager.environment)
        manager.wait_for("READY", "1")
        here, there = at_two_workers(installation, process)
        pid = worker_with(process, there)
        with stopped(pid):
            status, answer = call(installation, "GET", "/v1/sessions")
            assert status == 200
            sessions = answer["sessions"]
            assert isinstance(sessions, list)
            assert len(sessions) >= 2
            for session in sessions:
                delete(installation, f"/v1/sessions/{session['id']}")
            assert here.wait_for_close().code == 4002
        assert there.wait_for_close().code == 4002
        process.terminate()
        ended(process)

    def test_a_token_that_is_revoked_at_one_worker_ends_its_session_at_another(
        self, installation: Installation, manager: Manager
    ) -> None:
        process = installation.serve(environment=manager.environment)
        manager.wait_for("READY", "1")
        status, answer = call(installation, "POST", "/v1/consoles", {"instance": GUEST})
        assert status == 201
        console = connect(installation, token_of(str(answer["url"])))
        assert isinstance(console, RfbClient)
        with stopped(worker_with(process, console)):
            delete(installation, f"/v1/tokens/{answer['token_id']}")
        assert console.wait_for_close().code == 4002
        process.terminate()
        ended(process)

    def test_a_token_opens_one_session_whichever_workers_see_it(
        self, installation: Installation, manager: Manager
    ) -> None:
        process = installation.serve(environment=manager.environment)
        manager.wait_for("READY", "1")
        for _ in range(4):
            answers = at_once(installation, [token(installation)] * 8)
            consoles = [answer for answer in answers if isinstance(answer, RfbClient)]
            assert len(consoles) == 1
            assert {answer for answer in answers if isinstance(answer, int)} == {403}
            consoles[0].close()
        process.terminate()
        ended(process)

    def test_max_sessions_is_exact_over_all_workers(self, installation: Installation, manager: Manager) -> None:
        installation.workers = 4
        installation.more = "[proxy]\nmax_sessions = 10"
        process = installation.serve(environment=manager.environment)
        manager.wait_for("READY", "1")
        tokens = [token(installation) for _ in range(40)]
        answers = at_once(installation, tokens)
        consoles = [answer for answer in answers if isinstance(answer, RfbClient)]
        assert len(consoles) == 10
        assert len(sessions_by_worker(process, consoles)) > 1
        assert {answer for answer in answers if isinstance(answer, int)} == {503}
        spare = [one for one, answer in zip(tokens, answers, strict=True) if answer == 503]

        consoles.pop().close()
        until(lambda: metrics(installation)["porthole_sessions"] == 9)
        assert isinstance(connect(installation, spare[0]), RfbClient)
        assert connect(installation, spare[1]) == 503

        # A worker that is killed gives its places back.
        (pid, lost), *_ = sessions_by_worker(process, consoles).most_common()
        os.kill(pid, signal.SIGKILL)
        until(lambda: pid not in workers_of(process) and len(workers_of(process)) == 4)
        answers = at_once(installation, spare[1:20])
        assert len([answer for answer in answers if isinstance(answer, RfbClient)]) >= lost
        assert 503 in answers
        process.terminate()
        ended(process)

    def test_wrong_passwords_count_whichever_worker_saw_them(
        self, installation: Installation, manager: Manager
    ) -> None:
        installation.more = "[limits]\nfailed_sign_ins = 2"
        process = installation.serve(environment=manager.environment)
        manager.wait_for("READY", "1")

        def sign_in() -> int:
            wrong = {"Authorization": "Basic " + base64.b64encode(b"ann:wrong password").decode()}
            request = urllib.request.Request(f"http://127.0.0.1:{installation.port}/v1/instances", headers=wrong)
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(request, timeout=30)
            caught.value.close()
            return caught.value.code

        first, second = workers_of(process)
        answers = []
        for hanging in (first, second, first):
            with stopped(hanging):
                answers.append(sign_in())
        assert answers == [401, 401, 429]
        process.terminate()
        ended(process)


class TestMetrics:
    def test_whoever_is_asked_has_the_sums_and_what_died_is_not_forgotten(
        self, installation: Installation, manager: Manager
    ) -> None:
        process = installation.serve(environment=manager.environment)
        manager.wait_for("READY", "1")
        here, there = at_two_workers(installation, process)
        until(lambda: metrics(installation)["porthole_sessions"] == 2)
        before = metrics(installation)
        for pid in workers_of(process):
            with stopped(pid):
                assert metrics(installation)["porthole_sessions"] == 2
        assert before['porthole_computes{state="up"}'] == 1, "not one for each worker"

        os.kill(worker_with(process, there), signal.SIGKILL)
        until(lambda: metrics(installation)["porthole_sessions"] == 1)
        until(lambda: len(workers_of(process)) == 2)
        after = metrics(installation)
        for name in ("porthole_sessions_started_total", "porthole_console_tokens_total"):
            assert after[name] == before[name]
        assert_lives(here)
        process.terminate()
        ended(process)


class TestCrash:
    def test_a_worker_that_is_killed_is_replaced_and_its_sessions_are_put_in_order(
        self, installation: Installation, manager: Manager
    ) -> None:
        process = installation.serve(environment=manager.environment)
        manager.wait_for("READY", "1")
        here, there = at_two_workers(installation, process)
        pid = worker_with(process, there)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises((OSError, Closed, websocket.WebSocketException)):
            there.read(1)
        until(lambda: pid not in workers_of(process) and len(workers_of(process)) == 2)

        def listed() -> int:
            sessions = call(installation, "GET", "/v1/sessions")[1]["sessions"]
            assert isinstance(sessions, list)
            return len(sessions)

        until(lambda: listed() == 1, seconds=10)  # and not only when it has given no sign of life for 15 s
        assert_lives(here)
        process.terminate()
        log = ended(process)
        assert sum(event.startswith("Booting worker") for event in events(log, "info")) == 3


class TestDrain:
    def test_all_workers_drain_and_say_so(self, installation: Installation, manager: Manager) -> None:
        process = installation.serve(environment=manager.environment)
        manager.wait_for("READY", "1")
        consoles = at_two_workers(installation, process)
        halves = []
        for _ in range(4):
            half = socket.create_connection(("127.0.0.1", installation.port), timeout=30)
            half.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\n")
            halves.append(half)
        call(installation, "GET", "/healthz")
        process.send_signal(signal.SIGUSR2)
        manager.wait_for("STATUS", "Draining: 2 sessions until 20")
        for half in halves:
            half.sendall(b"\r\n")
            answer = b""
            while data := half.recv(4096):
                answer += data
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b'"draining"' in answer
            half.close()
        for console in consoles:
            assert_lives(console)
            console.websocket.close()
        log = ended(process)
        assert not events(log, "warning", "error", "critical")
        assert events(log, "info").count("drained") == 2
