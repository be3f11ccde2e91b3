"""Admission: what is asked in which order, and that nothing of a refused connection stays."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
import pytest
import structlog
from gevent import socket
from gevent.server import StreamServer

from porthole.auth.errors import Forbidden
from porthole.auth.policy import Policy
from porthole.auth.principal import Principal, Role
from porthole.compute.errors import ComputeUnavailable, InstanceNotFound, InstanceNotRunning
from porthole.compute.model import ConnectInfo, Instance, PowerState
from porthole.config import AuthScheme
from porthole.consoleauth.errors import TokenExpired, TokenInvalid, TokenMissing, TokenUsed
from porthole.consoleauth.keys import KeyRing
from porthole.consoleauth.tokens import CONSOLE_SALT, ConsoleAuth
from porthole.metrics import Metrics
from porthole.proxy import target
from porthole.proxy.errors import OriginRefused, TargetInsecure, TargetLocked, TargetUnreachable, TooManySessions
from porthole.proxy.gate import UpgradeRequest
from porthole.proxy.origin import OriginPolicy
from porthole.proxy.rfb.password import VncPassword
from porthole.proxy.rfb.policy import SecurityPolicy
from porthole.proxy.upgrade import resume_hash
from porthole.sessions.admission import Admission, Described
from porthole.sessions.records import Lifetime, Records
from porthole.sessions.registry import OwnPlaces, Sessions
from porthole.sessions.session import Session
from porthole.state.sessions import SessionTable
from porthole.state.sqlite import SqliteStore
from porthole.state.verdict import SessionLimits
from tests.unit.audited import Audited

ID = "0a7a9a6e-3a5e-4a52-b1c9-2a7f0d3f4d11"
INSTANCE = Instance(ID, "web-1", "c1", PowerState.RUNNING, "instance-00000001", "p")


class VncServer:
    """Lets everybody in without TLS, and notices what becomes of its connections."""

    def __init__(self) -> None:
        self._taken = self._open = 0
        self._server = StreamServer(("127.0.0.1", 0), self._take)
        self._server.start()
        self.port = int(self._server.server_port or 0)

    def _take(self, connection: socket.socket, _address: object) -> None:
        self._taken += 1
        self._open += 1
        with contextlib.suppress(ConnectionResetError):
            connection.sendall(b"RFB 003.008\n")
            connection.recv(12)
            connection.sendall(b"\x01\x01")
            connection.recv(1)
            connection.sendall(bytes(4))
            connection.recv(1)
        self._open -= 1

    def accepted(self, count: int) -> bool:
        """Whether so many connections came; each has had the time to."""
        gevent.sleep(0.02)
        return self._taken == count

    def all_closed(self) -> bool:
        """Whether each connection that came has been closed; waits for it."""
        end = time.monotonic() + 10
        while time.monotonic() < end and (self._open or not self._taken):
            gevent.sleep(0.01)
        return bool(self._taken) and not self._open

    def stop(self) -> None:
        self._server.stop(timeout=1)


class Instances:
    """Instances as libvirt would report them, one answer after the other."""

    def __init__(self, port: int) -> None:
        self.domain_id, self.port = 1, port
        self.schemes: tuple[AuthScheme, ...] = (AuthScheme.NONE,)
        self.asked = 0
        self.asked_for_password: list[bool] = []
        self.password: VncPassword | None = None
        self.instance = INSTANCE
        self.error: Exception | None = None
        self.before_the_second_answer: Callable[[], None] = lambda: None

    def connect_info(
        self, instance_id: str, may_see: Callable[[Instance], bool], *, with_password: bool = False
    ) -> ConnectInfo:
        assert instance_id == ID
        self.asked += 1
        self.asked_for_password.append(with_password)
        if self.asked % 2 == 0:
            self.before_the_second_answer()
        if self.error is not None:
            raise self.error
        if not may_see(self.instance):
            raise InstanceNotFound(instance_id)
        password = self.password if with_password else None
        security = SecurityPolicy(self.schemes, "c1")
        return ConnectInfo(self.instance, "127.0.0.1", self.port, self.domain_id, security, password=password)

    def power_state(self, instance_id: str) -> PowerState | None:
        assert instance_id == ID
        return PowerState.RUNNING


class World:
    """An admission and all around it."""

    def __init__(self, folder: Path, token_uses: int = 0, rules: str = "") -> None:
        self.now = time.time()
        self.vnc = VncServer()
        file = folder / "policy.yaml"
        file.write_text(rules)
        self.policy = Policy(file)
        self.instances = Instances(self.vnc.port)
        self.store = SqliteStore(folder / "store", clock=lambda: self.now)
        self.console_auth = ConsoleAuth(KeyRing((b"k" * 32,)), self.store, 600, clock=lambda: self.now)
        self.metrics = Metrics()
        self.table = SessionTable(self.store, 60)
        self.records = Records(self.table, token_uses, SessionLimits(), Lifetime())
        self.audited = Audited(folder)
        self.sessions = Sessions(OwnPlaces(2), self.metrics, self.records, self.audited.recorder)
        self.principal: Principal | None = Principal("max", "p", frozenset({Role.MEMBER}))
        self.issued = self.console_auth.authorize(instance_id=ID, console_type="novnc", user_id="max", project_id="p")
        self.admission = self.make()

    def make(self) -> Admission:
        return Admission(
            console_auth=self.console_auth,
            find_principal=lambda claims: self.principal if claims.user_id == "max" else None,
            policy=self.policy,
            instances=self.instances,
            sessions=self.sessions,
            origins=OriginPolicy("http://127.0.0.1:6080/vnc_auto.html", ()),
            connect_timeout=2.0,
            vnc_tls=None,
            looks_at_input=False,
        )

    def request(
        self, *, token: str | None = "", origin: str | None = None, secret: str | None = None
    ) -> UpgradeRequest:
        return UpgradeRequest(
            scheme="http",
            host="127.0.0.1:6080",
            origin=origin,
            token=self.issued.token if token == "" else token,
            client="192.0.2.9",
            resume_hash=resume_hash(secret) if secret else None,
        )

    def describe(self, token: str | None, secret: str | None = None) -> Described:
        return self.admission.describe(token, resume_hash(secret) if secret else None, "192.0.2.9")

    def refused(self, error: type[Exception], **request: str | None) -> None:
        """The upgrade is refused with this error, and leaves no place taken."""
        with pytest.raises(error):
            self.admission.admit(self.request(**request))
        assert len(self.sessions) == 0
        assert self.places() == 2

    def places(self) -> int:
        """How many more sessions are taken."""
        count = 0
        try:
            while True:
                self.sessions.reserve()
                count += 1
        except TooManySessions:
            pass
        for _ in range(count):
            self.sessions.release()
        return count


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.vnc.stop()
    world.audited.recorder.close()
    world.store.close()


def test_a_good_request_becomes_a_session_connected_to_the_instance(world: World) -> None:
    session = world.admission.admit(world.request(origin="http://127.0.0.1:6080"))
    assert (session.claims, session.info.instance, session.client) == (world.issued.claims, INSTANCE, "192.0.2.9")
    assert world.vnc.accepted(1)
    assert session.target.socket.getpeername()[1] == world.vnc.port
    assert len(world.sessions) == 1
    session.target.socket.close()
    session.ended(None)
    session.ended(None)
    assert len(world.sessions) == 0
    assert world.places() == 2
    assert world.metrics.registry.get_sample_value("porthole_sessions") == 0


class TestOrder:
    """Each check is reached only when all before it were passed: whoever fails early learns nothing of the rest."""

    def test_the_origin_is_first(self, world: World) -> None:
        for token in (None, "nonsense", world.issued.token):
            world.refused(OriginRefused, token=token, origin="http://evil.example")
        assert world.instances.asked == 0

    def test_then_the_token(self, world: World) -> None:
        world.principal = None
        world.refused(TokenMissing, token=None)
        world.refused(TokenInvalid, token=world.issued.token + "x")
        world.table.revoke(world.issued.claims.token_id, 4002, "revoked")
        world.refused(TokenInvalid)
        world.now += 600
        world.refused(TokenExpired)
        assert world.instances.asked == 0

    def test_then_the_person(self, world: World) -> None:
        world.sessions.end_all(1001, "no more places")
        world.principal = None
        with pytest.raises(TokenInvalid):
            world.admission.admit(world.request())
        world.principal = Principal("max", "p", frozenset({Role.READER}))
        with pytest.raises(Forbidden):
            world.admission.admit(world.request())
        assert world.instances.asked == 0

    def test_then_the_limit(self, world: World) -> None:
        first, second = (world.admission.admit(world.request()) for _ in range(2))
        asked = world.instances.asked
        with pytest.raises(TooManySessions):
            world.admission.admit(world.request())
        assert world.instances.asked == asked
        for session in (first, second):
            session.target.socket.close()
            session.ended(None)
        assert world.places() == 2

    @pytest.mark.parametrize(
        "error",
        [InstanceNotFound(ID), InstanceNotRunning(ID, PowerState.SHUTDOWN), ComputeUnavailable("c1", "timed out")],
    )
    def test_then_the_instance(self, world: World, error: Exception) -> None:
        world.instances.error = error
        world.refused(type(error))
        assert world.vnc.accepted(0)

    def test_then_its_vnc_server(self, world: World) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            world.instances.port = unused.getsockname()[1]
            world.refused(TargetUnreachable)

    def test_and_its_security(self, world: World) -> None:
        world.instances.schemes = (AuthScheme.VENCRYPT,)
        with structlog.testing.capture_logs() as lines:
            world.refused(TargetInsecure)
        (line,) = lines
        assert (line["event"], line["compute"], line["instance"]) == ("VNC server not secure", "c1", ID)
        assert "this VNC server is without TLS" in line["why"]
        assert world.vnc.all_closed()

    def test_while_somebody_is_being_admitted_the_place_is_taken(self, world: World) -> None:
        seen = []
        world.instances.before_the_second_answer = lambda: seen.append(world.places())
        world.admission.admit(world.request()).ended(None)
        assert seen == [1]


class TestOwners:
    """Whose the instance is counts at every connect, as libvirt says it then."""

    def test_one_that_is_anothers_by_now_is_as_one_that_is_gone(self, world: World) -> None:
        answers = []
        for owner, error in (("another", None), ("", None), ("p", InstanceNotFound(ID))):
            world.instances.instance, world.instances.error = dataclasses.replace(INSTANCE, project_id=owner), error
            for ask in (lambda: world.admission.admit(world.request()), lambda: world.describe(world.issued.token)):
                with pytest.raises(InstanceNotFound) as refused:
                    ask()
                answers.append((str(refused.value), refused.value.instance))
        assert set(answers) == {(f"Instance {ID} could not be found.", ID)}
        assert world.vnc.accepted(0)
        assert [line["reason"] for line in world.audited.lines()] == [answers[0][0]] * 6

    def test_one_that_is_anothers_when_the_connection_stands_is_gone_too(self, world: World) -> None:
        def give_away() -> None:
            world.instances.instance = dataclasses.replace(INSTANCE, project_id="another")

        world.instances.before_the_second_answer = give_away
        world.refused(InstanceNotFound)
        assert world.vnc.all_closed()

    def test_an_administrator_sees_it_all_the_same(self, world: World) -> None:
        world.instances.instance = dataclasses.replace(INSTANCE, project_id="another")
        world.principal = Principal("max", "p", frozenset({Role.ADMIN}))
        assert world.describe(world.issued.token).instance.project_id == "another"

    def test_one_that_may_be_seen_and_not_opened_is_forbidden(self, tmp_path: Path) -> None:
        rule = '"os_compute_api:os-remote-consoles": "rule:project_member_api and user_id:%(user_id)s"'
        world = World(tmp_path, rules=rule)
        world.instances.instance = dataclasses.replace(INSTANCE, user_id="eve")
        world.refused(Forbidden)
        with pytest.raises(Forbidden):
            world.describe(world.issued.token)
        assert world.vnc.accepted(0)
        world.instances.instance = dataclasses.replace(INSTANCE, user_id="max")
        assert world.describe(world.issued.token).instance.user_id == "max"
        world.vnc.stop()
        world.audited.recorder.close()
        world.store.close()


class TestPassword:
    def test_it_is_asked_for_at_the_connect_alone_and_the_session_does_not_have_it(self, world: World) -> None:
        world.instances.password = VncPassword("s3cret")
        world.describe(world.issued.token)
        session = world.admission.admit(world.request())
        assert world.instances.asked_for_password == [False, True, False]
        assert session.info.password is None
        session.target.socket.close()
        session.ended(None)

    @pytest.mark.parametrize(
        ("error", "event"),
        [
            (TargetLocked("c1: wrong"), "VNC password not accepted"),
            (TargetInsecure("c1: no TLS"), "VNC server not secure"),
            (TargetUnreachable("c1: silent"), "VNC server unreachable"),
        ],
    )
    def test_each_refusal_of_the_vnc_server_has_its_own_line(
        self, world: World, monkeypatch: pytest.MonkeyPatch, error: TargetInsecure | TargetUnreachable, event: str
    ) -> None:
        given = []

        def refuse(
            _address: object, _timeout: float, _policy: object, _tls: object, password: object, *_more: object
        ) -> None:
            given.append(password)
            raise error

        monkeypatch.setattr(target, "connect", refuse)
        world.instances.password = VncPassword("s3cret")
        with structlog.testing.capture_logs() as lines:
            world.refused(type(error))
        (line,) = lines
        assert (line["event"], line["why"]) == (event, error.why)
        assert given == [VncPassword("s3cret")]


class TestPortReuse:
    """CVE-2013-0335: the port is another guest's by the time the connection stands."""

    def test_the_instance_was_started_anew_meanwhile(self, world: World) -> None:
        def restart() -> None:
            world.instances.domain_id = 2

        world.instances.before_the_second_answer = restart
        world.refused(TargetUnreachable)
        assert world.vnc.accepted(1)
        assert world.vnc.all_closed()

    def test_it_went_to_another_port(self, world: World) -> None:
        def move() -> None:
            world.instances.port = 1

        world.instances.before_the_second_answer = move
        world.refused(TargetUnreachable)
        assert world.vnc.all_closed()

    @pytest.mark.parametrize("error", [InstanceNotFound(ID), ComputeUnavailable("c1", "timed out")])
    def test_it_went_away_or_nobody_can_say(self, world: World, error: Exception) -> None:
        def go() -> None:
            world.instances.error = error

        world.instances.before_the_second_answer = go
        world.refused(type(error))
        assert world.vnc.all_closed()

    def test_the_handler_was_killed_meanwhile(self, world: World) -> None:
        world.instances.before_the_second_answer = lambda: gevent.sleep(60)
        admitting = gevent.spawn(world.admission.admit, world.request())
        gevent.sleep(0.1)
        assert world.vnc.accepted(1)
        admitting.kill()
        assert world.vnc.all_closed()
        assert world.places() == 2


