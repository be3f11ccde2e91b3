"""Tokens of Nova: what they say here, where their instance is, and what a connect with one goes through."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from gevent import socket

from porthole.auth.errors import Forbidden
from porthole.auth.principal import Principal, Role
from porthole.compute.errors import ComputeNotAllowed, ComputeUnavailable, InstanceNotFound
from porthole.compute.model import ConnectInfo, Instance, PowerState
from porthole.config import AuthScheme
from porthole.consoleauth.errors import AuthorityUnavailable, TokenInvalid, TokenMissing, TokenOfAnotherConsole
from porthole.consoleauth.nova import NOVA_USER, NovaConsole, token_id
from porthole.proxy.errors import TargetUnreachable
from porthole.sessions.admission import Admission
from porthole.sessions.nova import NovaTokens
from porthole.sessions.rights import holder
from porthole.sessions.session import Session
from tests.unit.sessions.test_admission import ID, INSTANCE, Instances, World

TOKEN = "f807a660-ebf7-461a-94bc-1305f44a9e12"
SECRET = "s" * 43


class Nova:
    """Nova, which says the same of each token, or has an error."""

    def __init__(self, port: int) -> None:
        self.console = NovaConsole(ID, "127.0.0.1", port)
        self.error: Exception | None = None
        self.asked = 0
        self.clients: list[str] = []

    def show(self, token: str, client: str) -> NovaConsole:
        assert token == TOKEN
        self.clients.append(client)
        self.asked += 1
        if self.error is not None:
            raise self.error
        return self.console


class Known(Instances):
    """Instances that libvirt may not have."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.gone = False
        self.configured = frozenset({"10.0.0.5", "compute-1.test"})

    def find(self, id_or_name: str, may_see: Callable[[Instance], bool]) -> Instance:
        if self.error is not None:
            raise self.error
        if self.gone or not may_see(self.instance):
            raise InstanceNotFound(id_or_name)
        return self.instance

    def connect_info(
        self, instance_id: str, may_see: Callable[[Instance], bool], *, with_password: bool = False
    ) -> ConnectInfo:
        if self.gone:
            raise InstanceNotFound(instance_id)
        return super().connect_info(instance_id, may_see, with_password=with_password)

    def addresses(self) -> frozenset[str]:
        return self.configured


class NovaWorld(World):
    """An admission that takes Nova's tokens too."""

    networks: tuple[str, ...] = ("127.0.0.0/8",)
    takes_own = True

    def make(self) -> Admission:
        self.instances: Known = Known(self.vnc.port)
        self.nova = Nova(self.vnc.port)
        self.tokens = NovaTokens(
            self.nova,
            self.store,
            self.instances,
            token_ttl=600,
            networks=[ipaddress.ip_network(network) for network in self.networks],
            auth_schemes=(AuthScheme.NONE,),
        )
        made = super().make()
        return Admission(
            console_auth=self.console_auth if self.takes_own else None,
            nova=self.tokens,
            find_principal=lambda claims: self.principal if claims.user_id == "max" else None,
            policy=self.policy,
            instances=self.instances,
            sessions=self.sessions,
            origins=made._origins,
            connect_timeout=2.0,
            vnc_tls=None,
            looks_at_input=False,
        )

    def open(self, secret: str | None = None) -> Session:
        """A session by Nova's token, whose connection to the VNC server is closed again."""
        session = self.admission.admit(self.request(token=TOKEN, secret=secret))
        session.target.socket.close()
        return session


@pytest.fixture
def world(tmp_path: Path) -> Iterator[NovaWorld]:
    world = NovaWorld(tmp_path, token_uses=1)
    yield world
    world.vnc.stop()
    world.audited.recorder.close()
    world.store.close()


