"""A token opens one session, and the browser that opened it goes on with it: attacked on running services."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import websocket

from tests.service.consoles import Process, Site, new_secret, wait_until
from tests.service.rfb import RfbClient

USED = (403, "token-used")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.stop()


@pytest.fixture
def service(site: Site) -> Process:
    return site.start()


def assert_lives(console: RfbClient) -> None:
    console.send(b"\x06\0\0\0\0\0\0\x01x")
    assert console.read(9) == b"\x06\0\0\0\0\0\0\x01x"


class TestUses:
    def test_1000_replays_of_a_token_at_two_processes_at_once_open_one_session(self, site: Site) -> None:
        processes = [site.start(), site.start()]
        token = processes[0].token()
        results: Counter[object] = Counter()
        opened: list[websocket.WebSocket] = []
        start = threading.Barrier(8)

        def replay(process: Process) -> None:
            start.wait(30)
            for _ in range(125):
                try:
                    opened.append(process.upgrade(token))
                    results["opened"] += 1
                except websocket.WebSocketBadStatusException as refused:
                    results[refused.status_code, b'"token-used"' in (refused.resp_body or b"")] += 1

        threads = [threading.Thread(target=replay, args=(processes[n % 2],)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(300)
        assert results == {"opened": 1, (403, True): 999}
        assert len(processes[0].sessions()) == 1
        assert len(opened) == 1
        assert_lives(RfbClient(opened[0]).handshake())
        opened[0].close()

    def test_a_refusal_does_not_use_it_up(self, site: Site) -> None:
        service = site.start(limits={"sessions_per_user": 1})
        first, second = service.token(), service.token()
        console = service.console(first)
        status, code, headers = service.refusal(second)
        assert (status, code, headers.get("Retry-After", headers.get("retry-after"))) == (429, "session-limit", "10")
        console.close()
        wait_until(lambda: not service.sessions())
        service.console(second).close()

    def test_nor_does_a_screen_that_cannot_be_reached(self, site: Site) -> None:
        service = site.start()
        token = service.token()
        site.vnc.stop()
        for _ in range(2):
            assert service.refusal(token)[:2] == (503, "compute-unavailable")
        assert service.call("POST", "/v1/consoles/check", {"token": token}, user=None)[0] == 200

    def test_nor_does_the_pages_question_whether_it_is_good(self, service: Process) -> None:
        token = service.token()
        for _ in range(3):
            status, answer, _ = service.call("POST", "/v1/consoles/check", {"token": token}, user=None)
            assert (status, answer["session"]) == (200, None)
        service.console(token).close()
        status, answer, _ = service.call("POST", "/v1/consoles/check", {"token": token}, user=None)
        assert (status, answer["code"]) == USED
        assert answer["detail"] == "This console URL has been used already. Ask for a new one."

    def test_0_is_novas_behaviour(self, site: Site) -> None:
        service = site.start(consoleauth={"token_uses": 0})
        token = service.token()
        consoles = [service.console(token) for _ in range(3)]
        for console in consoles:
            assert_lives(console)
            console.close()


class TestGoingOn:
    def test_a_stock_client_without_a_secret_works_once(self, service: Process) -> None:
        token = service.token()
        connection = service.upgrade(token, subprotocols=["binary"])
        assert connection.getsubprotocol() == "binary"
        connection.close()
        wait_until(lambda: not service.sessions())
        assert service.refusal(token, subprotocols=["binary"])[:2] == USED

    def test_the_browser_that_opened_it_goes_on_with_the_same_session(self, service: Process) -> None:
        token, secret = service.token(), new_secret()
        service.console(token, secret).close()
        wait_until(lambda: not service.sessions()[0]["connected"])
        (before,) = service.sessions()
        console = service.console(token, secret)
        (after,) = service.sessions()
        assert after["id"] == before["id"]
        assert after["connected"]
        assert_lives(console)
        console.close()

    def test_at_another_process_too_as_after_an_upgrade(self, site: Site) -> None:
        old, new = site.start(), site.start()
        token, secret = old.token(), new_secret()
        old.console(token, secret).close()
        console = new.console(token, secret)
        assert_lives(console)
        assert len(old.sessions()) == 1
        console.close()

    def test_the_secret_is_never_echoed_and_a_fixed_name_is(self, service: Process) -> None:
        connection = service.upgrade(service.token(), new_secret())
        assert connection.getsubprotocol() == "binary"
        connection.close()

    def test_not_with_the_secret_of_another_session(self, service: Process) -> None:
        mine, hers = (service.token(), new_secret()), (service.token("eve"), new_secret())
        for token, secret in (mine, hers):
            service.console(token, secret).close()
        assert service.refusal(mine[0], hers[1])[:2] == USED
        assert service.refusal(hers[0], mine[1])[:2] == USED
        assert service.refusal(mine[0], new_secret())[:2] == USED
        assert service.refusal(mine[0])[:2] == USED
        service.console(*mine).close()

    @pytest.mark.parametrize(
        "offered",
        [["porthole.resume."], ["porthole.resume.short"], ["porthole.resume." + "x" * 44],
         ["porthole.resume." + "x" * 42 + "!"], ["porthole.resume." + "x" * 43, "porthole.resume." + "y" * 43]],
    )  # fmt: skip
    def test_a_secret_of_another_form_is_none(self, service: Process, offered: list[str]) -> None:
        token = service.token()
        assert service.refusal(token, subprotocols=["binary", *offered])[:2] == (400, "bad-request")
        service.console(token, new_secret()).close()

    def test_resume_ttl_after_the_connection_broke_it_is_over(self, site: Site) -> None:
        service = site.start(consoleauth={"resume_ttl": 1})
        token, secret = service.token(), new_secret()
        service.console(token, secret).close()
        wait_until(lambda: not service.sessions())
        assert service.refusal(token, secret)[:2] == USED

    def test_the_newer_of_two_connections_takes_over_in_the_same_process_or_another(self, site: Site) -> None:
        here, there = site.start(), site.start()
        token, secret = here.token(), new_secret()
        first = here.console(token, secret)
        second = here.console(token, secret)
        closed = first.wait_for_close()
        assert (closed.code, "taken over" in closed.reason) == (4005, True)
        third = there.console(token, secret)
        assert second.wait_for_close().code == 4005
        assert_lives(third)
        assert len(here.sessions()) == 1
        third.close()

    def test_a_process_that_is_killed_leaves_its_sessions_to_the_next(self, site: Site) -> None:
        dying, next_one = site.start(), site.start()
        token, secret = dying.token(), new_secret()
        lost = dying.console(token, secret)
        worker = int(Path(f"/proc/{dying.popen.pid}/task/{dying.popen.pid}/children").read_text())
        dying.popen.kill()
        os.kill(worker, signal.SIGKILL)
        console = next_one.console(token, secret)
        assert_lives(console)
        console.close()
        assert lost.websocket.sock is not None
        lost.websocket.sock.close()


def test_a_secret_is_in_no_log_line_no_answer_and_not_in_the_store(site: Site) -> None:
    service = site.start(DEFAULT={"debug": "true"})
    token, secret = service.token(), new_secret()
    service.console(token, secret).close()
    wait_until(lambda: not service.sessions()[0]["connected"])
    service.console(token, secret).close()
    answers = [
        service.call("POST", "/v1/consoles/check", {"token": token, "resume": secret}, user=None),
        service.call("POST", "/v1/consoles/check", {"token": token, "resume": secret + "x"}, user=None),
        service.call("POST", "/v1/consoles/check", {"token": token + "x", "resume": secret}, user=None),
        service.call("GET", "/v1/sessions", user="ann"),
    ]
    assert [status for status, _, _ in answers] == [200, 400, 403, 200]
    service.refusal(token, "short")
    service.refusal(token + "x", secret)
    service.refusal(service.token(), secret, header=["Accept: application/json", "Sec-WebSocket-Version: 7"])
    store = b"".join(path.read_bytes() for path in (site.folder / "state").iterdir())
    for hidden in (secret, token):
        assert hidden not in site.log()
        assert hidden not in str(answers)
        assert hidden.encode() not in store
