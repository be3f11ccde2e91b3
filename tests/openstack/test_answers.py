"""Every answer at every microversion, judged by Nova's own schemas."""

from __future__ import annotations

import http.client
import itertools
from pathlib import Path

import pytest

from tests.openstack.judge import NOVAS, VERSIONS, ask, nova_says, question
from tests.service.consoles import Process
from tests.service.vnc import GUEST


@pytest.mark.parametrize("user", ["ann", "max"])
def test_every_answer_at_every_microversion_is_one_that_novas_schema_has(
    judged: Process, tmp_path: Path, user: str
) -> None:
    reads = [
        ("servers", "index", "/servers"),
        ("servers", "index", "/servers?limit=1"),
        ("servers", "detail", "/servers/detail"),
        ("servers", "detail", "/servers/detail?limit=1"),
        ("servers", "show", f"/servers/{GUEST}"),
        ("servers", "show", f"/servers/{NOVAS}"),
        ("flavors", "index", "/flavors?limit=1"),
        ("flavors", "detail", "/flavors/detail"),
        ("flavors", "show", "/flavors/2"),
        ("flavors", "show", "/flavors/1-vcpu-8-mib"),
        ("versionsV21", "show", "/"),
    ]
    questions = []
    for version, (controller, method, path) in itertools.product(VERSIONS, reads):
        status, answer = ask(judged, "GET", path, version, user=user)
        assert status == 200, (path, version, answer)
        questions.append(question("answer", controller, method, version, answer))

    wrong = [
        (q["version"], q["method"], says)
        for q, says in zip(questions, nova_says(tmp_path, questions), strict=True)
        if says
    ]
    assert wrong == []


def test_consoles_and_what_their_tokens_open_are_too(judged: Process, tmp_path: Path) -> None:
    questions = []
    for version in VERSIONS:
        if int(version[2:]) < 6:
            body = {"os-getVNCConsole": {"type": "novnc"}}
            status, answer = ask(judged, "POST", f"/servers/{GUEST}/action", version, body)
            method = "get_vnc_console"
        else:
            body = {"remote_console": {"protocol": "vnc", "type": "novnc"}}
            status, answer = ask(judged, "POST", f"/servers/{GUEST}/remote-consoles", version, body)
            method = "create"
        assert status == 200, (version, answer)
        questions.append(question("answer", "remote_consoles", method, version, answer))
        if int(version[2:]) >= 31:
            url = answer["remote_console"]["url"]
            status, answer = ask(judged, "GET", f"/os-console-auth-tokens/{url.rpartition('%3D')[2]}", version)
            assert status == 200, (version, answer)
            questions.append(question("answer", "console_auth_tokens", "show", version, answer))

    assert [says for says in nova_says(tmp_path, questions) if says] == []


def test_the_list_of_versions_is_one_that_novas_schema_has(judged: Process, tmp_path: Path) -> None:
    status, answer, headers = judged.call("GET", "/", user=None, headers={"Accept": "application/json"})

    assert (status, headers["Vary"]) == (200, "Accept")
    assert nova_says(tmp_path, [question("answer", "versions", "index", "2.1", answer)]) == [None]
    # Without that header it is the page.
    connection_status, page = page_at_root(judged)
    assert connection_status == 200
    assert b"<!doctype html>" in page[:200].lower()


def page_at_root(judged: Process) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(judged.address, timeout=30)
    try:
        connection.request("GET", "/", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
