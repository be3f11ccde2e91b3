"""What comes of a nova-api that does not answer as it should; tests/openstack has a real one."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import gevent
import gevent.event
import pytest

import porthole
from porthole.consoleauth.errors import AuthorityUnavailable, TokenInvalid, TokenOfAnotherConsole
from porthole.consoleauth.nova import NovaConsole
from porthole.consoleauth.nova_api import (
    AT_ONCE,
    MAX_ANSWER,
    MAX_WAITING,
    OF_ONE_CLIENT,
    OLD_FOR,
    NovaApi,
    NovaCredentials,
)

TOKEN = "f807a660-ebf7-461a-94bc-1305f44a9e12"
ID = "0a7a9a6e-3a5e-4a52-b1c9-2a7f0d3f4d11"
PASSWORD = "not-for-logs"
CLIENT = "192.0.2.9"
CONSOLE = {"instance_uuid": ID, "host": "10.0.0.5", "port": 5900, "internal_access_path": None}

Answer = tuple[str, object]


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


class Cloud:
    """Keystone's and Nova's addresses, with whatever answers a test likes."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []  # microversions, and the tokens of Keystone's
        self.sign_ins = 0
        self.now = 1000.0
        self.answer: Callable[[str], Answer] = lambda microversion: ("200 OK", {"console": CONSOLE})
        self._server = make_server("127.0.0.1", 0, self._serve, handler_class=_Quiet)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.nova_url = f"{self.url}/v2.1"
        self.keystone_answer: bytes | None = None

    def _serve(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        path = environ["PATH_INFO"]
        if path == "/v3/auth/tokens":
            self.sign_ins += 1
            start_response("201 Created", [("X-Subject-Token", f"keystone-{self.sign_ins}")])
            catalog = [
                {
                    "type": "compute",
                    "endpoints": [{"interface": "public", "region": "R", "region_id": "R", "url": self.nova_url}],
                }
            ]
            token = {"methods": ["password"], "expires_at": "2099-01-01T00:00:00Z", "catalog": catalog}
            return [self.keystone_answer or json.dumps({"token": token}).encode()]
        if path in ("/v3", "/v3/"):
            links = [{"rel": "self", "href": f"{self.url}/v3/"}]
            start_response("200 OK", [("Content-Type", "application/json")])
            return [json.dumps({"version": {"id": "v3.14", "status": "stable", "links": links}}).encode()]
        assert path == f"/v2.1/os-console-auth-tokens/{TOKEN}", path
        microversion = environ["HTTP_OPENSTACK_API_VERSION"].removeprefix("compute ")
        self.asked.append((microversion, environ["HTTP_X_AUTH_TOKEN"]))
        status, body = self.answer(microversion)
        start_response(status, [("Content-Type", "application/json"), ("Location", "http://127.0.0.1:1/")])
        return [body if isinstance(body, bytes) else json.dumps(body).encode()]

    def api(self, timeout: float = 20.0) -> NovaApi:
        credentials = NovaCredentials(
            auth_url=f"{self.url}/v3",
            username="porthole",
            password=PASSWORD,
            project_name="service",
            user_domain_name="Default",
            project_domain_name="Default",
            region_name=None,
            valid_interfaces=("internal", "public"),
            endpoint_override=None,
            cafile=None,
            timeout=timeout,
        )
        assert PASSWORD not in repr(credentials)
        return NovaApi(credentials, lambda: self.now)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    cloud = Cloud()
    yield cloud
    cloud.stop()


def refused(cloud: Cloud) -> str:
    """Why Nova cannot be asked, for the log."""
    with pytest.raises(AuthorityUnavailable) as error:
        cloud.api().show(TOKEN, CLIENT)
    assert str(error.value).startswith("Nova, which issued this console URL, cannot be asked")
    assert TOKEN not in error.value.why
    assert PASSWORD not in error.value.why
    return error.value.why


class TestAnswers:
    def test_nothing_is_kept_but_the_sign_in(self, cloud: Cloud) -> None:
        api = cloud.api()
        assert api.show(TOKEN, CLIENT) == api.show(TOKEN, CLIENT) == NovaConsole(ID, "10.0.0.5", 5900)
        assert (cloud.sign_ins, len(cloud.asked)) == (1, 2)

    def test_the_newest_microversion_is_asked_for_and_an_older_nova_remembered(self, cloud: Cloud) -> None:
        cloud.answer = lambda version: ("200 OK", {"console": CONSOLE}) if version == "2.31" else ("406 No", {})
        api = cloud.api()
        api.show(TOKEN, CLIENT)
        api.show(TOKEN, CLIENT)
        assert [version for version, _ in cloud.asked] == ["2.99", "2.31", "2.31"]

    def test_for_a_while_alone_for_nova_may_be_a_newer_one_by_then(self, cloud: Cloud) -> None:
        cloud.answer = lambda version: ("200 OK", {"console": CONSOLE}) if version == "2.31" else ("406 No", {})
        api = cloud.api()
        api.show(TOKEN, CLIENT)
        cloud.answer = lambda _version: ("200 OK", {"console": CONSOLE})
        cloud.now += OLD_FOR - 1
        api.show(TOKEN, CLIENT)
        cloud.now += 1
        api.show(TOKEN, CLIENT)
        assert [version for version, _ in cloud.asked] == ["2.99", "2.31", "2.31", "2.99"]

    def test_of_two_that_ask_an_older_nova_at_once_both_are_answered(
        self, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        api = cloud.api()
        both_asked = gevent.event.Event()
        asked: list[str] = []

        def get(_token: str, microversion: str) -> tuple[int, bytes]:
            asked.append(microversion)
            if len(asked) == 2:
                both_asked.set()
            both_asked.wait()
            return (200, json.dumps({"console": CONSOLE}).encode()) if microversion == "2.31" else (406, b"{}")

        monkeypatch.setattr(api, "_get", get)
        asking = [gevent.spawn(api.show, TOKEN, CLIENT) for _ in range(2)]
        assert [greenlet.get(timeout=10).port for greenlet in asking] == [5900, 5900]
        assert asked == ["2.99", "2.99", "2.31", "2.31"]

    def test_a_sign_in_that_nova_takes_no_more_is_renewed(self, cloud: Cloud) -> None:
        api = cloud.api()
        api.show(TOKEN, CLIENT)
        answers = [("401 Unauthorized", {}), ("200 OK", {"console": CONSOLE})]
        cloud.answer = lambda _version: answers.pop(0)
        api.show(TOKEN, CLIENT)
        assert cloud.asked[-1][1] == "keystone-2"

    def test_a_token_that_nova_does_not_know(self, cloud: Cloud) -> None:
        cloud.answer = lambda _version: ("404 Not Found", {"itemNotFound": {"code": 404, "message": "Token not found"}})
        with pytest.raises(TokenInvalid):
            cloud.api().show(TOKEN, CLIENT)

    def test_one_of_spice(self, cloud: Cloud) -> None:
        cloud.answer = lambda _version: ("200 OK", {"console": {**CONSOLE, "tls_port": 5999}})
        with pytest.raises(TokenOfAnotherConsole):
            cloud.api().show(TOKEN, CLIENT)


class TestTrouble:
    @pytest.mark.parametrize(
        ("status", "body", "why"),
        [
            ("403 Forbidden", {}, "may not show tokens"),
            ("401 Unauthorized", {}, "may not show tokens"),
            ("406 Not Acceptable", {}, "does not have microversion 2.31"),
            ("404 Not Found", b"<html>", "Nova answered 404"),
            ("500 Internal Server Error", {}, "Nova answered 500"),
            ("302 Found", {}, "Nova answered 302"),
            ("200 OK", b"<html>", "not answered as by Nova: its answer has no console"),
            ("200 OK", {"console": {**CONSOLE, "port": 0}}, "not answered as by Nova: the port"),
            ("200 OK", b"[" * 100_000, "more than 65536 bytes"),
            ("200 OK", b"\xff" * 9, "its answer has no console"),
            ("200 OK", b"[" * 60_000, "its answer has no console"),
            ("200 OK", b"9" * 60_000, "its answer has no console"),
            ("200 OK", {"console": {**CONSOLE, "port": "9" * 5000}}, "not answered as by Nova: the port"),
        ],
    )
    def test_it_is_named_in_the_log(self, cloud: Cloud, status: str, body: object, why: str) -> None:
        cloud.answer = lambda _version: (status, body)
        assert MAX_ANSWER == 65536
        assert why in refused(cloud)

    def test_nobody_is_there(self, cloud: Cloud) -> None:
        cloud._server.server_close()
        assert "Unable to establish connection" in refused(cloud)

    @pytest.mark.parametrize("host", ["c" * 64, "compute..test"])
    def test_its_address_in_the_catalogue_is_no_name_of_a_host(self, cloud: Cloud, host: str) -> None:
        cloud.nova_url = f"http://{host}:1/v2.1"
        assert refused(cloud)

    def test_keystone_answers_with_what_no_json_reader_reads(self, cloud: Cloud) -> None:
        cloud.keystone_answer = b"[" * 100_000
        assert refused(cloud)

    def test_silence_has_one_limit_for_all_together_and_others_go_on(
        self, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        api = cloud.api(timeout=0.3)
        monkeypatch.setattr(api, "_get", lambda _token, _microversion: gevent.sleep(30))
        turns: list[float] = []

        def tick() -> None:
            while True:
                turns.append(time.monotonic())
                gevent.sleep(0.02)

        ticking = gevent.spawn(tick)
        with pytest.raises(AuthorityUnavailable) as error:
            api.show(TOKEN, CLIENT)
        assert error.value.why == "no answer within 0.3 s"
        assert len(turns) > 3
        ticking.kill()

    def test_so_many_ask_at_once_and_so_many_wait_and_the_next_is_refused(
        self, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        api = cloud.api()
        asked: list[str] = []

        def silent(token: str, _microversion: str) -> tuple[int, bytes]:
            asked.append(token)
            gevent.sleep(30)
            return 200, b""

        with monkeypatch.context() as patched:
            patched.setattr(api, "_get", silent)
            waiting = [gevent.spawn(api.show, TOKEN, f"client {number}") for number in range(AT_ONCE + MAX_WAITING)]
            gevent.sleep(0.1)
            with pytest.raises(AuthorityUnavailable) as error:
                api.show(TOKEN, CLIENT)
            assert error.value.why == f"{AT_ONCE + MAX_WAITING} questions wait for Nova already"
            assert len(asked) == AT_ONCE
            gevent.killall(waiting)
        assert api.show(TOKEN, CLIENT).port == 5900

    def test_one_client_leaves_turns_to_the_others(self, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
        api = cloud.api()
        assert OF_ONE_CLIENT < AT_ONCE
        with monkeypatch.context() as patched:
            patched.setattr(api, "_get", lambda _token, _microversion: gevent.sleep(30))
            waiting = [gevent.spawn(api.show, TOKEN, CLIENT) for _ in range(OF_ONE_CLIENT)]
            gevent.sleep(0.1)
            with pytest.raises(AuthorityUnavailable) as error:
                api.show(TOKEN, CLIENT)
            assert error.value.why == f"{OF_ONE_CLIENT} questions of {CLIENT} wait for Nova already"
        assert api.show(TOKEN, "192.0.2.10").port == 5900
        gevent.killall(waiting)
        assert api.show(TOKEN, CLIENT).port == 5900

    def test_the_token_is_in_no_log_line(self, cloud: Cloud, caplog: pytest.LogCaptureFixture) -> None:
        logging.getLogger("urllib3").setLevel(logging.WARNING)  # as porthole.log has it
        with caplog.at_level(logging.DEBUG):
            cloud.api().show(TOKEN, CLIENT)
        assert TOKEN not in caplog.text
        assert PASSWORD not in caplog.text


def test_a_service_without_novas_tokens_does_not_load_keystoneauth() -> None:
    code = "import sys, porthole.service; sys.exit(any(name.startswith('keystoneauth1') for name in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(Path(porthole.__file__).parents[1])},
        check=False,
    )
    assert done.returncode == 0
