"""A reload takes over whatever has changed, and no console ends for it. No host is needed."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from porthole import cli
from porthole.auth.users import add_user
from tests.integration.test_generations import PASSWORD, assert_lives, call, ended, events, open_console
from tests.integration.test_workers import connect, token
from tests.service.installation import Installation, free_port
from tests.service.manager import Manager
from tests.service.rfb import Closed, RfbClient
from tests.service.vnc import EchoingVnc
from tests.service.workers import Log, until, worker_with, workers_of

KEY = struct.Struct("!BBxxI")
"""KeyEvent (RFC 6143 7.5.4)."""


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


class Typing:
    """Somebody who types at many consoles, and reads what comes back.

    :ivar rounds: how often each console had its key and its answer
    """

    def __init__(self) -> None:
        self.consoles: list[RfbClient] = []
        self.rounds = 0
        self._typed: dict[int, int] = {}

    def round(self) -> None:
        """One key at each, with a number that nobody else has there."""
        consoles = list(self.consoles)
        for console in consoles:
            number = self._typed[id(console)] = self._typed.get(id(console), 0) + 1
            console.send(KEY.pack(4, number % 2, number))
        for console in consoles:
            number = self._typed[id(console)]
            assert console.read(KEY.size) == KEY.pack(4, number % 2, number)
        self.rounds += 1


class Background:
    """Something that is done again and again, in a thread.

    :ivar failures: what went wrong
    """

    def __init__(self, work: Callable[[], None]) -> None:
        self.failures: list[str] = []
        self._work = work
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set() and not self.failures:
            try:
                self._work()
            except (OSError, AssertionError, Closed, http.client.HTTPException) as error:
                self.failures.append(repr(error))

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(60)


class TestReload:
    def test_200_sessions_go_on_in_order_through_ten_reloads_and_nobody_is_refused(
        self, installation: Installation, manager: Manager
    ) -> None:
        process = installation.serve(environment=manager.environment)
        manager.wait_for("READY", "1")
        log = Log(process)
        typing = Typing()
        typing.consoles += [open_console(installation) for _ in range(100)]
        asked = [0]

        def ask() -> None:
            connection = http.client.HTTPConnection("127.0.0.1", installation.port, timeout=30)
            connection.request("GET", "/readyz")
            assert connection.getresponse().status == 200
            connection.close()
            asked[0] += 1
            time.sleep(0.005)

        background = [Background(typing.round), Background(ask)]
        for number in range(10):
            rounds = typing.rounds
            installation.configure(graceful_shutdown_timeout=3000 + number)
            process.send_signal(signal.SIGHUP)
            manager.wait_for("RELOADING", "1")
            manager.wait_for("READY", "1")
            typing.consoles += [open_console(installation) for _ in range(10)]
            while typing.rounds <= rounds + 1 and not background[0].failures:
                time.sleep(0.05)
            assert [one.failures for one in background] == [[], []]
        assert len(workers_of(process)) == 2 * 11, "each set before still has its sessions"
        manager.wait_for("STATUS", "Ready: 200 sessions (190 from before a reload), 1 of 1 compute hosts")
        for one in background:
            one.stop()
        assert [one.failures for one in background] == [[], []]
        assert asked[0] > 100
        typing.round()
        for console in typing.consoles[:100]:
            console.websocket.close(timeout=0)
        until(lambda: len(workers_of(process)) < 2 * 11)
        process.terminate()
        assert not events(log.ended(), "warning", "error", "critical")

    def test_new_sessions_have_the_new_options_and_old_ones_their_own(
        self, installation: Installation, manager: Manager
    ) -> None:
        process = installation.serve(environment=manager.environment)
        manager.wait_for("READY", "1")
        before = workers_of(process)
        old = open_console(installation)
        installation.workers = 1
        installation.more = "[proxy]\nmax_sessions = 2"
        installation.configure()
        process.send_signal(signal.SIGHUP)
        manager.wait_for("RELOADING", "1")
        manager.wait_for("READY", "1")
        new = open_console(installation)
        assert worker_with(process, old) in before
        assert worker_with(process, new) not in before
        with pytest.raises(Exception, match="503"):
            open_console(installation)
        until(lambda: len(workers_of(process)) == 2)  # the one with the old session, and the new one
        old.close()
        until(lambda: len(workers_of(process)) == 1)
        assert_lives(new)
        process.terminate()
        (line,) = [line for line in ended(process) if line["event"] == "new workers start"]
        assert line["options"] == ["[DEFAULT] workers", "[proxy] max_sessions"]

    def test_keys_that_changed_are_taken_over(self, installation: Installation, manager: Manager) -> None:
        process = installation.serve(environment=manager.environment)
        manager.wait_for("READY", "1")
        before = workers_of(process)
        from_before = token(installation)
        assert cli.main(["keys", "add", str(installation.folder / "token.keys")]) == 0
        process.send_signal(signal.SIGHUP)
        manager.wait_for("RELOADING", "1")
        manager.wait_for("READY", "1")
        until(lambda: not set(before) & set(workers_of(process)))
        console = connect(installation, from_before)
        assert isinstance(console, RfbClient)
        assert_lives(console)
        assert_lives(open_console(installation))
        process.terminate()
        ended(process)

    def test_a_worker_that_dies_is_replaced_while_others_drain_and_those_are_not(
        self, installation: Installation, manager: Manager
    ) -> None:
        process = installation.serve(environment=manager.environment)
        manager.wait_for("READY", "1")
        old = open_console(installation)
        installation.configure(graceful_shutdown_timeout=3000)
        process.send_signal(signal.SIGHUP)
        manager.wait_for("RELOADING", "1")
        manager.wait_for("READY", "1")
        until(lambda: len(workers_of(process)) == 3)
        keeper = worker_with(process, old)
        victim = next(pid for pid in workers_of(process) if pid != keeper)
        os.kill(victim, signal.SIGKILL)
        until(lambda: victim not in workers_of(process) and len(workers_of(process)) == 3)
        assert_lives(old)
        os.kill(keeper, signal.SIGKILL)
        until(lambda: len(workers_of(process)) == 2)
        assert_lives(open_console(installation))
        assert len(workers_of(process)) == 2
        process.terminate()
        ended(process)

    def test_sessions_from_before_have_their_time_and_no_more(
        self, installation: Installation, manager: Manager
    ) -> None:
        process = installation.serve(environment=manager.environment)
        manager.wait_for("READY", "1")
        console = open_console(installation)
        installation.configure(graceful_shutdown_timeout=1)
        process.send_signal(signal.SIGHUP)
        manager.wait_for("RELOADING", "1")
        with pytest.raises(Closed, match=r"1001 .*Connect again"):
            console.read(1)
        until(lambda: len(workers_of(process)) == 2)
        assert_lives(open_console(installation))
        process.terminate()
        ended(process)

    def test_a_second_reload_during_the_first_is_the_one_that_counts(
        self, installation: Installation, manager: Manager
    ) -> None:
        process = installation.serve(environment=manager.environment)
        manager.wait_for("READY", "1")
        console = open_console(installation)
        for workers in (4, 3, 1):
            installation.workers = workers
            installation.configure()
            process.send_signal(signal.SIGHUP)
            manager.wait_for("RELOADING", "1")
        manager.wait_for("READY", "1")
        until(lambda: len(workers_of(process)) == 2)
        assert_lives(console)
        assert_lives(open_console(installation))
        process.terminate()
        ended(process)


class TestMistakes:
    def test_a_key_file_that_cannot_be_read_changes_nothing(self, installation: Installation, manager: Manager) -> None:
        process = installation.serve(environment=manager.environment)
        manager.wait_for("READY", "1")
        before = workers_of(process)
        (installation.folder / "token.keys").write_text("short\n")
        process.send_signal(signal.SIGHUP)
        manager.wait_for("RELOADING", "1")
        manager.wait_for("READY", "1")
        assert workers_of(process) == before
        assert_lives(open_console(installation))
        process.terminate()
        (line,) = [line for line in ended(process) if line["event"] == "configuration not taken over"]
        assert "token.keys" in str(line["why"])

    def test_new_workers_that_cannot_start_are_given_up_and_the_old_ones_go_on(
        self, installation: Installation, manager: Manager
    ) -> None:
        process = installation.serve(environment=manager.environment)
        manager.wait_for("READY", "1")
        before = workers_of(process)
        console = open_console(installation)
        store = installation.folder / "state" / "porthole.sqlite"
        shutil.move(store, store.with_suffix(".away"))
        store.write_text("This is no database, however long one looks at it. " * 100)
        installation.configure(graceful_shutdown_timeout=3000)
        process.send_signal(signal.SIGHUP)
        manager.wait_for("RELOADING", "1")
        manager.wait_for("READY", "1")
        shutil.move(store.with_suffix(".away"), store)
        until(lambda: workers_of(process) == before)
        assert_lives(console)
        until(lambda: call(installation, "GET", "/readyz")[0] == 200)
        assert_lives(open_console(installation))
        process.terminate()
        (line,) = [line for line in ended(process) if line["event"] == "configuration not taken over"]
        assert "could not start" in str(line["why"])
