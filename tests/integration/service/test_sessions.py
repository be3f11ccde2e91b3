"""Sessions are listed, cut, limited and timed: on running services, and by the command line beside them."""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from porthole.auth.users import add_user, remove_user
from tests.service.consoles import PASSWORD, Process, Site, new_secret, wait_until
from tests.service.rfb import Closed, RfbClient
from tests.service.vnc import GUEST

KEY = struct.pack("!BBxxI", 4, 1, ord("a"))
POINTER = struct.pack("!BBHH", 5, 0, 1, 1)
CLIPBOARD = struct.pack("!BxxxI", 6, 5) + b"paste"
UPDATE = struct.pack("!BBHHHH", 3, 0, 0, 0, 16, 16)

AT_ONCE = 1.0
"""Seconds within which a cut session ends."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.stop()


@pytest.fixture
def service(site: Site) -> Process:
    return site.start()


def ends_at_once(console: RfbClient, cut: Callable[[], object]) -> Closed:
    """How a session ends when it is cut, and that it does so in time."""
    cut()
    began = time.monotonic()
    closed = console.wait_for_close()
    assert time.monotonic() - began < AT_ONCE
    return closed


class TestListing:
    def test_who_which_instance_from_where_since_when_what_and_how_much(self, service: Process) -> None:
        console = service.console(service.token())
        console.send(UPDATE * 10)
        console.read(100)
        wait_until(lambda: service.sessions()[0]["bytes_to_browser"] >= 100)
        (session,) = service.sessions()
        assert (session["user_id"], session["instance_id"], session["client"]) == ("max", GUEST, "127.0.0.1")
        assert (session["mode"], session["connected"], session["expires_at"]) == ("full", True, None)
        assert session["started_at"].endswith("Z")
        assert session["bytes_to_instance"] >= 100
        status, one, _ = service.call("GET", f"/v1/sessions/{session['id']}")
        assert (status, one["id"]) == (200, session["id"])
        console.close()

    def test_ones_own_and_everybodys_for_administrators(self, service: Process) -> None:
        consoles = [service.console(service.token(user)) for user in ("max", "eve")]
        assert {one["user_id"] for one in service.sessions("ann")} == {"max", "eve"}
        (mine,) = service.sessions("max")
        for method in ("GET", "DELETE"):
            assert service.call(method, f"/v1/sessions/{mine['id']}", user="eve")[0] == 404
            there_is_none = service.call(method, f"/v1/sessions/{'0' * 32}", user="eve")
            assert there_is_none[:2] == service.call(method, f"/v1/sessions/{mine['id']}", user="eve")[:2]
            assert service.call(method, f"/v1/sessions/{mine['id']}", user=None)[0] == 401
        assert service.call("DELETE", f"/v1/tokens/{mine['token_id']}", user="eve")[0] == 404
        for console in consoles:
            console.send(UPDATE)
            assert console.read(10) == UPDATE
            console.close()


class TestCuts:
    """Each within a second, and each with its reason; at another process than the one that has the session."""

    def test_by_an_administrator(self, site: Site) -> None:
        here, there = site.start(), site.start()
        token, secret = here.token(), new_secret()
        console = here.console(token, secret)
        (session,) = there.sessions()
        closed = ends_at_once(console, lambda: there.call("DELETE", f"/v1/sessions/{session['id']}", user="ann"))
        assert (closed.code, closed.reason) == (4002, "An administrator ended this session.")
        assert here.refusal(token, secret)[:2] == (403, "token-used"), "and it stays ended"
        assert there.sessions() == []
        assert there.call("DELETE", f"/v1/sessions/{session['id']}", user="ann")[0] == 404

    def test_by_its_own_user(self, service: Process) -> None:
        console = service.console(service.token())
        (session,) = service.sessions("max")
        closed = ends_at_once(console, lambda: service.call("DELETE", f"/v1/sessions/{session['id']}"))
        assert (closed.code, closed.reason) == (4002, "The user of this session ended it from elsewhere.")

    def test_by_the_tokens_revocation(self, site: Site) -> None:
        here, there = site.start(), site.start()
        token, secret = here.token(), new_secret()
        console = here.console(token, secret)
        (session,) = there.sessions()
        closed = ends_at_once(console, lambda: there.call("DELETE", f"/v1/tokens/{session['token_id']}"))
        assert (closed.code, closed.reason) == (4002, "The token of this session was revoked.")
        assert here.refusal(token, secret)[:2] == (403, "token-invalid")

    def test_a_revoked_token_opens_nothing(self, service: Process) -> None:
        status, answer, _ = service.call("POST", "/v1/consoles", {"instance": GUEST})
        assert status == 201
        token = answer["url"].rpartition("token%3D")[2]
        assert service.call("DELETE", f"/v1/tokens/{answer['token_id']}", user="ann")[0] == 204
        assert service.refusal(token)[:2] == (403, "token-invalid")
        assert service.call("DELETE", f"/v1/tokens/{answer['token_id']}", user="ann")[0] == 404

    def test_by_the_users_removal(self, site: Site) -> None:
        service = site.start()
        token, secret = service.token(), new_secret()
        console = service.console(token, secret)
        closed = ends_at_once(console, lambda: remove_user(site.user_file, site.role_file, "max"))
        assert (closed.code, closed.reason) == (4006, "You may no longer open this console.")
        assert service.refusal(token, secret)[0] == 403

    def test_by_the_loss_of_a_role_and_nobody_elses(self, site: Site) -> None:
        service = site.start()
        console, others = service.console(service.token()), service.console(service.token("eve"))
        closed = ends_at_once(
            console, lambda: add_user(site.user_file, site.role_file, "max", PASSWORD, "reader", cost=4)
        )
        assert closed.code == 4006
        others.send(UPDATE)
        assert others.read(10) == UPDATE
        others.close()

    def test_by_a_rule_that_takes_it_away_and_a_broken_one_takes_nothing(self, site: Site) -> None:
        rules = site.folder / "policy.yaml"
        rules.touch()
        service = site.start(oslo_policy={"policy_file": rules})
        token, secret = service.token(), new_secret()
        console, admins = service.console(token, secret), service.console(service.token("ann"))
        rules.write_text('"os_compute_api:os-remote-consoles": "role:memer"')
        wait_until(lambda: "policy file ignored" in site.log())
        console.send(UPDATE)
        assert console.read(10) == UPDATE
        closed = ends_at_once(
            console, lambda: rules.write_text('"os_compute_api:os-remote-consoles": "rule:context_is_admin"')
        )
        assert (closed.code, closed.reason) == (4006, "You may no longer open this console.")
        assert service.refusal(token, secret)[:2] == (403, "forbidden")
        assert service.call("POST", "/v1/consoles", {"instance": GUEST})[0] == 403
        admins.send(UPDATE)
        assert admins.read(10) == UPDATE
        admins.close()


class TestCommandLine:
    def test_list_and_kill(self, site: Site) -> None:
        service = site.start()
        console = service.console(service.token())
        done = site.run("sessions", "list")
        heading, line = done.stdout.splitlines()
        assert heading.split()[:2] == ["ID", "USER"]
        session_id, user = line.split()[:2]
        assert user == "max"
        assert GUEST in line
        listed = json.loads(site.run("sessions", "list", "--json").stdout)
        assert (listed["session_id"], listed["client"]) == (session_id, "127.0.0.1")
        site.run("sessions", "kill", session_id)
        closed = console.wait_for_close()
        assert (closed.code, closed.reason) == (4002, "An administrator ended this session.")
        again = site.run("sessions", "kill", session_id)
        assert (again.returncode, again.stdout) == (1, "")
        assert again.stderr == f"porthole: There is no session '{session_id}' now. See: porthole sessions list\n"
        assert len(site.run("sessions", "list").stdout.splitlines()) == 1

    def test_token_revoke(self, site: Site) -> None:
        service = site.start()
        token = service.token()
        console = service.console(token)
        (session,) = service.sessions()
        assert site.run("token", "revoke", session["token_id"]).returncode == 0
        assert console.wait_for_close().reason == "The token of this session was revoked."
        assert site.run("token", "revoke", token).returncode == 1, "the token itself is not its id"

    def test_without_a_store_there_is_nothing(self, site: Site) -> None:
        site.installation.configure()
        done = site.run("sessions", "list")
        assert done.returncode == 1
        assert done.stderr.endswith("there is no store yet.\n")
        assert not (site.folder / "state").exists()


class TestTime:
    def test_session_timeout_is_absolute_and_survives_a_reconnect(self, site: Site) -> None:
        service = site.start(consoleauth={"session_timeout": 3})
        token, secret = service.token(), new_secret()
        began = time.monotonic()
        service.console(token, secret).close()
        time.sleep(1)
        console = service.console(token, secret)
        closed = console.wait_for_close()
        assert (closed.code, closed.reason) == (4001, "The time of this session is over.")
        assert 1.5 < time.monotonic() - began < 8
        assert service.refusal(token, secret)[:2] == (403, "token-used")

    def test_whoever_may_still_ask_renews_a_session_at_another_process(self, site: Site) -> None:
        options = {"enforce_session_timeout": "true", "token_ttl": 6}
        here, there = site.start(consoleauth=options), site.start(consoleauth=options)
        token, secret = here.token(), new_secret()
        console = here.console(token, secret)
        check = {"token": token, "resume": secret}
        session = here.call("POST", "/v1/consoles/check", check, user=None)[1]["session"]
        assert session["renewable"]
        path = f"/v1/sessions/{session['id']}/renew"
        assert there.call("POST", path, {}, user="eve")[0] == 404
        time.sleep(1.5)
        status, renewed, _ = there.call("POST", path, {})
        assert status == 200
        assert renewed["expires_at"] > session["expires_at"]
        began = time.monotonic()
        assert console.wait_for_close().code == 4001
        assert time.monotonic() - began > 4.8, "not at the token's expiry, which was 4.5 s away at most"
        assert there.call("POST", path, {})[0] == 404

    def test_a_session_that_lasts_needs_no_renewal(self, service: Process) -> None:
        console = service.console(service.token())
        (session,) = service.sessions()
        assert service.call("POST", f"/v1/sessions/{session['id']}/renew", {})[0] == 409
        console.close()

    def test_idle_timeout_ends_a_console_that_shows_a_lot_and_is_not_used(self, site: Site) -> None:
        service = site.start(consoleauth={"idle_timeout": 2})
        idle, used = service.console(service.token()), service.console(service.token())
        began = time.monotonic()
        while time.monotonic() - began < 3.5:
            used.send(KEY)
            used.read(len(KEY))
            if time.monotonic() - began < 1.5:
                idle.send(UPDATE)
                idle.read(len(UPDATE))
            time.sleep(0.2)
        closed = idle.wait_for_close()
        assert (closed.code, closed.reason) == (4007, "Nobody used this console for 2 seconds.")
        used.send(KEY)
        assert used.read(8) == KEY
        used.close()


class TestViewOnly:
    def test_only_what_asks_for_the_picture_reaches_the_guest(self, service: Process) -> None:
        token = service.token(mode="view")
        answer = service.call("POST", "/v1/consoles/check", {"token": token}, user=None)[1]
        assert answer["mode"] == "view"
        console = service.console(token)
        assert service.sessions()[0]["mode"] == "view"
        for piece in (KEY, POINTER, CLIPBOARD, UPDATE, KEY[:3], KEY[3:] + UPDATE):
            console.send(piece)
        assert console.read(20) == UPDATE * 2, "the echo has nothing else"
        console.close()

    def test_it_cannot_be_turned_into_a_full_one(self, service: Process) -> None:
        token, secret = service.token(mode="view"), new_secret()
        service.console(token, secret).close()
        console = service.console(token, secret)
        console.send(KEY + UPDATE)
        assert console.read(10) == UPDATE
        console.send(b"\xfe")
        assert console.wait_for_close().code == 1002


class TestLimits:
    @pytest.mark.parametrize("limit", ["sessions_per_user", "sessions_per_instance", "sessions_per_address"])
    def test_sessions_at_once_in_all_processes_together(self, site: Site, limit: str) -> None:
        here, there = (site.start(limits={limit: 2}) for _ in range(2))
        tokens = [here.token() for _ in range(3)]
        secret = new_secret()
        consoles = [here.console(tokens[0], secret), there.console(tokens[1])]
        for service in (here, there):
            status, code, headers = service.refusal(tokens[2])
            assert (status, code) == (429, "session-limit")
            assert "10" in (headers.get("Retry-After"), headers.get("retry-after"))
        answer = here.call("POST", "/v1/consoles/check", {"token": tokens[2]}, user=None)
        assert (answer[0], answer[1]["code"]) == (429, "session-limit")
        taken_over = there.console(tokens[0], secret)
        consoles[1].close()
        wait_until(lambda: len([one for one in here.sessions() if one["connected"]]) == 1)
        here.console(tokens[2]).close()
        taken_over.close()

    def test_requests_of_a_user_and_not_another_ones(self, site: Site) -> None:
        service = site.start(limits={"api_requests_per_user": 5})
        statuses = [service.call("GET", "/v1/instances")[0] for _ in range(7)]
        assert statuses == [200] * 5 + [429] * 2
        status, answer, headers = service.call("GET", "/v1/instances")
        assert (status, answer["code"]) == (429, "too-many-requests")
        assert "this user" in answer["detail"]
        assert 0 < int(headers["Retry-After"]) <= 12
        assert service.call("GET", "/v1/instances", user="eve")[0] == 200

    def test_requests_of_the_api_and_not_health_checks(self, site: Site) -> None:
        service = site.start(limits={"api_requests_per_address": 5})
        statuses = [service.call("GET", "/v1/instances")[0] for _ in range(7)]
        assert statuses == [200] * 5 + [429] * 2
        status, answer, headers = service.call("GET", "/v1/instances")
        assert (status, answer["code"]) == (429, "too-many-requests")
        assert 0 < int(headers["Retry-After"]) <= 12
        assert service.call("GET", "/healthz", user=None)[0] == 200

    def test_wrong_passwords_lock_a_user_out_for_longer_and_longer_and_nobody_else(self, site: Site) -> None:
        service = site.start(limits={"failed_sign_ins": 3})
        assert [service.call("GET", "/v1/session", password="wrong")[0] for _ in range(4)] == [401, 401, 401, 429]
        status, answer, headers = service.call("GET", "/v1/session")
        assert (status, answer["code"]) == (429, "locked-out"), "not even with the right password"
        assert int(headers["Retry-After"]) == 1
        assert service.call("GET", "/v1/session", user="eve")[0] == 200
        time.sleep(1.1)
        assert service.call("GET", "/v1/session", password="wrong")[0] == 401
        assert int(service.call("GET", "/v1/session", password="wrong")[2]["Retry-After"]) == 2
        time.sleep(2.1)
        assert service.call("GET", "/v1/session")[0] == 200
        assert service.call("GET", "/v1/session", password="wrong")[0] == 401, "all was forgotten"


class TestBehindAProxy:
    def test_a_trusted_one_is_believed_and_nobody_else(self, site: Site) -> None:
        trusting, distrustful = site.start(proxy={"trusted_proxies": "127.0.0.0/8"}), site.start()
        forwarded = ["X-Forwarded-For: 203.0.113.7, 198.51.100.4"]
        for service, client in ((trusting, "198.51.100.4"), (distrustful, "127.0.0.1")):
            console = service.console(service.token(), header=forwarded)
            assert [one["client"] for one in service.sessions() if one["connected"]] == [client]
            console.close()
            wait_until(lambda: not service.sessions())  # noqa: B023 - called at once
        assert '"client": "198.51.100.4"' in trusting.log_file.read_text()
        assert "203.0.113.7" not in site.log(), "what a browser says of itself counts for nothing"
