"""A session's life: how it is ended from outside, what its browser is told, and what is counted."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gevent
import pytest
import structlog
from gevent import socket

from porthole.compute.errors import ComputeUnavailable
from porthole.compute.model import ConnectInfo, Instance, PowerState
from porthole.config import AuthScheme
from porthole.consoleauth.tokens import Claims
from porthole.metrics import Metrics
from porthole.proxy.buffers import ReadBuffers
from porthole.proxy.ended import Ended
from porthole.proxy.errors import CloseCode, ServiceStopping, TooManySessions
from porthole.proxy.relay import Relay
from porthole.proxy.rfb.policy import SecurityPolicy
from porthole.proxy.rfb.server import Opened
from porthole.proxy.rfb.wire import SecurityType, Version
from porthole.proxy.target import Target
from porthole.sessions import session as session_module
from porthole.sessions.records import Lifetime, Recorded, Records
from porthole.sessions.registry import OwnPlaces, Sessions
from porthole.sessions.session import Session
from porthole.sessions.start import Start
from porthole.state.database import StoreUnavailable
from porthole.state.sessions import SessionTable
from porthole.state.sqlite import SqliteStore
from porthole.state.verdict import SessionLimits
from tests.unit.audited import Audited
from tests.unit.proxy.dialogue import Dialogue, tcp_pair

ID = "0a7a9a6e-3a5e-4a52-b1c9-2a7f0d3f4d11"
CLAIMS = Claims("f" * 32, ID, "novnc", "full", "max", "p", 2_000_000_000)
INSTANCE = Instance(ID, "web-1", "c1", PowerState.RUNNING, "instance-00000001", "default")
INFO = ConnectInfo(INSTANCE, "127.0.0.1", 5900, 1, SecurityPolicy((AuthScheme.NONE,), "c1"))
RECORDED = Recorded("5" * 32, "c" * 16, None)
OPENED = Opened(Version.V3_8, SecurityType.NONE)


def start(sessions: Sessions, claims: Claims = CLAIMS) -> Start:
    """What the audit log will know of its start."""
    return Start(sessions.audit, claims, RECORDED.session_id, INFO, "192.0.2.9", resumed=False)


class Live:
    """A session of a registry with a real relay, run as the handler runs it."""

    def __init__(
        self,
        sessions: Sessions,
        *,
        deadline: int | None = None,
        expiry: Callable[[], float | None] = lambda: None,
        claims: Claims = CLAIMS,
        session_id: str = "",
        looks_at_input: bool = False,
        power_state: Callable[[str], PowerState | None] = lambda _: PowerState.RUNNING,
        info: ConnectInfo = INFO,
    ) -> None:
        browser, client = tcp_pair()
        vnc, target = tcp_pair()
        sessions.reserve()
        self.session = Session(
            Recorded(session_id or secrets.token_hex(16), secrets.token_hex(8), deadline),
            claims,
            info,
            Target(target, OPENED),
            "192.0.2.9",
            start=start(sessions, claims),
            power_state=power_state,
            expiry=expiry,
            looks_at_input=looks_at_input,
            forget=sessions.forget,
        )
        sessions.add(self.session)
        relay = Relay(
            client, target, early=b"", opening=None, buffers=ReadBuffers(),
            ping_interval=60, ping_timeout=60, explain=self.session.explain, confirm=self.session.confirm,
            input_=self.session.input,
        )  # fmt: skip
        self.session.started(relay)
        self.dialogue = Dialogue(relay, browser, vnc)

    def told(self) -> tuple[int, str]:
        """What the browser is told at the end."""
        close = self.dialogue.browser_gets_close()
        self.session.ended(self.dialogue.ended())
        self.dialogue.vnc.close()
        return close


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def audited(tmp_path: Path) -> Iterator[Audited]:
    audited = Audited(tmp_path)
    yield audited
    audited.recorder.close()


@pytest.fixture
def sessions(metrics: Metrics, audited: Audited, tmp_path: Path) -> Iterator[Sessions]:
    store = SqliteStore(tmp_path / "store")
    records = Records(SessionTable(store, 60), 1, SessionLimits(), Lifetime())
    yield Sessions(OwnPlaces(2), metrics, records, audited.recorder)
    store.close()


@pytest.fixture
def log() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as lines:
        yield lines


class TestPlaces:
    def test_there_are_as_many_as_the_limit_and_they_come_back(self, sessions: Sessions) -> None:
        for _ in range(3):
            sessions.reserve()
            sessions.reserve()
            with pytest.raises(TooManySessions):
                sessions.reserve()
            sessions.release()
            sessions.release()

    def test_a_session_keeps_its_place_until_its_end(self, sessions: Sessions) -> None:
        live = Live(sessions)
        sessions.reserve()
        with pytest.raises(TooManySessions):
            sessions.reserve()
        live.session.end(CloseCode.ENDED_BY_ADMINISTRATOR, "An administrator ended this session.")
        live.told()
        sessions.reserve()

    def test_a_session_that_ends_twice_gives_one_place_back(self, sessions: Sessions, metrics: Metrics) -> None:
        live = Live(sessions)
        live.session.end(CloseCode.NORMAL, "over")
        live.told()
        live.session.ended(None)
        sessions.reserve()
        sessions.reserve()
        with pytest.raises(TooManySessions):
            sessions.reserve()
        assert metrics.registry.get_sample_value("porthole_sessions") == 0
        assert metrics.registry.get_sample_value("porthole_sessions_started_total") == 1


class TestEnds:
    def test_all_at_once_and_nobody_comes_after(self, sessions: Sessions) -> None:
        lives = [Live(sessions), Live(sessions)]
        sessions.end_all(CloseCode.GOING_AWAY, "The service is being restarted.")
        for live in lives:
            assert live.told() == (1001, "The service is being restarted.")
        assert len(sessions) == 0
        with pytest.raises(ServiceStopping):
            sessions.reserve()

    def test_before_the_101_it_is_told_right_after_it(self, sessions: Sessions) -> None:
        browser, client = tcp_pair()
        vnc, target = tcp_pair()
        session = Session(
            RECORDED, CLAIMS, INFO, Target(target, OPENED), "",
            start=start(sessions), power_state=lambda _: None, forget=lambda *_: None,
        )  # fmt: skip
        session.end(4002, "ended early")
        relay = Relay(
            client, target, early=b"", opening=None, buffers=ReadBuffers(),
            ping_interval=60, ping_timeout=60, explain=session.explain,
        )  # fmt: skip
        session.started(relay)
        dialogue = Dialogue(relay, browser, vnc)
        assert dialogue.browser_gets_close() == (4002, "ended early")
        dialogue.ended()
        vnc.close()

    def test_an_order_that_comes_before_the_session_is_here_is_not_lost(self, sessions: Sessions) -> None:
        """The session is on record, and so can be ended, a moment before it is added."""
        sessions.end(RECORDED.connection, 4002, "ended early")
        one, other = tcp_pair()
        sessions.reserve()
        session = Session(
            RECORDED, CLAIMS, INFO, Target(one, OPENED), "",
            start=start(sessions), power_state=lambda _: None, forget=sessions.forget,
        )  # fmt: skip
        sessions.add(session)
        assert session._end_early == (4002, "ended early")
        session.ended(None)
        one.close()
        other.close()

    @pytest.mark.parametrize("left", [1, 0, -1000])
    def test_with_its_token_even_one_that_expires_between_check_and_start(self, sessions: Sessions, left: int) -> None:
        live = Live(sessions, deadline=int(time.time()) + left)
        assert live.told() == (4001, "The time of this session is over.")

    def test_a_renewal_is_noticed_when_its_time_seems_over(self, sessions: Sessions) -> None:
        now = int(time.time())
        answers = [now + 1, None]
        live = Live(sessions, deadline=now, expiry=lambda: answers.pop(0))
        assert live.told() == (4001, "The time of this session is over.")
        assert answers == []
        assert time.time() >= now + 1

    def test_one_that_cannot_be_asked_about_ends_at_its_time(self, sessions: Sessions) -> None:
        def unavailable() -> float | None:
            raise StoreUnavailable("locked")

        assert Live(sessions, deadline=int(time.time()), expiry=unavailable).told()[0] == 4001

    def test_of_two_connections_of_a_session_the_older_one_goes(self, sessions: Sessions) -> None:
        older, newer = Live(sessions, session_id="s"), Live(sessions, session_id="s")
        assert older.told() == (4005, "This console was taken over by another connection of the same browser.")
        assert sessions.live() == [newer.session]
        newer.session.end(CloseCode.NORMAL, "over")
        newer.told()

    def test_the_timer_goes_with_the_session(self, sessions: Sessions) -> None:
        live = Live(sessions, deadline=int(time.time()) + 3600)
        live.session.end(CloseCode.NORMAL, "over")
        live.told()
        timer = live.session._timer
        assert timer is not None
        gevent.sleep(0)
        assert timer.dead


class TestExplanation:
    """Why the VNC server closed: QEMU's socket is gone before libvirt has noticed."""

    @pytest.mark.parametrize(
        ("state", "reason"),
        [
            (None, "The instance was shut down or deleted."),
            (PowerState.SHUTDOWN, "The instance was shut down."),
            (PowerState.NOSTATE, "The instance was shut down."),
            (PowerState.CRASHED, "The instance has crashed."),
            (PowerState.SUSPENDED, "The instance was suspended."),
        ],
    )
    def test_what_libvirt_says(self, sessions: Sessions, state: PowerState | None, reason: str) -> None:
        live = Live(sessions, power_state=lambda _: state)
        live.dialogue.vnc.close()
        assert live.told() == (4000, reason)

    def test_libvirt_notices_a_little_later(self, sessions: Sessions) -> None:
        answers = [PowerState.RUNNING, PowerState.PAUSED, PowerState.SHUTDOWN]
        live = Live(sessions, power_state=lambda _: answers.pop(0))
        live.dialogue.vnc.close()
        assert live.told() == (4000, "The instance was shut down.")

    def test_it_still_runs(self, sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(session_module, "EXPLAIN_TIMEOUT", 0.2)
        live = Live(sessions)
        live.dialogue.vnc.close()
        assert live.told() == (4003, "The instance's screen was disconnected by its host.")

    def test_libvirt_does_not_answer(self, sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
        def unavailable(_: str) -> PowerState | None:
            raise ComputeUnavailable("c1", "timed out")

        def silent(_: str) -> PowerState | None:
            gevent.sleep(60)
            return None

        monkeypatch.setattr(session_module, "EXPLAIN_TIMEOUT", 0.2)
        for power_state in (unavailable, silent):
            live = Live(sessions, power_state=power_state)
            live.dialogue.vnc.close()
            assert live.told()[0] == 4003

    def test_an_instance_that_libvirt_never_knew_is_not_taken_for_deleted(self, sessions: Sessions) -> None:
        live = Live(sessions, power_state=lambda _: None, info=replace(INFO, is_known=False))
        live.dialogue.vnc.close()
        assert live.told() == (4003, "The instance's screen was disconnected by its host.")


class TestRecord:
    def test_beginning_and_end_are_logged_with_what_was_relayed(self, sessions: Sessions, log: list[Any]) -> None:
        live = Live(sessions)
        live.dialogue.types(b"12345")
        live.dialogue.vnc_gets(5)
        live.dialogue.vnc.sendall(b"123")
        live.dialogue.browser.recv(100)
        live.session.end(CloseCode.ENDED_BY_ADMINISTRATOR, "An administrator ended this session.")
        live.told()
        begun, ended = log
        assert begun["event"] == "session admitted"
        assert (ended["event"], ended["code"], ended["by"]) == ("session ended", 4002, "service")
        assert (ended["bytes_to_client"], ended["bytes_to_target"]) == (3, 5)
        for line in (begun, ended):
            assert (line["instance"], line["user"], line["client"]) == (ID, "max", "192.0.2.9")
            assert line["token_id"] == "f" * 32

    def test_one_that_did_not_start_is_counted_as_an_error_of_ours(
        self, sessions: Sessions, log: list[Any], metrics: Metrics
    ) -> None:
        one, other = tcp_pair()
        sessions.reserve()
        session = Session(
            RECORDED, CLAIMS, INFO, Target(one, OPENED), "",
            start=start(sessions), power_state=lambda _: None, forget=sessions.forget,
        )  # fmt: skip
        sessions.add(session)
        session.ended(None)
        assert log[-1]["reason"] == "The session did not start."
        assert metrics.registry.get_sample_value("porthole_sessions_ended_total", {"close_code": "1011"}) == 1
        one.close()
        other.close()

    def test_codes_that_browsers_make_up_share_one_label(self, sessions: Sessions, metrics: Metrics) -> None:
        for code in (3000, 3001, 4999):
            live = Live(sessions)
            live.session.ended(Ended(code, "made up", "client"))
            live.dialogue.browser.close()
            live.dialogue.ended()
            live.dialogue.vnc.close()
        assert metrics.registry.get_sample_value("porthole_sessions_ended_total", {"close_code": "other"}) == 3


def test_the_target_is_the_connection_that_was_made(sessions: Sessions) -> None:
    live = Live(sessions)
    assert isinstance(live.session.target.socket, socket.socket)
    live.session.end(CloseCode.NORMAL, "over")
    live.told()
