"""kill -9 while consoles are asked for and opened: what was answered is on record, and nobody refused gets in."""

from __future__ import annotations

import json
import os
import signal
import threading
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path

import pytest
from websocket import WebSocketException

from tests.integration.survival.conftest import Records, ask
from tests.service.appliance import token_of
from tests.service.consoles import Process, Site, new_secret, wait_until
from tests.service.rfb import Closed, RfbClient

CLIENTS = 3
ENOUGH = 12
"""Sessions after which the worker is killed, in the middle of others."""


@dataclass
class Answered:
    """What clients were told, before and after the kill.

    :ivar issued: ids of tokens whose URL somebody got
    :ivar opened: tokens whose upgrade got its 101, with the browser's secret
    :ivar shown: ids of tokens whose browser got something of the guest
    """

    issued: list[str] = field(default_factory=list)
    opened: list[tuple[str, str]] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)


def keep_opening(service: Process, answered: Answered, over: threading.Event) -> None:
    """One client after the other asks for a console and opens it, whatever becomes of the service."""
    while not over.is_set():
        try:
            status, answer = ask(service)
            if status != 201:
                continue
            answered.issued.append(answer["token_id"])
            token, secret = token_of(answer["url"]), new_secret()
            connection = service.upgrade(token, secret)
            answered.opened.append((token, secret))
            RfbClient(connection).handshake()
            answered.shown.append(answer["token_id"])
            connection.close(timeout=1)
        except (OSError, HTTPException, WebSocketException, Closed, json.JSONDecodeError):
            continue


def test_nothing_that_was_answered_is_lost_with_the_worker(site: Site, records: Records) -> None:
    service = site.start(proxy={"max_sessions": 1000})
    revoked = service.token()
    used = service.token()
    service.console(used).close()
    killed, secret = service.token(), new_secret()
    console = service.console(killed, secret)
    ids = {row["token_id"]: row["id"] for row in service.sessions()}
    (killed_id,) = [line["token_id"] for line in records.lines("session-started")][-1:]
    revoked_id = records.lines("token-issued")[0]["token_id"]
    assert service.call("DELETE", f"/v1/sessions/{ids[killed_id]}", user="ann")[0] == 204
    assert console.wait_for_close().code == 4002
    assert service.call("DELETE", f"/v1/tokens/{revoked_id}", user="ann")[0] == 204

    answered, over = Answered(), threading.Event()
    clients = [threading.Thread(target=keep_opening, args=(service, answered, over)) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    wait_until(lambda: len(answered.opened) >= ENOUGH)
    worker, before = service.worker(), len(answered.opened)
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: len(answered.opened) >= before + ENOUGH, 60)  # the master has started another one
    over.set()
    for client in clients:
        client.join()

    assert service.worker() != worker
    assert set(answered.issued) <= {line["token_id"] for line in records.lines("token-issued")}
    uses = dict(records.query("SELECT token_id, uses FROM tokens"))
    assert set(answered.issued) <= set(uses)
    started = {line["token_id"] for line in records.lines("session-started")}
    assert answered.shown
    assert set(answered.shown) <= started, "whoever saw something of the guest is in the log"
    assert sum(uses.values()) <= len(started) + CLIENTS, "the rest are connections that the kill has interrupted"
    assert len([uses[token] for token in answered.issued if uses[token] == 1]) >= len(answered.opened)
    for token, _ in answered.opened[:3] + answered.opened[before - 2 : before + 2]:
        assert service.refusal(token)[1] == "token-used"
    assert service.refusal(used)[1] == "token-used"
    assert service.refusal(killed, secret)[1] == "token-used", "an ended session is not gone on with"
    assert service.refusal(revoked)[1] == "token-invalid"
    records.verified()


@pytest.mark.parametrize("what", ["a half line", "a changed line"])
def test_a_line_that_a_kill_has_torn_is_told_apart_from_a_changed_one(site: Site, records: Records, what: str) -> None:
    service = site.start()
    service.token()
    end_at_once(service)
    whole = records.audit.read_bytes()
    last = whole.splitlines(keepends=True)[-1]
    left = last[:-40] if what == "a half line" else last.replace(b'"max"', b'"eve"')
    records.audit.write_bytes(whole.removesuffix(last) + left)
    said = site.run("audit", "verify")
    assert said.returncode == 1
    assert (": half-written: " in said.stderr, ": changed: " in said.stderr) == (
        what == "a half line",
        what == "a changed line",
    )

    site.start().token()
    events = [json.loads(line)["event"] for line in records.audit.read_bytes().splitlines() if line.endswith(b"}")]
    again = site.run("audit", "verify")
    if what == "a half line":
        assert "torn-line" in events
        assert again.returncode == 0, again.stderr
    else:
        assert "log-broken" in events
        number = len(whole.splitlines())
        assert again.returncode == 1
        assert f"{records.audit}, line {number}: " in again.stderr, "a start makes no change good"


def test_browsers_go_on_with_their_sessions_and_others_do_not(site: Site, records: Records) -> None:
    service = site.start()
    token, secret = service.token(), new_secret()
    service.console(token, secret)
    end_at_once(service)
    after = site.start()
    assert after.refusal(token, new_secret())[1] == "token-used"
    after.console(token, secret).close()
    wait_until(lambda: records.lines("session-ended"))
    (first, again) = records.lines("session-started")
    assert (first["session_id"], again["details"]["resumed"]) == (again["session_id"], True)
    records.verified()


def end_at_once(service: Process) -> None:
    """kill -9 of all its processes, as the kernel does when memory is short."""
    worker = service.worker()
    service.popen.kill()
    service.popen.wait(10)
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{worker}/cmdline").exists() or not Path(f"/proc/{worker}/cmdline").read_bytes())
