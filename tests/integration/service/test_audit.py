"""The audit log of running services: what is in it, what is not, that an edit shows, and what a full disk does."""

from __future__ import annotations

import contextlib
import json
import signal
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import websocket

from tests.service.consoles import PASSWORD, Process, Site, new_secret, wait_until
from tests.service.vnc import GUEST

UPDATE = b"\x03\0\0\0\0\0\0\x10\0\x10"
WRONG = "not-the-password"


class Audit:
    """The log of a site, in a folder of its own."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.folder = site.folder / "audit"
        self.folder.mkdir()
        self.path = self.folder / "audit.log"
        self.site.installation.audit_path = self.path

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_text().splitlines()]

    def events(self) -> list[str]:
        return [line["event"] for line in self.lines()]

    def one(self, event: str) -> dict[str, Any]:
        (line,) = (line for line in self.lines() if line["event"] == event)
        return line

    def verify(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.site.run("audit", "verify", *arguments)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.stop()


@pytest.fixture
def audit(site: Site) -> Audit:
    return Audit(site)


@pytest.fixture
def service(site: Site, audit: Audit) -> Process:
    return site.start()


def sign_in(service: Process, password: str) -> tuple[int, str]:
    """Status and cookie of a sign-in with the page's call."""
    body = {"username": "max", "password": password}
    status, _, headers = service.call("POST", "/v1/session", body, user=None)
    return status, headers.get("Set-Cookie", "").partition(";")[0]


def with_cookie(service: Process, cookie: str) -> dict[str, str]:
    return {"Cookie": cookie, "Origin": f"http://{service.address}", "Sec-Fetch-Site": "same-origin"}


class TestStory:
    def test_each_act_is_one_line_and_the_check_says_good(self, site: Site, audit: Audit, service: Process) -> None:
        assert sign_in(service, WRONG)[0] == 401
        status, cookie = sign_in(service, PASSWORD)
        assert status == 201
        by_cookie = with_cookie(service, cookie)
        asked = {"instance": GUEST}
        status, answer, _ = service.call("POST", "/v1/consoles", asked, user=None, headers=by_cookie)
        assert status == 201
        token, secret = answer["url"].rpartition("token%3D")[2], new_secret()
        console = service.console(token, secret)
        (session,) = service.sessions()
        assert service.refusal(token)[1] == "token-used"
        assert service.call("DELETE", f"/v1/sessions/{session['id']}", user="ann")[0] == 204
        assert console.wait_for_close().code == 4002
        wait_until(lambda: "session-ended" in audit.events())
        nowhere = {"instance": "no-such-instance"}
        assert service.call("POST", "/v1/consoles", nowhere, user=None, headers=by_cookie)[0] == 404
        assert service.call("DELETE", "/v1/session", user=None, headers=by_cookie)[0] == 204
        service.popen.send_signal(signal.SIGTERM)
        assert service.popen.wait(30) == 0

        assert audit.events() == [
            "service-started",
            "sign-in-refused",
            "sign-in",
            "token-issued",
            "session-started",
            "sign-in",  # ann's, who lists and kills with a password
            "connect-refused",
            "session-killed",
            "session-ended",
            "console-refused",
            "sign-out",
            "service-stopped",
        ]
        issued, started, killed, ended = (
            audit.one(event) for event in ("token-issued", "session-started", "session-killed", "session-ended")
        )
        for line in (issued, started, ended, audit.one("connect-refused")):
            assert line["who"] == {"user": "max", "project": "default"}
            assert (line["client"], line["instance"]) == ("127.0.0.1", GUEST)
            assert line["token_id"] == answer["token_id"]
        assert (issued["compute"], started["compute"], ended["compute"]) == ("c1", "c1", "c1")
        assert started["session_id"] == killed["session_id"] == ended["session_id"] == session["id"]
        assert killed["who"]["user"] == "ann"
        assert killed["details"] == {"of": "max"}
        assert ended["reason"] == "4002 An administrator ended this session."
        assert audit.one("connect-refused")["reason"] == "token-used"
        assert audit.one("console-refused")["reason"] == "instance-not-found"
        assert audit.one("console-refused")["instance"] == "no-such-instance"
        assert audit.one("sign-in-refused")["who"]["user"] == "max"

        done = audit.verify("--heads", str(service.log_file))
        assert (done.returncode, done.stderr) == (0, "")
        assert "12 lines, 1 to 12 of the chain, are as they were written." in done.stdout
        assert "No head was compared" not in done.stdout

    def test_no_secret_is_in_it(self, audit: Audit, service: Process) -> None:
        secret, token = new_secret(), service.token()
        assert sign_in(service, WRONG)[0] == 401
        service.call("GET", "/v1/instances", user=PASSWORD, password="in the wrong field")
        console = service.console(token, secret)
        service.refusal(token, new_secret())
        service.refusal(token + "x")
        service.call("POST", "/v1/consoles/check", {"token": token[:-1] + "-"}, user=None)
        console.close()
        wait_until(lambda: "session-ended" in audit.events())
        written = audit.path.read_text()
        _, cookie = sign_in(service, PASSWORD)
        for text in (token, token.rpartition(".")[2], secret, WRONG, PASSWORD, cookie.partition("=")[2]):
            assert text not in written

    def test_a_program_with_a_password_signs_in_once(self, audit: Audit, service: Process) -> None:
        for _ in range(3):
            service.call("GET", "/v1/instances")
        for _ in range(2):
            service.call("GET", "/v1/instances", password=WRONG)
        assert audit.events() == ["service-started", "sign-in", "sign-in-refused", "sign-in-refused"]

    def test_a_browser_that_goes_on_with_its_session(self, audit: Audit, service: Process) -> None:
        token, secret = service.token(), new_secret()
        service.console(token, secret).close()
        wait_until(lambda: "session-ended" in audit.events())
        service.console(token, secret).close()
        wait_until(lambda: audit.events().count("session-ended") == 2)
        lines = [line for line in audit.lines() if line["session_id"]]
        assert [line["event"] for line in lines] == ["session-started", "session-ended"] * 2
        assert [line["details"]["resumed"] for line in lines[::2]] == [False, True]
        assert len({line["session_id"] for line in lines}) == 1

    def test_two_processes_write_one_chain(self, site: Site, audit: Audit) -> None:
        here, there = site.start(), site.start()
        tokens = [process.token() for process in (here, there, here, there)]
        consoles = [there.console(token) for token in tokens[:2]] + [here.console(token) for token in tokens[2:]]
        for console in consoles:
            console.close()
        wait_until(lambda: audit.events().count("session-ended") == 4)
        assert [line["seq"] for line in audit.lines()] == list(range(1, len(audit.lines()) + 1))
        assert audit.verify().returncode == 0

    def test_sessions_are_ended_on_record_when_the_service_stops(self, audit: Audit, service: Process) -> None:
        consoles = [service.console(service.token()) for _ in range(5)]
        service.popen.send_signal(signal.SIGTERM)
        assert service.popen.wait(30) == 0
        assert {console.wait_for_close().code for console in consoles} == {1001}
        assert audit.events()[-6:] == ["session-ended"] * 5 + ["service-stopped"]
        assert audit.verify("--heads", str(service.log_file)).returncode == 0