class TestConnect:
    def test_it_stands_for_a_member_of_the_instances_project(self, world: NovaWorld) -> None:
        claims = world.open().claims
        assert (claims.user_id, claims.project_id, claims.instance_id) == (NOVA_USER, "p", ID)
        member = Principal(NOVA_USER, "p", frozenset({Role.MEMBER}))
        assert holder(claims, lambda user: pytest.fail(f"{user} are no claims of ours")) == member
        nobodys = Principal(NOVA_USER, "", frozenset({Role.ADMIN}))
        assert holder(replace(claims, project_id=""), lambda user: None) == nobodys

    def test_nova_is_asked_once_for_each_and_uses_are_not_counted(self, world: NovaWorld) -> None:
        world.open().ended(None)
        world.open().ended(None)
        assert world.nova.asked == 2

    def test_nova_is_asked_because_of_the_browsers_address_every_time(self, world: NovaWorld) -> None:
        """All addresses of one network of IPv6 are somebody's together."""
        world.instances.gone = True
        world.open().ended(None)
        world.admission.describe(TOKEN, None, "2001:db8::9")
        assert world.nova.clients == ["192.0.2.9", "192.0.2.9", "2001:db8::/64"]

    def test_ours_are_used_once_beside_it(self, world: NovaWorld) -> None:
        session = world.admission.admit(world.request())
        session.target.socket.close()
        session.ended(None)
        assert session.claims.user_id == "max"
        assert world.nova.asked == 0

    def test_the_address_is_libvirts(self, world: NovaWorld) -> None:
        world.nova.console = replace(world.nova.console, host="192.0.2.77")
        session = world.open()
        assert (session.info.host, session.info.port) == ("127.0.0.1", world.vnc.port)
        assert session.info.is_known

    def test_a_port_that_is_not_the_screens_is_refused(self, world: NovaWorld) -> None:
        world.nova.console = replace(world.nova.console, port=world.vnc.port % 65535 + 1)
        world.refused(TokenOfAnotherConsole, token=TOKEN)
        with pytest.raises(TokenOfAnotherConsole):
            world.describe(TOKEN)
        assert world.vnc.accepted(0)

    def test_a_browser_goes_on_with_its_session_while_nova_is_away_and_the_token_forgotten(
        self, world: NovaWorld
    ) -> None:
        first = world.open(SECRET)
        world.nova.error = TokenInvalid()
        again = world.open(SECRET)
        assert again.record.session_id == first.record.session_id
        described = world.describe(TOKEN, SECRET)
        assert described.session is not None
        assert described.session.session_id == first.record.session_id
        world.nova.error = AuthorityUnavailable("down")
        with pytest.raises(AuthorityUnavailable):
            world.open("t" * 43)

    def test_what_nova_says_against_it_is_the_refusal_and_on_record(self, world: NovaWorld) -> None:
        for error in (TokenInvalid(), AuthorityUnavailable("down"), TokenOfAnotherConsole()):
            world.nova.error = error
            world.refused(type(error), token=TOKEN)
        assert world.instances.asked == 0

    def test_rules_of_ones_own_count(self, tmp_path: Path) -> None:
        world = NovaWorld(tmp_path, rules='"os_compute_api:os-remote-consoles": "!"')
        world.refused(Forbidden, token=TOKEN)
        world.vnc.stop()
        world.audited.recorder.close()
        world.store.close()

    def test_one_that_was_revoked_here_opens_nothing(self, world: NovaWorld) -> None:
        world.open().ended(None)
        assert world.table.revoke(token_id(TOKEN), 4002, "Revoked.")
        world.refused(TokenInvalid, token=TOKEN)

    def test_where_novas_alone_count_ours_open_nothing(self, world: NovaWorld) -> None:
        world.takes_own = False
        world.admission = world.make()
        world.refused(TokenInvalid)
        world.refused(TokenMissing, token=None)
        world.open().ended(None)

    def test_where_ours_alone_count_novas_open_nothing(self, world: NovaWorld) -> None:
        world.admission = World.make(world)
        world.refused(TokenInvalid, token=TOKEN)
        assert world.nova.asked == 0

    def test_a_compute_that_does_not_answer_is_no_unknown_one(self, world: NovaWorld) -> None:
        world.instances.error = ComputeUnavailable("c1", "down")
        world.refused(ComputeUnavailable, token=TOKEN)
        assert world.vnc.accepted(0)