class TestDescribe:
    def test_it_says_what_a_token_would_open_and_takes_no_place(self, world: World) -> None:
        assert world.describe(world.issued.token) == Described(world.issued.claims, INSTANCE, None)
        assert world.vnc.accepted(0)

    def test_it_refuses_as_an_upgrade_would(self, world: World) -> None:
        with pytest.raises(TokenMissing):
            world.describe(None)
        world.instances.error = InstanceNotFound(ID)
        with pytest.raises(InstanceNotFound):
            world.describe(world.issued.token)
        world.principal = None
        with pytest.raises(TokenInvalid):
            world.describe(world.issued.token)


class TestSingleUse:
    """The token is used last: whatever is refused before leaves it as it was."""

    @pytest.fixture
    def once(self, tmp_path: Path) -> Iterator[World]:
        world = World(tmp_path, token_uses=1)
        yield world
        world.audited.recorder.close()
        world.vnc.stop()
        world.store.close()

    def over(self, session: Session) -> None:
        session.target.socket.close()
        session.ended(None)

    def test_no_refusal_uses_it_up(self, once: World) -> None:
        once.refused(OriginRefused, origin="http://evil.example")
        once.instances.error = InstanceNotRunning(ID, PowerState.SHUTDOWN)
        once.refused(InstanceNotRunning)
        once.instances.error = None
        once.instances.schemes = (AuthScheme.VENCRYPT,)
        once.refused(TargetInsecure)
        once.instances.schemes = (AuthScheme.NONE,)
        for _ in range(2):
            once.sessions.reserve()
        with pytest.raises(TooManySessions):
            once.admission.admit(once.request())
        for _ in range(2):
            once.sessions.release()
        self.over(once.admission.admit(once.request()))
        once.refused(TokenUsed)
        with pytest.raises(TokenUsed):
            once.describe(once.issued.token)

    def test_of_two_at_once_the_slower_one_is_refused_and_its_connection_closed(self, once: World) -> None:
        """Both have passed every check when the first of them uses the token."""
        admitting: list[gevent.Greenlet[..., Session]] = []
        once.instances.before_the_second_answer = lambda: gevent.sleep(0.05)
        admitting = [gevent.spawn(once.admission.admit, once.request(secret=name)) for name in ("one", "other")]
        gevent.joinall(admitting, timeout=10)
        won = [one.value for one in admitting if one.successful()]
        lost = [one.exception for one in admitting if not one.successful()]
        assert [type(error) for error in lost] == [TokenUsed]
        assert len(once.sessions) == len(won) == 1
        assert once.places() == 1
        session = won[0]
        assert session is not None
        self.over(session)
        assert once.vnc.all_closed()

    def test_the_same_browser_goes_on_and_everything_is_asked_again(self, once: World) -> None:
        first = once.admission.admit(once.request(secret="s"))
        self.over(first)
        once.now += 50
        second = once.admission.admit(once.request(secret="s"))
        assert second.record.session_id == first.record.session_id
        assert second.record.connection != first.record.connection
        self.over(second)
        once.instances.error = InstanceNotRunning(ID, PowerState.SHUTDOWN)
        once.refused(InstanceNotRunning, secret="s")
        once.principal = Principal("max", "p", frozenset({Role.READER}))
        once.refused(Forbidden, secret="s")
        once.principal = None
        once.refused(TokenInvalid, secret="s")

    def test_the_page_that_asks_is_told_of_its_session_and_keeps_it(self, once: World) -> None:
        session = once.admission.admit(once.request(secret="s"))
        self.over(session)
        for _ in range(5):
            once.now += 50
            described = once.describe(once.issued.token, "s")
            assert described.session is not None
            assert described.session.session_id == session.record.session_id
        with pytest.raises(TokenUsed):
            once.describe(once.issued.token, "another")
        once.now += 61
        with pytest.raises(TokenUsed):
            once.describe(once.issued.token, "s")

    def test_a_leaked_key_cannot_take_over_somebody_elses_session(self, once: World) -> None:
        """Signed with our key, under the id of a token that has a session, and for another instance."""
        self.over(once.admission.admit(once.request(secret="s")))
        claims = {**dataclasses.asdict(once.issued.claims), "instance_id": "another"}
        forged = KeyRing((b"k" * 32,)).serializer(CONSOLE_SALT).dumps(claims)
        once.refused(TokenInvalid, secret="s", token=str(forged))