class TestCommandLine:
    def test_what_it_does_is_on_record_with_the_systems_user(self, site: Site, audit: Audit, service: Process) -> None:
        console = service.console(service.token())
        (session,) = service.sessions()
        assert site.run("sessions", "kill", session["id"]).returncode == 0
        assert console.wait_for_close().code == 4002
        assert site.run("token", "revoke", session["token_id"]).returncode == 0
        killed, revoked = audit.one("session-killed"), audit.one("token-revoked")
        assert killed["session_id"] == session["id"]
        assert killed["token_id"] == revoked["token_id"] == session["token_id"]
        for line in (killed, revoked):
            assert line["who"]["user"]
            assert line["who"]["project"] == ""
            assert line["details"]["of"] == "max"
            assert line["details"]["way"] == "command line"
        wait_until(lambda: "session-ended" in audit.events())
        assert audit.verify().returncode == 0


class TestEdits:
    def test_an_edited_byte_a_removed_line_and_a_cut_tail_are_named(
        self, site: Site, audit: Audit, service: Process
    ) -> None:
        service.token()
        service.console(service.token()).close()
        wait_until(lambda: "session-ended" in audit.events())
        site.stop()
        heads = str(service.log_file)
        whole = audit.path.read_bytes()
        lines = whole.splitlines(keepends=True)
        number = audit.events().index("session-started")

        edited = lines[number].replace(b'"user":"max"', b'"user":"eve"')
        audit.path.write_bytes(b"".join([*lines[:number], edited, *lines[number + 1 :]]))
        done = audit.verify("--heads", heads)
        assert done.returncode == 1
        assert f"{audit.path}, line {number + 1}: changed" in done.stderr

        audit.path.write_bytes(b"".join(lines[:number] + lines[number + 1 :]))
        assert f"line {number + 1}: removed" in audit.verify().stderr

        audit.path.write_bytes(b"".join(lines[:-1]))
        assert audit.verify().returncode == 0, "the file alone cannot say"
        done = audit.verify("--heads", heads)
        assert done.returncode == 1
        assert f"line {len(lines)}: cut" in done.stderr

        audit.path.write_bytes(whole)
        assert audit.verify("--heads", heads).returncode == 0


