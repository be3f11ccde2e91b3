"""Who is a stranger at a screen: not the service's own connections, however the two accounts of them come."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from pathlib import Path

import gevent
import libvirt
import pytest
from structlog.testing import capture_logs

from porthole.compute import native
from porthole.compute.model import GraphicsEvent, Phase
from porthole.metrics import Metrics
from porthole.proxy.target import socket_end
from porthole.sessions import strangers
from porthole.sessions.strangers import Strangers
from porthole.state.screens import ScreenTable
from porthole.state.sqlite import SqliteStore
from tests.unit.audited import Audited

CONNECT, INITIALIZE, DISCONNECT = Phase
GRACE = 0.05
UUID = "0a000000-0000-4000-8000-00000000000a"


def event(
    phase: Phase = INITIALIZE, service: str = "40000", client: str = "192.0.2.9", instance: str = UUID
) -> GraphicsEvent:
    return GraphicsEvent(phase, instance, "c1", client, service, "192.0.2.11 port 5900", "none")


class World:
    """One process that looks for strangers, and what it has said of them."""

    def __init__(self, folder: Path, audited: Audited, *known: str) -> None:
        self.store = SqliteStore(folder / "store")
        self.table = ScreenTable(self.store)
        self.audited = audited
        self.metrics = Metrics()
        self.live: list[str] = []
        self.strangers = Strangers(
            self.table, lambda: self.live, ["unix" if entry == "unix" else ip_network(entry) for entry in known],
            audited.recorder, self.metrics, GRACE,
        )  # fmt: skip
        self.strangers.start()

    def told(self) -> int:
        return int(self.metrics.registry.get_sample_value("porthole_strangers_total") or 0)

    def after_all(self, expected: int) -> None:
        """Wait until as many were told of as are expected, and until a last one has been judged after them."""
        self.strangers.seen(event(service="1", client="198.51.100.1"))
        until(lambda: [line for line in self.audited.lines() if line["client"] == "198.51.100.1"])
        until(lambda: self.told() > expected)
        assert self.told() == expected + 1

    def close(self) -> None:
        self.strangers.stop()
        self.store.close()


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        gevent.sleep(0.005)


@pytest.fixture
def audited(tmp_path: Path) -> Iterator[Audited]:
    audited = Audited(tmp_path)
    yield audited
    audited.recorder.close()


@pytest.fixture
def world(tmp_path: Path, audited: Audited) -> Iterator[World]:
    world = World(tmp_path, audited)
    yield world
    world.close()


class TestOwn:
    @pytest.mark.parametrize("first", ["ours", "libvirt's"])
    def test_it_does_not_matter_whose_account_comes_first(self, world: World, first: str) -> None:
        steps: list[Callable[[], None]] = [
            lambda: world.strangers.dialled("192.0.2.9:40000"),
            lambda: world.strangers.seen(event()),
        ]
        for step in steps if first == "ours" else reversed(steps):
            step()
            gevent.sleep(GRACE / 4)
        world.after_all(0)

    def test_what_was_dialled_right_before_the_stop_is_known_to_other_processes(self, world: World) -> None:
        world.strangers.dialled("192.0.2.9:40000")
        world.strangers.stop()
        assert world.table.ours(["192.0.2.9:40000"]) == {"192.0.2.9:40000"}

    @pytest.mark.parametrize(
        ("ours", "theirs"),
        [
            ("192.0.2.9:40000", "::ffff:192.0.2.9"),
            ("[2001:db8::9]:40000", "2001:DB8:0::9"),
            ("[fe80::1]:40000", "fe80::1%eth7"),
        ],
    )
    def test_however_libvirt_spells_the_address(self, world: World, ours: str, theirs: str) -> None:
        world.strangers.dialled(ours)
        world.strangers.seen(event(client=theirs))
        world.after_all(0)

    def test_another_processes(self, world: World) -> None:
        world.table.dialled(["192.0.2.9:40000"])
        world.strangers.seen(event())
        world.after_all(0)

    def test_what_it_dials_itself_gets_on_record_for_the_others(self, world: World) -> None:
        world.strangers.dialled("192.0.2.9:40000")
        until(lambda: world.table.ours(["192.0.2.9:40000", "192.0.2.9:1"]) == {"192.0.2.9:40000"})

    def test_a_session_whose_opening_took_minutes(self, world: World) -> None:
        world.live.append("192.0.2.9:40000")
        world.strangers.seen(event())
        world.after_all(0)

    def test_what_is_remembered_has_a_bound(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(strangers, "MAX_OWN", 10)
        for port in range(100):
            world.strangers.dialled(f"192.0.2.9:{port}")
        assert len(world.strangers._own) == 10


class TestStrangers:
    def test_one_is_told_of_once_with_all_that_is_known(self, world: World) -> None:
        with capture_logs() as logs:
            world.strangers.seen(event(CONNECT))
            world.strangers.seen(event(INITIALIZE))
            until(lambda: world.audited.lines("stranger-on-screen"))
        (line,) = world.audited.lines("stranger-on-screen")
        assert (line["client"], line["instance"], line["compute"]) == ("192.0.2.9", UUID, "c1")
        assert line["who"] == {"user": "", "project": ""}
        assert (line["result"], line["reason"]) == ("success", "has the screen")
        assert line["details"] == {"client_port": "40000", "vnc_server": "192.0.2.11 port 5900", "auth": "none"}
        assert [entry["client"] for entry in logs if entry["event"] == "stranger at a screen"] == ["192.0.2.9:40000"]
        world.strangers.seen(event(INITIALIZE))
        world.after_all(1)

    def test_one_that_left_before_it_was_judged_is_told_of_too(self, world: World) -> None:
        for phase in Phase:
            world.strangers.seen(event(phase))
        world.after_all(1)

    def test_one_that_comes_again_from_the_same_port_is_another(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("porthole.state.screens.TOLD_AGAIN_AFTER", 0)
        world.strangers.seen(event())
        until(lambda: world.told() == 1)
        world.strangers.seen(event(DISCONNECT))
        world.strangers.seen(event())
        until(lambda: world.told() == 2)

    def test_of_two_processes_that_see_it_one_tells(self, world: World, tmp_path: Path, audited: Audited) -> None:
        other = World(tmp_path, audited)
        for process in (world, other):
            process.strangers.seen(event())
        until(lambda: world.told() + other.told())
        other.strangers.seen(event(service="1"))
        until(lambda: len(audited.lines("stranger-on-screen")) > 1)
        world.after_all(world.told())
        assert len([line for line in audited.lines() if line["details"].get("client_port") == "40000"]) == 1
        other.close()

    @pytest.mark.parametrize(("known", "expected"), [(["192.0.2.0/24"], 0), (["unix"], 1), ([], 1), (["::/0"], 1)])
    def test_a_known_client_is_none(self, tmp_path: Path, audited: Audited, known: list[str], expected: int) -> None:
        world = World(tmp_path, audited, *known)
        world.strangers.seen(event())
        world.after_all(expected)
        world.close()

    @pytest.mark.parametrize(("known", "expected"), [(["0.0.0.0/0", "::/0"], 1), (["unix"], 0)])
    def test_a_client_of_a_socket_of_the_host(
        self, tmp_path: Path, audited: Audited, known: list[str], expected: int
    ) -> None:
        world = World(tmp_path, audited, *known)
        world.strangers.seen(event(service="", client="/run/vnc.sock"))
        until(lambda: len(audited.lines("stranger-on-screen")) >= expected)
        assert [line["client"] for line in audited.lines("stranger-on-screen")] == ["unix /run/vnc.sock"] * expected
        world.strangers.seen(event(client="2001:db8::1", instance="i2"))
        until(lambda: world.told() == expected + ("unix" in known))
        world.close()

    def test_a_client_of_a_socket_that_we_have_dialled_is_ours(self, world: World) -> None:
        """Clients of a UNIX socket have no address to tell them apart by, so the instance is what is compared."""
        world.strangers.dialled(socket_end(UUID))
        world.strangers.seen(event(service="", client=""))
        world.after_all(0)

    def test_a_flood_is_bounded_and_its_rest_counted(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(strangers, "MAX_PENDING", 5)
        with capture_logs() as logs:
            for port in range(100):
                world.strangers.seen(event(service=str(port)))
            until(lambda: [line for line in logs if line["event"] == "too many clients at screens to look at each"])
        assert world.told() == 5
        assert next(line for line in logs if "passed_over" in line)["passed_over"] == 95

    def test_one_that_was_seen_right_before_the_end_is_told_of(self, world: World) -> None:
        world.strangers.seen(event())
        world.strangers.stop()
        assert world.told() == 1


class TestTrouble:
    def test_a_stranger_is_recorded_when_the_audit_log_works_again(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("porthole.audit.recorder.RETRY_EVERY", 0.05)
        world.audited.break_()
        world.strangers.seen(event())
        until(world.told)
        world.audited.mend()
        until(lambda: len(world.audited.lines("stranger-on-screen")) == 1)

    def test_while_the_store_does_not_answer_nobody_is_judged_for_a_while(
        self, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.table.dialled(["192.0.2.9:40000"])
        broken = True
        run = SqliteStore._on_thread

        def on_thread(store: SqliteStore, work: object) -> object:
            return (None, sqlite3.OperationalError("broken")) if broken else run(store, work)  # type: ignore[arg-type] # it is handed on

        monkeypatch.setattr(SqliteStore, "_on_thread", on_thread)
        world.strangers.seen(event())
        gevent.sleep(2 * GRACE)
        assert world.told() == 0
        broken = False
        world.after_all(0)

    def test_but_a_stranger_is_told_of_in_the_end(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        broken = (None, sqlite3.OperationalError("broken"))
        monkeypatch.setattr(SqliteStore, "_on_thread", lambda *_: broken)
        world.strangers.seen(event())
        until(lambda: world.told() == 1)


class TestLibvirtsWords:
    """What its Python binding hands over: addresses as dictionaries."""

    class Domain:
        def UUIDString(self) -> str:  # noqa: N802 - libvirt's name
            return UUID

    def told(self, phase: int, remote: dict[str, object], auth: str | None = "none") -> GraphicsEvent:
        found: list[GraphicsEvent] = []
        watcher = native.Watcher(lambda _: None, lambda _: None, found.append, "c1")
        local = {"family": 0, "node": "192.0.2.11", "service": "5900"}
        native._on_graphics(None, self.Domain(), phase, local, remote, auth, [], watcher)
        return found[0]

    def test_of_tcp(self) -> None:
        said = {"family": libvirt.VIR_DOMAIN_EVENT_GRAPHICS_ADDRESS_IPV4, "node": "192.0.2.9", "service": "40000"}
        assert self.told(libvirt.VIR_DOMAIN_EVENT_GRAPHICS_INITIALIZE, said) == event()
        assert not event().is_unix

    @pytest.mark.parametrize("said", [{"node": "/run/vnc.sock", "service": ""}, {"node": None, "service": None}])
    def test_of_a_socket(self, said: dict[str, object]) -> None:
        said["family"] = libvirt.VIR_DOMAIN_EVENT_GRAPHICS_ADDRESS_UNIX
        told = self.told(libvirt.VIR_DOMAIN_EVENT_GRAPHICS_CONNECT, said, None)
        assert (told.is_unix, told.phase, told.client, told.auth) == (True, CONNECT, said["node"] or "", "")
