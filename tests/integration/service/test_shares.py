"""Share links on running services: who watches by them, for how long, and what ends that."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import websocket

from porthole.auth.users import add_user, remove_user
from tests.service.appliance import token_of
from tests.service.consoles import PASSWORD, Process, Site, new_secret, wait_until
from tests.service.rfb import Closed, RfbClient
from tests.service.vnc import GUEST

KEY = b"\x04\x01\0\0\0\0\0\x61"
UPDATE = b"\x03\0\0\0\0\0\0\x10\0\x10"

AT_ONCE = 1.0
"""Seconds within which a session that lost its right ends."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.stop()


@pytest.fixture
def service(site: Site) -> Process:
    return site.start()


def share(service: Process, user: str = "max", **body: object) -> dict[str, Any]:
    """A new share link of the guest's console."""
    status, answer, _ = service.call("POST", "/v1/shares", {"instance": GUEST, **body}, user=user)
    assert status == 201, answer
    link: dict[str, Any] = answer
    return link


def ends_at_once(console: RfbClient, cut: Callable[[], object]) -> Closed:
    cut()
    began = time.monotonic()
    closed = console.wait_for_close()
    assert time.monotonic() - began < AT_ONCE
    return closed


def assert_lives(console: RfbClient) -> None:
    console.send(UPDATE)
    assert console.read(len(UPDATE)) == UPDATE


def audit(site: Site, event: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (site.folder / "state" / "audit.log").read_text().splitlines()]
    return [line for line in lines if line["event"] == event]


