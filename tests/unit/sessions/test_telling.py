"""What the audit log knows of connects, and that nobody sees a screen off the record."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest

from porthole.audit import AuditUnavailable
from porthole.compute.errors import InstanceNotRunning
from porthole.compute.model import PowerState
from porthole.consoleauth.errors import TokenInvalid, TokenMissing, TokenUsed
from porthole.proxy.ended import Ended
from porthole.proxy.errors import CloseCode, OriginRefused
from porthole.sessions.registry import OwnPlaces
from porthole.sessions.session import Session
from tests.unit.sessions.test_admission import ID, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path, token_uses=1)
    yield world
    world.vnc.stop()
    world.audited.recorder.close()
    world.store.close()


def begun(world: World, secret: str | None = None) -> Session:
    """A session whose browser has its 101 and our greeting."""
    session = world.admission.admit(world.request(secret=secret))
    session.confirm()
    return session


def over(session: Session, ended: Ended | None = None) -> None:
    session.target.socket.close()
    session.ended(ended)


def uses(world: World) -> int:
    """How often the token was used."""
    query = "SELECT uses FROM tokens WHERE token_id = ?"
    return int(world.store.run(lambda connection: connection.execute(query, (token_id(world),)).fetchone()[0]))


def token_id(world: World) -> str:
    return world.issued.claims.token_id


class TestStart:
    def test_it_is_on_record_before_anything_of_the_instance_is_shown(self, world: World) -> None:
        session = world.admission.admit(world.request())
        assert world.audited.lines() == []
        session.confirm()
        (line,) = world.audited.lines()
        assert (line["event"], line["result"]) == ("session-started", "success")
        assert line["who"] == {"user": "max", "project": "p"}
        assert (line["client"], line["instance"], line["compute"]) == ("192.0.2.9", ID, "c1")
        assert (line["token_id"], line["session_id"]) == (token_id(world), session.record.session_id)
        assert line["details"] == {"mode": "full", "resumed": False, "shared": False}
        over(session)

    def test_when_it_cannot_be_it_ends_at_once_and_the_token_is_as_it_was(self, world: World) -> None:
        world.audited.break_()
        session = begun(world, secret="s")
        code, sentence = session._end_early or (0, "")
        assert code == CloseCode.INTERNAL_ERROR
        assert "cannot record" in sentence
        assert uses(world) == 0
        assert world.table.listing() == []
        over(session, Ended(code, sentence, "service"))
        assert len(world.sessions) == 0

    def test_as_long_as_that_lasts_upgrades_are_refused(self, world: World) -> None:
        world.audited.break_()
        over(begun(world))
        for _ in range(3):
            world.refused(AuditUnavailable, secret="s")
            assert uses(world) == 0
            assert world.table.listing() == []
        assert world.vnc.all_closed()
        world.audited.mend()
        over(begun(world, secret="s"))
        assert uses(world) == 1

    def test_one_that_ended_for_that_has_its_start_and_its_end_on_record_later(self, world: World) -> None:
        world.audited.break_()
        session = begun(world)
        over(session, Ended(*(session._end_early or (0, "")), "service"))
        world.audited.mend()
        world.audited.recorder.close()
        (started,) = world.audited.lines("session-started")
        (ended,) = world.audited.lines("session-ended")
        assert started["session_id"] == ended["session_id"] == session.record.session_id
        assert ended["reason"].startswith("1011 The service cannot record")

    def test_one_that_was_ended_meanwhile_is_not_taken_back(self, world: World) -> None:
        session = world.admission.admit(world.request())
        assert world.table.end(session.record.session_id, CloseCode.ENDED_BY_ADMINISTRATOR, "ended")
        world.audited.break_()
        session.confirm()
        assert uses(world) == 1
        over(session)

    def test_one_that_ends_while_its_start_is_on_its_way_has_it_on_record_once(self, world: World) -> None:
        session = world.admission.admit(world.request())
        confirming = gevent.spawn(session.confirm)
        gevent.sleep(0)
        over(session, Ended(CloseCode.GOING_AWAY, "cut off", "service"))
        confirming.join(10)
        assert sorted(world.audited.events()) == ["session-ended", "session-started"]

    def test_one_whose_browser_left_before_its_101_has_both_too(self, world: World) -> None:
        over(world.admission.admit(world.request()))
        assert world.audited.events() == ["session-started", "session-ended"]

    def test_a_session_that_goes_on_says_so(self, world: World) -> None:
        first = begun(world, secret="s")
        over(first)
        second = begun(world, secret="s")
        over(second)
        started = world.audited.lines("session-started")
        assert [line["details"]["resumed"] for line in started] == [False, True]
        assert {line["session_id"] for line in started} == {first.record.session_id}

    def test_one_that_cannot_go_on_unrecorded_keeps_its_connection(self, world: World) -> None:
        first = begun(world, secret="s")
        world.audited.break_()
        with pytest.raises(AuditUnavailable):
            world.admission.admit(world.request(secret="s"))
        assert world.table.cuts(world.records.worker) == []
        world.audited.mend()
        over(world.admission.admit(world.request(secret="s")))
        over(first)

    def test_a_beginning_is_not_taken_back_from_whoever_has_it_now(self, world: World) -> None:
        session = world.admission.admit(world.request(secret="s"))
        stale = dataclasses.replace(session.record, connection="another")
        world.records.undo(stale, world.issued.claims)
        assert uses(world) == 1
        assert len(world.table.listing()) == 1
        over(session)


class TestEnd:
    def test_it_has_code_reason_and_bytes(self, world: World) -> None:
        session = begun(world)
        over(session, Ended(CloseCode.ENDED_BY_ADMINISTRATOR, "An administrator ended this session.", "service"))
        line = world.audited.lines()[-1]
        assert line["event"] == "session-ended"
        assert line["session_id"] == session.record.session_id
        assert line["reason"] == "4002 An administrator ended this session."
        assert line["details"] == {
            "by": "service", "seconds": 0, "bytes_to_browser": 0, "bytes_to_instance": 0, "shared": False,
        }  # fmt: skip

    def test_it_is_recorded_once_the_log_works_again(self, world: World) -> None:
        session = begun(world)
        world.audited.break_()
        over(session)
        world.audited.mend()
        world.audited.recorder.close()
        assert world.audited.events() == ["session-started", "recording-resumed", "session-ended"]

    def test_a_session_that_is_cut_off_is_on_record_too(self, world: World) -> None:
        session = begun(world)
        world.sessions.tell_cut_off()
        assert world.audited.events() == ["session-started", "session-ended"]
        over(session)


class TestRefusals:
    def test_whose_token_it_is_is_known_whatever_else_is_wrong(self, world: World) -> None:
        over(world.admission.admit(world.request()))
        world.refused(TokenUsed)
        world.instances.error = InstanceNotRunning(ID, PowerState.SHUTDOWN)
        world.table.revoke(token_id(world), 4002, "revoked")
        world.refused(TokenInvalid)
        refused = world.audited.lines("connect-refused")
        assert len(refused) == 2
        for line in refused:
            assert (line["result"], line["who"]["user"]) == ("refused", "max")
            assert (line["token_id"], line["instance"], line["client"]) == (token_id(world), ID, "192.0.2.9")

    def test_a_token_that_we_did_not_sign_names_nobody_and_is_not_written(self, world: World) -> None:
        world.refused(TokenInvalid, token=world.issued.token + "x")
        world.refused(TokenMissing, token=None)
        for line in world.audited.lines("connect-refused"):
            assert (line["who"], line["token_id"], line["instance"]) == ({"user": "", "project": ""}, "", "")
        assert world.issued.token not in world.audited.path.read_text()

    def test_a_page_of_another_site_is_named(self, world: World) -> None:
        world.refused(OriginRefused, origin="http://evil.example")
        assert world.audited.lines()[0]["details"] == {"origin": "http://evil.example"}

    def test_what_the_page_is_told_before_it_connects_is_a_refusal_when_it_is_about_the_token(
        self, world: World
    ) -> None:
        with pytest.raises(TokenInvalid):
            world.describe("nonsense")
        world.instances.error = InstanceNotRunning(ID, PowerState.SHUTDOWN)
        for _ in range(3):
            with pytest.raises(InstanceNotRunning):  # a page asks this again and again, and waits
                world.describe(world.issued.token)
        assert world.audited.events() == ["connect-refused"]

    def test_one_that_cannot_be_recorded_is_answered_with_that(self, world: World) -> None:
        world.audited.break_()
        world.refused(AuditUnavailable, token="nonsense")
        world.audited.mend()


def test_of_many_that_use_a_token_at_once_one_is_started_and_the_others_are_refused(world: World) -> None:
    def attempt() -> Session | None:
        try:
            return begun(world)
        except Exception:
            return None

    world.sessions._places = OwnPlaces(100)
    attempts = [gevent.spawn(attempt) for _ in range(20)]
    gevent.joinall(attempts, timeout=30)
    (session,) = [attempt.value for attempt in attempts if attempt.value is not None]
    assert sorted(set(world.audited.events())) == ["connect-refused", "session-started"]
    assert len(world.audited.lines("session-started")) == 1
    assert len(world.audited.lines("connect-refused")) == 19
    over(session)