@pytest.fixture
def small_disk(audit: Audit) -> Iterator[Path]:
    """A file system of its own for the log, of 128 KiB; returns a file to fill it with."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(audit.folder)], check=True)
    yield audit.folder / "filler"
    subprocess.run(["umount", "--lazy", str(audit.folder)], check=True)


def fill(filler: Path) -> None:
    with filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(512))


class TestFullDisk:
    def test_nothing_begins_and_nothing_is_lost(
        self, site: Site, audit: Audit, small_disk: Path, service: Process
    ) -> None:
        _, cookie = sign_in(service, PASSWORD)
        by_cookie = with_cookie(service, cookie)
        token, secret = service.token(), new_secret()
        console, other = service.console(service.token()), service.console(service.token("ann"))
        sessions = {one["user_id"]: one for one in service.sessions()}
        fill(small_disk)

        asked = {"instance": GUEST}
        for _ in range(4096 // 400 + 2):  # what is left of the log's last page is used up first
            status, answer, headers = service.call("POST", "/v1/consoles", asked, user=None, headers=by_cookie)
            if status != 201:
                break
        assert (status, answer["code"]) == (503, "audit-unavailable")
        assert "url" not in answer
        assert int(headers["Retry-After"]) > 0
        assert service.refusal(token, secret)[:2] == (503, "audit-unavailable")
        for password in (PASSWORD, WRONG):
            assert sign_in(service, password)[0] == 503, "nobody learns unseen whether a password is right"
        status, ready, _ = service.call("GET", "/readyz", user=None)
        assert (status, ready["reasons"]) == (503, ["The audit log cannot be written."])
        assert service.call("GET", "/healthz", user=None)[0] == 200

        for open_one in (console, other):
            open_one.send(UPDATE)
            assert open_one.read(10) == UPDATE, "open sessions go on"
        killing = f"/v1/sessions/{sessions['max']['id']}"
        assert service.call("DELETE", killing, user=None, headers=by_cookie)[0] == 204
        assert console.wait_for_close().code == 4002, "and are cut all the same"

        small_disk.unlink()
        wait_until(lambda: {"session-killed", "session-ended"} <= set(audit.events()))
        wait_until(lambda: service.call("GET", "/readyz", user=None)[0] == 200)
        service.console(token, secret).close()
        other.close()
        wait_until(lambda: audit.events().count("session-ended") == 3)
        resumed = audit.one("recording-resumed")
        assert resumed["details"]["failed"] >= 4
        killed = audit.one("session-killed")
        assert killed["time"] < resumed["time"], "when it happened, not when it was written"
        done = audit.verify("--heads", str(service.log_file))
        assert done.returncode == 0, done.stderr

    def test_the_console_that_finds_it_so_is_closed_in_words_and_its_token_is_as_it_was(
        self, audit: Audit, small_disk: Path, service: Process
    ) -> None:
        tokens = [(service.token(), new_secret()) for _ in range(4096 // 400 + 2)]
        fill(small_disk)
        browsers = []
        for token, secret in tokens:  # what is left of the log's last page is used up first, by starts alone
            browser = service.upgrade(token, secret)
            browsers.append(browser)
            assert browser.recv() == b"RFB 003.008\n", "the greeting is ours"
            browser.send_binary(b"RFB 003.008\n")
            opcode, said = browser.recv_data(control_frame=True)
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                break
        assert struct.unpack("!H", said[:2]) == (1011,)
        assert said[2:].startswith(b"The service cannot record at the moment")
        assert service.refusal(token, secret)[:2] == (503, "audit-unavailable"), "from now on it is known"
        for browser in browsers:
            browser.close()

        small_disk.unlink()
        wait_until(lambda: service.call("GET", "/readyz", user=None)[0] == 200)
        service.console(token, secret).close()
        wait_until(lambda: audit.events().count("session-ended") == audit.events().count("session-started"))
        assert audit.verify().returncode == 0


class TestStart:
    def test_without_a_key_it_does_not_start(self, site: Site) -> None:
        (site.folder / "audit.keys").unlink()
        process = site.installation.serve()
        _, said = process.communicate(timeout=30)
        assert process.returncode == 1
        assert "option key_file in [audit] is " in said
        assert said.rstrip().endswith(f"Make one with: porthole keys add {site.folder / 'audit.keys'}")

    def test_where_nothing_can_be_written_it_does_not_start(self, site: Site, audit: Audit) -> None:
        audit.folder.rmdir()
        message = site.installation.refusal()
        assert message.startswith(f"porthole: option path in [audit] is {audit.path}, where nothing can be recorded: ")

    def test_a_log_that_is_none_of_ours_is_left_alone(self, site: Site, audit: Audit) -> None:
        audit.path.write_text("somebody else's file\n")
        assert "option path in [audit]" in site.installation.refusal()
        assert audit.path.read_text() == "somebody else's file\n"

    def test_switched_off_it_needs_no_key_and_writes_nothing(self, site: Site, audit: Audit) -> None:
        (site.folder / "audit.keys").unlink()
        site.installation.audit_enabled = False
        service = site.start()
        service.console(service.token()).close()
        assert list(audit.folder.iterdir()) == []
        assert service.call("GET", "/readyz", user=None)[0] == 200