class TestWatching:
    def test_without_an_account_one_watches_and_nothing_more(self, service: Process) -> None:
        token, secret = token_of(share(service)["url"]), new_secret()
        answer = service.call("POST", "/v1/consoles/check", {"token": token}, user=None)[1]
        assert (answer["mode"], answer["shared"], answer["session"]) == ("view", True, None)
        console = service.console(token, secret)
        console.send(KEY + UPDATE)
        assert console.read(len(UPDATE)) == UPDATE, "the echo has no key"
        (session,) = service.sessions()
        assert (session["shared"], session["mode"], session["user_id"]) == (True, "view", "max")
        console.close()
        assert_lives(service.console(token, secret))

    def test_whoever_was_first_has_it_at_two_processes_at_once(self, site: Site) -> None:
        here, there = site.start(), site.start()
        token = token_of(share(here)["url"])
        results: Counter[object] = Counter()
        start = threading.Barrier(8)

        def replay(process: Process) -> None:
            start.wait(30)
            for _ in range(25):
                try:
                    process.upgrade(token)
                    results["opened"] += 1
                except websocket.WebSocketBadStatusException as refused:
                    results[refused.status_code, b'"token-used"' in (refused.resp_body or b"")] += 1

        threads = [threading.Thread(target=replay, args=((here, there)[n % 2],)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert results == {"opened": 1, (403, True): 199}

    @pytest.mark.parametrize("token_uses", [0, 1])
    def test_it_lets_in_as_many_as_it_says(self, site: Site, token_uses: int) -> None:
        service = site.start(consoleauth={"token_uses": token_uses})
        link = share(service, uses=2)
        consoles = [service.console(token_of(link["url"])) for _ in range(2)]
        assert service.refusal(token_of(link["url"]))[:2] == (403, "token-used")
        (listed,) = service.call("GET", "/v1/shares")[1]["shares"]
        assert (listed["used"], listed["uses"]) == (2, 2)
        for console in consoles:
            assert_lives(console)
            console.close()

    def test_its_sessions_count_for_the_sharer(self, site: Site) -> None:
        service = site.start(limits={"sessions_per_user": 1})
        console = service.console(token_of(share(service)["url"]))
        assert service.refusal(service.token("max"))[:2] == (429, "session-limit")
        service.console(service.token("eve")).close()
        console.close()


class TestTheEnd:
    def test_one_call_revokes_it_and_ends_every_session_at_every_process(self, site: Site) -> None:
        here, there = site.start(), site.start()
        link = share(here, uses=3)
        token, secret = token_of(link["url"]), new_secret()
        consoles = [here.console(token, secret), here.console(token), there.console(token)]
        assert there.call("DELETE", f"/v1/tokens/{link['token_id']}", user="eve")[0] == 404
        assert_lives(consoles[0])
        closed = ends_at_once(consoles[0], lambda: there.call("DELETE", f"/v1/tokens/{link['token_id']}"))
        assert (closed.code, closed.reason) == (4002, "The link to this console was revoked.")
        assert [one.wait_for_close().code for one in consoles[1:]] == [4002, 4002]
        assert here.refusal(token, secret)[:2] == (403, "token-invalid")
        assert here.sessions() == []
        assert here.call("GET", "/v1/shares", user="ann")[1]["shares"] == []

    def test_its_time_ends_its_sessions_too_and_the_browsers_secret_is_worth_nothing(self, site: Site) -> None:
        service = site.start(consoleauth={"share_ttl": 2})
        token, secret = token_of(share(service)["url"]), new_secret()
        console = service.console(token, secret)
        session = service.call("POST", "/v1/consoles/check", {"token": token, "resume": secret}, user=None)[1][
            "session"
        ]
        assert session["renewable"] is False
        renew = f"/v1/sessions/{session['id']}/renew"
        assert [service.call("POST", renew, {}, user=user)[0] for user in (None, "eve", "max")] == [401, 404, 409]
        closed = console.wait_for_close()
        assert (closed.code, closed.reason) == (4001, "The time of this session is over.")
        assert service.refusal(token, secret)[:2] == (403, "token-expired")

    def test_the_sharers_removal(self, site: Site) -> None:
        service = site.start()
        token, secret = token_of(share(service)["url"]), new_secret()
        console = service.console(token, secret)
        closed = ends_at_once(console, lambda: remove_user(site.user_file, site.role_file, "max"))
        assert (closed.code, closed.reason) == (4006, "You may no longer open this console.")
        assert service.refusal(token, secret)[0] == 403

    def test_the_sharers_loss_of_a_role_and_nobody_elses(self, site: Site) -> None:
        service = site.start()
        console, eves = (service.console(token_of(share(service, user)["url"])) for user in ("max", "eve"))
        closed = ends_at_once(
            console, lambda: add_user(site.user_file, site.role_file, "max", PASSWORD, "reader", cost=4)
        )
        assert closed.code == 4006
        assert_lives(eves)
        eves.close()

    def test_a_rule_that_takes_sharing_away_and_leaves_consoles(self, site: Site) -> None:
        rules = site.folder / "policy.yaml"
        rules.touch()
        service = site.start(oslo_policy={"policy_file": rules})
        link = share(service, uses=2)
        shared, own = service.console(token_of(link["url"])), service.console(service.token())
        closed = ends_at_once(shared, lambda: rules.write_text('"porthole:share": "rule:context_is_admin"'))
        assert closed.code == 4006
        assert service.refusal(token_of(link["url"]))[:2] == (403, "forbidden")
        assert_lives(own)
        own.close()

    def test_switched_off_no_link_opens_anything_any_more(self, site: Site) -> None:
        service, without = site.start(), site.start(consoleauth={"share_ttl_max": 0})
        token, secret = token_of(share(service)["url"]), new_secret()
        service.console(token, secret).close()
        assert without.call("POST", "/v1/shares", {"instance": GUEST})[0] == 403
        for offered in (secret, new_secret()):
            assert without.refusal(token, offered)[:2] == (403, "token-invalid")

    def test_idleness_does_not_for_who_watches_sends_nothing(self, site: Site) -> None:
        service = site.start(consoleauth={"idle_timeout": 1})
        full, watching = service.console(service.token()), service.console(token_of(share(service)["url"]))
        assert full.wait_for_close().code == 4007
        assert_lives(watching)
        watching.close()


class TestRecords:
    def test_who_shared_what_until_when_and_that_its_sessions_came_from_it(self, site: Site) -> None:
        service = site.start()
        link = share(service, uses=2, expires_in=900)
        service.console(token_of(link["url"])).close()
        service.console(service.token("eve")).close()
        wait_until(lambda: len(audit(site, "session-ended")) == 2)
        (shared,) = audit(site, "console-shared")
        assert (shared["who"]["user"], shared["instance"], shared["token_id"]) == ("max", GUEST, link["token_id"])
        assert (shared["details"]["uses"], shared["details"]["mode"]) == (2, "view")
        for event in ("session-started", "session-ended"):
            assert {line["who"]["user"]: line["details"]["shared"] for line in audit(site, event)} == {
                "max": True,
                "eve": False,
            }

    def test_no_list_log_or_store_has_the_link(self, site: Site) -> None:
        service = site.start(DEFAULT={"debug": "true"})
        token = token_of(share(service, uses=2)["url"])
        service.console(token).close()
        said = [service.call("GET", path, user="ann")[1] for path in ("/v1/shares", "/v1/sessions")]
        files = b"".join(path.read_bytes() for path in (site.folder / "state").iterdir() if path.is_file())
        assert token not in str(said)
        assert token not in site.log()
        assert token.encode() not in files

    def test_the_command_line_names_it(self, site: Site) -> None:
        service = site.start()
        link = share(service)
        console = service.console(token_of(link["url"]))
        assert "view/shared" in site.run("sessions", "list").stdout
        assert site.run("token", "revoke", link["token_id"]).returncode == 0
        closed = console.wait_for_close()
        assert (closed.code, closed.reason) == (4002, "The link to this console was revoked.")