class TestElsewhere:
    def test_where_libvirt_has_no_such_instance_novas_address_is_used(self, world: NovaWorld) -> None:
        world.instances.gone = True
        session = world.open()
        assert (session.info.host, session.info.port) == ("127.0.0.1", world.vnc.port)
        assert (session.claims.project_id, session.info.security.server_name) == ("", "127.0.0.1")
        assert world.nova.asked == 2  # before the connection, and after it
        assert not session.info.is_known

    def test_nova_has_to_say_the_same_when_the_connection_stands(self, world: NovaWorld) -> None:
        world.instances.gone = True
        first = world.nova.console
        answers = iter([first, replace(first, port=first.port % 65535 + 1)])
        world.nova.show = lambda token, client: next(answers)  # type: ignore[method-assign]
        world.refused(TargetUnreachable, token=TOKEN)
        assert world.vnc.all_closed()

    def test_it_is_not_used_for_one_that_may_not_be_seen(self, world: NovaWorld) -> None:
        world.open().ended(None)
        claims_project = world.instances.instance.project_id
        original = world.instances.connect_info

        def anothers(
            instance_id: str, may_see: Callable[[Instance], bool], *, with_password: bool = False
        ) -> ConnectInfo:
            world.instances.instance = replace(INSTANCE, project_id="another")
            try:
                return original(instance_id, may_see, with_password=with_password)
            finally:
                world.instances.instance = replace(INSTANCE, project_id=claims_project)

        world.instances.connect_info = anothers  # type: ignore[method-assign]
        world.refused(InstanceNotFound, token=TOKEN)

    @pytest.mark.parametrize("host", ["10.0.0.5", "::ffff:10.0.0.5", "compute-1.test", "COMPUTE-1.test"])
    def test_never_at_a_configured_compute_in_whichever_spelling(
        self, world: NovaWorld, host: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        names = {"compute-1.test": "127.0.0.1"}
        _resolve(monkeypatch, names)
        with pytest.raises(InstanceNotFound):
            world.tokens.elsewhere(NovaConsole(ID, host, 5900))

    def test_nor_at_another_name_of_one(self, world: NovaWorld, monkeypatch: pytest.MonkeyPatch) -> None:
        _resolve(monkeypatch, {"compute-1.test": "127.0.0.9", "other.test": "127.0.0.9", "far.test": "127.0.0.8"})
        with pytest.raises(InstanceNotFound):
            world.tokens.elsewhere(NovaConsole(ID, "other.test", 5900))
        info = world.tokens.elsewhere(NovaConsole(ID, "far.test", 5900, "/c"))
        assert (info.host, info.port, info.access_path) == ("127.0.0.8", 5900, "/c")
        assert (info.security.server_name, info.instance.state) == ("far.test", PowerState.RUNNING)

    @pytest.mark.parametrize("error", [socket.EAI_AGAIN, socket.EAI_FAIL, socket.EAI_SYSTEM])
    def test_not_while_nobody_can_say_where_a_configured_compute_is(
        self, world: NovaWorld, monkeypatch: pytest.MonkeyPatch, error: int
    ) -> None:
        _resolve(monkeypatch, {"far.test": "127.0.0.8"}, error)
        for host in ("127.0.0.8", "far.test"):
            with pytest.raises(TargetUnreachable) as refused:
                world.tokens.elsewhere(NovaConsole(ID, host, 5900))
            assert "compute-1.test, which is configured, cannot be looked up" in refused.value.why
        with pytest.raises(InstanceNotFound):
            world.tokens.elsewhere(NovaConsole(ID, "10.0.0.5", 5900))

    @pytest.mark.parametrize("error", [socket.EAI_NONAME, socket.EAI_NODATA])
    def test_a_configured_name_that_nothing_has_is_at_no_address(
        self, world: NovaWorld, monkeypatch: pytest.MonkeyPatch, error: int
    ) -> None:
        _resolve(monkeypatch, {}, error)
        assert world.tokens.elsewhere(NovaConsole(ID, "127.0.0.8", 5900)).host == "127.0.0.8"

    def test_for_an_address_that_is_not_allowed_no_other_name_is_looked_up(
        self, world: NovaWorld, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _resolve(monkeypatch, {}, socket.EAI_AGAIN)
        with pytest.raises(ComputeNotAllowed):
            world.tokens.elsewhere(NovaConsole(ID, "10.1.2.3", 5900))

    @pytest.mark.parametrize("host", ["fe80::5", "fe80::5%eth1", "2001:db8::7%1"])
    def test_nor_at_one_that_is_written_with_another_zone(self, world: NovaWorld, host: str) -> None:
        world.instances.configured = frozenset({"fe80::5%eth0", "2001:db8::7"})
        with pytest.raises(InstanceNotFound):
            world.tokens.elsewhere(NovaConsole(ID, host, 5900))

    @pytest.mark.parametrize("host", ["10.1.2.3", "::1", "::ffff:10.1.2.3", "0.0.0.0"])
    def test_only_in_the_allowed_networks(self, world: NovaWorld, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
        _resolve(monkeypatch, {})
        with pytest.raises(ComputeNotAllowed) as refused:
            world.tokens.elsewhere(NovaConsole(ID, host, 5900))
        assert host in refused.value.why
        assert host not in str(refused.value)

    def test_a_name_that_nothing_has(self, world: NovaWorld, monkeypatch: pytest.MonkeyPatch) -> None:
        _resolve(monkeypatch, {})
        with pytest.raises(TargetUnreachable):
            world.tokens.elsewhere(NovaConsole(ID, "nothing.test", 5900))

    @pytest.mark.parametrize("host", ["..", "compute..test", "c" * 64])
    def test_what_is_no_name_is_looked_up_in_vain(self, world: NovaWorld, host: str) -> None:
        """By the real look-up, which encodes a name first."""
        with pytest.raises(TargetUnreachable):
            world.tokens.elsewhere(NovaConsole(ID, host, 5900))


class TestNotes:
    def test_nova_alone_says_how_long_it_lasts(self, world: NovaWorld) -> None:
        first = world.tokens.claims(TOKEN, world.nova.console)
        world.now += 300
        assert world.tokens.claims(TOKEN, world.nova.console).expires == first.expires == int(world.now - 300) + 600
        world.now += 400
        assert world.tokens.claims(TOKEN, world.nova.console).expires == int(world.now) + 600

    def test_what_nova_says_last_counts(self, world: NovaWorld) -> None:
        world.instances.gone = True
        assert world.tokens.claims(TOKEN, world.nova.console).project_id == ""
        world.instances.gone = False
        assert world.tokens.claims(TOKEN, world.nova.console).project_id == "p"
        world.open().ended(None)


def _resolve(monkeypatch: pytest.MonkeyPatch, names: dict[str, str], error: int = socket.EAI_NONAME) -> None:
    """These names have addresses; any other look-up ends with this error."""

    def getaddrinfo(host: str, _port: object, **_options: object) -> list[object]:
        if host.lower() not in names:
            raise socket.gaierror(error, "no such name")
        return [(2, 1, 6, "", (names[host.lower()], 0))]

    monkeypatch.setattr("porthole.sessions.nova.socket.getaddrinfo", getaddrinfo)
