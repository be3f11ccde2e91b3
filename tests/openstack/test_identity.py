"""Keystone as identity: who may see and open what, what its tokens are worth, and what happens while it is away."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import requests
import websocket

from tests.hosts import ComputeHost, Guest
from tests.hosts.network import Network
from tests.openstack.cloud import ADMIN, MEMBER, OTHER, READER, Cloud, add_people, give_to, options, running
from tests.openstack.environment import OpenStackClient
from tests.openstack.keystone import Keystone
from tests.service import Appliance
from tests.service.appliance import token_of
from tests.service.rfb import RfbClient

Hosts = tuple[ComputeHost, ComputeHost]
Eventually = Callable[[Callable[[], object]], None]

CONSOLE = {"remote_console": {"protocol": "vnc", "type": "novnc"}}
PATIENCE = 10.0
"""Seconds for which a Keystone may be silent; a question has three times as many."""

ASKERS = 96
"""Who ask at the same time: 16 of them a time, each for twice PATIENCE, would be waited for two minutes."""

SLACK = 60
"""Seconds by which a busy machine may be late."""

V26 = {"OpenStack-API-Version": "compute 2.6"}


@pytest.fixture
def start_cloud(keystone: Keystone, start_appliance: Callable[..., Appliance]) -> Callable[..., Cloud]:
    """Starts a service that asks the Keystone, with further options of [keystone_authtoken]."""
    add_people(keystone)
    return lambda **more: Cloud(start_appliance(options=options(keystone, **more)), keystone)


@pytest.fixture(scope="module")
def cloud_for_all(
    network: Network, computes: Hosts, novnc: Path, keystone: Keystone, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cloud]:
    """Such a service as it is configured by default, but for its patience."""
    with running(tmp_path_factory.mktemp("keystone-cloud"), network, computes, keystone, 6400) as cloud:
        yield cloud


@pytest.fixture
def cloud(cloud_for_all: Cloud, hosts: Hosts, eventually: Eventually) -> Cloud:
    """The same, with both compute hosts up and without guests and sessions."""
    token = cloud_for_all.token(ADMIN, "admin")
    eventually(lambda: not cloud_for_all.names(token))
    eventually(lambda: not cloud_for_all.call("GET", "/v1/sessions", token).json()["sessions"])
    return cloud_for_all


@pytest.fixture
def guests(keystone: Keystone, hosts: Hosts) -> tuple[Guest, Guest]:
    """``web-1`` of project alpha on the first compute, and ``web-2`` of beta on the second."""
    add_people(keystone)
    made = []
    for host, name, user, project in ((hosts[0], "web-1", MEMBER, "alpha"), (hosts[1], "web-2", OTHER, "beta")):
        guest = host.start_guest(name)
        give_to(host, guest, keystone.add_user(user, project), keystone.add_project(project))
        made.append(guest)
    return made[0], made[1]


def connect(cloud: Cloud, url: str) -> RfbClient:
    """Open a console's URL, up to the first picture."""
    client = RfbClient(cloud.appliance.upgrade(token_of(url)))
    client.handshake()
    client.request_update()
    assert client.raw_update() > 0
    return client


def in_a_thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def is_all(cloud: Cloud, token: str, guest: Guest) -> bool:
    """Whether this guest is what a token lets one see."""
    return cloud.names(token) == [guest.name]


def console_in_time(cloud: Cloud, token: str) -> requests.Response:
    """The answer to a request for a console, with more patience than tests have elsewhere: the service's ends first."""
    body, headers = {"instance": "web-1"}, {"X-Auth-Token": token}
    url = f"{cloud.appliance.url}/v1/consoles"
    return requests.post(url, json=body, headers=headers, timeout=3 * PATIENCE + SLACK)


def keep(answers: list[requests.Response], ask: Callable[[], requests.Response]) -> None:
    answers.append(ask())


def code(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


class TestWhoMayWhat:
    def test_a_member_opens_what_is_his_projects_and_the_rest_does_not_exist(
        self, cloud: Cloud, guests: tuple[Guest, Guest], eventually: Eventually
    ) -> None:
        for user, project, own, foreign in (
            (MEMBER, "alpha", guests[0], guests[1]),
            (OTHER, "beta", guests[1], guests[0]),
        ):
            token = cloud.token(user, project)
            eventually(partial(is_all, cloud, token, own))
            answer = cloud.console(own.name, token)
            assert answer.status_code == 201, answer.text
            connect(cloud, answer.json()["url"]).close()

            hidden, unknown = cloud.console(foreign.name, token), cloud.console("web-9", token)
            assert code(hidden) == (404, "instance-not-found")
            assert hidden.text.replace(foreign.name, "web-9") == unknown.text
            path = f"/v2.1/servers/{foreign.uuid}/remote-consoles"
            assert cloud.call("POST", path, token, json=CONSOLE, headers=V26).status_code == 404

    def test_an_administrator_sees_and_opens_all(
        self, cloud: Cloud, guests: tuple[Guest, Guest], eventually: Eventually
    ) -> None:
        token = cloud.token(ADMIN, "admin")
        eventually(lambda: cloud.names(token) == ["web-1", "web-2"])
        for guest in guests:
            connect(cloud, cloud.console(guest.uuid, token).json()["url"]).close()

    def test_a_reader_lists_and_opens_nothing(
        self, cloud: Cloud, guests: tuple[Guest, Guest], eventually: Eventually
    ) -> None:
        token = cloud.token(READER, "alpha")
        eventually(lambda: cloud.names(token) == ["web-1"])
        refused = cloud.console("web-1", token)
        assert code(refused) == (403, "forbidden")
        assert "It needs the role admin or member" in refused.json()["detail"]
        servers = cloud.call("GET", "/v2.1/servers", token).json()["servers"]
        assert [server["id"] for server in servers] == [guests[0].uuid]

    def test_sessions_are_their_users(self, cloud: Cloud, guests: tuple[Guest, Guest], eventually: Eventually) -> None:
        mine, others = cloud.token(MEMBER, "alpha"), cloud.token(OTHER, "beta")
        eventually(lambda: cloud.names(mine))
        client = connect(cloud, cloud.console("web-1", mine).json()["url"])
        (session,) = cloud.call("GET", "/v1/sessions", mine).json()["sessions"]
        assert session["user_id"] == cloud.keystone.add_user(MEMBER, "alpha")
        assert cloud.call("GET", "/v1/sessions", others).json()["sessions"] == []
        assert cloud.call("DELETE", f"/v1/sessions/{session['id']}", others).status_code == 404
        assert cloud.call("DELETE", f"/v1/sessions/{session['id']}", cloud.token(ADMIN, "admin")).status_code == 204
        assert client.wait_for_close().code == 4002

    def test_openstack_comes_through_the_catalogue(
        self, cloud: Cloud, guests: tuple[Guest, Guest], eventually: Eventually, tmp_path: Path
    ) -> None:
        cloud.register()
        variables = {**cloud.keystone.variables(MEMBER, "alpha"), "OS_COMPUTE_SERVICE_TYPE": "porthole"}
        client = OpenStackClient(tmp_path, variables)
        eventually(lambda: cloud.names(cloud.token(MEMBER, "alpha")))
        # Not 'server list', which looks for Glance in the catalogue first.
        connect(cloud, client.json("console", "url", "show", "--novnc", "web-1")["url"]).close()
        assert "web-2" in client.refusal("console", "url", "show", "--novnc", "web-2")


class TestTokens:
    def test_without_one_the_answer_says_where_they_come_from(self, cloud: Cloud) -> None:
        answer = cloud.call("GET", "/v1/instances", None)
        assert code(answer) == (401, "not-authenticated")
        assert answer.headers["WWW-Authenticate"] == f'Keystone uri="{cloud.keystone.url}"'
        assert cloud.call("GET", "/v2.1/servers", None).json()["unauthorized"]["code"] == 401

    @pytest.mark.parametrize(
        ("scope", "kind"),
        [(None, "no project"), ({"system": {"all": True}}, "the whole system"), ("domain", "a domain")],
    )
    def test_one_that_is_not_of_a_project_is_refused_in_words(self, cloud: Cloud, scope: object, kind: str) -> None:
        if scope == "domain":
            admin = cloud.keystone.call("GET", "/users?name=admin")["users"][0]["id"]
            cloud.keystone.call("PUT", f"/domains/default/users/{admin}/roles/{cloud.keystone.role('admin')}")
            scope = {"domain": {"id": "default"}}
        answer = cloud.call("GET", "/v1/instances", cloud.keystone.token(ADMIN, scope))  # type: ignore[arg-type]
        assert code(answer) == (403, "wrong-scope")
        assert f"The token is for {kind}." in answer.json()["detail"]

    @pytest.mark.parametrize(
        "token",
        ["gAAAAABmade-up", "x" * 2048, "x" * 2049, "x" * 9000, "two words", "%00", "ä".encode().decode("latin-1")],
    )
    def test_one_that_is_none_is_refused(self, cloud: Cloud, token: str) -> None:
        assert code(cloud.call("GET", "/v1/instances", token)) == (401, "not-authenticated")

    def test_a_password_with_a_request_is_not_looked_at(self, cloud: Cloud) -> None:
        cloud.appliance.passwords[MEMBER] = cloud.keystone.passwords[MEMBER]
        answer = cloud.appliance.call("GET", "/v1/instances", MEMBER)
        assert code(answer) == (401, "not-authenticated")
        assert "X-Auth-Token" in answer.json()["detail"]

    def test_one_that_is_revoked_is_worthless_after_the_time_of_the_cache(
        self, start_cloud: Callable[..., Cloud], eventually: Eventually
    ) -> None:
        cloud = start_cloud(token_cache_time=1)
        token = cloud.token(MEMBER, "alpha")
        assert cloud.names(token) == []
        headers = {"X-Auth-Token": token, "X-Subject-Token": token}
        assert requests.delete(f"{cloud.keystone.url}/auth/tokens", headers=headers, timeout=60).status_code == 204
        eventually(lambda: cloud.call("GET", "/v1/instances", token).status_code == 401)

    def test_one_is_asked_about_once_while_it_is_in_the_cache(self, cloud: Cloud) -> None:
        token = cloud.token(MEMBER, "alpha")
        assert cloud.names(token) == []
        cloud.keystone.stop()
        try:
            assert cloud.names(token) == []
        finally:
            cloud.keystone.start()

    def test_an_application_credential_is_its_users_unless_it_has_access_rules(self, cloud: Cloud) -> None:
        keystone = cloud.keystone
        user, own = keystone.add_user(MEMBER, "alpha"), cloud.token(MEMBER, "alpha")
        answers = []
        for name, rules in (("whole", None), ("part", [{"path": "/v1/**", "method": "GET", "service": "compute"}])):
            body = {"name": f"{name}-{time.time_ns()}", **({"access_rules": rules} if rules else {})}
            made = requests.post(
                f"{keystone.url}/users/{user}/application_credentials",
                json={"application_credential": body}, headers={"X-Auth-Token": own}, timeout=60,
            )  # fmt: skip
            assert made.status_code == 201, made.text
            credential = made.json()["application_credential"]
            methods = {"id": credential["id"], "secret": credential["secret"]}
            identity = {"methods": ["application_credential"], "application_credential": methods}
            token = requests.post(f"{keystone.url}/auth/tokens", json={"auth": {"identity": identity}}, timeout=60)
            answers.append(cloud.call("GET", "/v1/instances", token.headers["X-Subject-Token"]))
        assert [answer.status_code for answer in answers] == [200, 403]
        assert "access rules" in answers[1].json()["detail"]

    def test_consoles_that_were_given_out_outlive_a_role_and_are_ended_by_an_administrator(
        self, start_cloud: Callable[..., Cloud], guests: tuple[Guest, Guest], eventually: Eventually
    ) -> None:
        """Decision 26: with no password of the user's nobody can ask Keystone for him at the connect."""
        cloud = start_cloud(token_cache_time=0)
        cloud.keystone.add_user("eve", "alpha", "member")
        token = cloud.token("eve", "alpha")
        eventually(lambda: cloud.names(token))
        urls = [cloud.console("web-1", token).json()["url"] for _ in range(2)]
        cloud.keystone.remove_role("eve", "alpha", "member")
        try:
            assert code(cloud.console("web-1", token)) == (401, "not-authenticated")
            client = connect(cloud, urls[0])
            admin = cloud.token(ADMIN, "admin")
            (session,) = cloud.call("GET", "/v1/sessions", admin).json()["sessions"]
            assert cloud.call("DELETE", f"/v1/tokens/{session['token_id']}", admin).status_code == 204
            assert client.wait_for_close().code == 4002
            connect(cloud, urls[1]).close()
        finally:
            cloud.keystone.add_role("eve", "alpha", "member")

    def test_a_share_link_outlives_its_makers_token_and_is_ended_by_an_administrator(
        self, start_cloud: Callable[..., Cloud], guests: tuple[Guest, Guest], eventually: Eventually
    ) -> None:
        """Decision 26. docs/how-to/keystone.md says so to operators."""
        cloud = start_cloud(token_cache_time=0)
        cloud.keystone.add_user("eve", "alpha", "member")
        token = cloud.token("eve", "alpha")
        eventually(lambda: cloud.names(token))
        answer = cloud.call("POST", "/v1/shares", token, json={"instance": "web-1", "uses": 3})
        assert answer.status_code == 201, answer.text
        link = answer.json()
        watching = connect(cloud, link["url"])
        headers = {"X-Auth-Token": token, "X-Subject-Token": token}
        assert requests.delete(f"{cloud.keystone.url}/auth/tokens", headers=headers, timeout=60).status_code == 204
        cloud.keystone.remove_role("eve", "alpha", "member")
        try:
            eventually(lambda: cloud.call("GET", "/v1/shares", token).status_code == 401)
            time.sleep(2)  # four looks at whether who watches still may
            watching.request_update()
            assert watching.raw_update() > 0
            connect(cloud, link["url"]).close()

            admin = cloud.token(ADMIN, "admin")
            (listed,) = cloud.call("GET", "/v1/shares", admin).json()["shares"]
            assert (listed["token_id"], listed["user_id"]) == (
                link["token_id"],
                cloud.keystone.add_user("eve", "alpha"),
            )
            assert listed["expires_at"] == link["expires_at"]
            assert cloud.call("DELETE", f"/v1/tokens/{link['token_id']}", admin).status_code == 204
            assert watching.wait_for_close().code == 4002
            with pytest.raises(websocket.WebSocketBadStatusException) as refused:
                cloud.appliance.upgrade(token_of(link["url"]))
            assert refused.value.status_code == 403
        finally:
            cloud.keystone.add_role("eve", "alpha", "member")

    def test_no_token_and_no_password_is_in_a_log(
        self, start_cloud: Callable[..., Cloud], eventually: Eventually
    ) -> None:
        cloud = start_cloud(token_cache_time=0)
        token = cloud.token(MEMBER, "alpha")
        cloud.names(token)
        cloud.call("GET", "/v1/instances", token[:-8] + "AAAAAAAA")
        login = {"username": MEMBER, "password": "not the password of anybody", "project": "alpha"}
        assert cloud.call("POST", "/v1/session", None, json=login).status_code == 401
        cloud.keystone.stop()
        try:
            assert cloud.call("GET", "/v1/instances", token).status_code == 503
        finally:
            cloud.keystone.start()
        written = cloud.appliance.log() + (cloud.appliance.folder / "state" / "audit.log").read_text()
        assert "Keystone cannot be asked" in written
        assert '"sign-in-refused"' in written
        assert "user_exists" not in written, "Keystone does not say"
        for secret in (token, token[:-8], login["password"], *cloud.keystone.passwords.values()):
            assert secret not in written


class TestKeystoneAway:
    def test_consoles_go_on_and_new_requests_get_a_sentence(
        self, start_cloud: Callable[..., Cloud], guests: tuple[Guest, Guest], eventually: Eventually
    ) -> None:
        cloud = start_cloud(token_cache_time=0)
        token = cloud.token(MEMBER, "alpha")
        eventually(lambda: cloud.names(token))
        client = connect(cloud, cloud.console("web-1", token).json()["url"])
        waiting = cloud.console("web-1", token).json()["url"]

        cloud.keystone.stop()
        try:
            refused = cloud.console("web-1", token)
            assert code(refused) == (503, "identity-unavailable")
            assert "Open consoles go on" in refused.json()["detail"]
            assert refused.headers["Retry-After"] == "5"
            fault = cloud.call("GET", "/v2.1/servers", token)
            assert (fault.status_code, list(fault.json())) == (503, ["serviceUnavailable"])
            login = {"username": MEMBER, "password": cloud.keystone.passwords[MEMBER], "project": "alpha"}
            assert code(cloud.call("POST", "/v1/session", None, json=login)) == (503, "identity-unavailable")

            client.request_update()
            assert client.raw_update() > 0
            connect(cloud, waiting).close()
            ready = cloud.call("GET", "/readyz", None)
            assert (ready.status_code, ready.json()["status"]) == (200, "ready")
            assert "Keystone" in ready.json()["reasons"][0]
        finally:
            cloud.keystone.start()
        eventually(lambda: cloud.console("web-1", token).status_code == 201)
        assert cloud.call("GET", "/readyz", None).json()["reasons"] == []
        client.close()

    def test_one_that_is_silent_holds_up_nobody_else(
        self, start_cloud: Callable[..., Cloud], guests: tuple[Guest, Guest], eventually: Eventually
    ) -> None:
        cloud = start_cloud(token_cache_time=0, http_connect_timeout=PATIENCE)
        token = cloud.token(MEMBER, "alpha")
        eventually(lambda: cloud.call("GET", "/v1/instances", token).status_code == 200 and cloud.names(token))
        client = connect(cloud, cloud.console("web-1", token).json()["url"])
        cloud.keystone.pause()
        try:
            answers: list[requests.Response] = []
            began = time.monotonic()
            # Each with a token of his own: one that many have is asked about once.
            tokens = [token, *(f"made-up-{number}" for number in range(1, ASKERS))]
            asking = [in_a_thread(partial(keep, answers, partial(console_in_time, cloud, each))) for each in tokens]
            while not answers:
                started = time.monotonic()
                assert cloud.call("GET", "/healthz", None).status_code == 200
                client.request_update()
                assert client.raw_update() > 0
                assert time.monotonic() - started < PATIENCE, "somebody waited for Keystone who does not need it"
            for thread in asking:
                thread.join(3 * PATIENCE + SLACK)
            assert {code(answer) for answer in answers} == {(503, "identity-unavailable")}
            assert len(answers) == ASKERS
            assert time.monotonic() - began < 3 * PATIENCE + SLACK
        finally:
            cloud.keystone.go_on()
        # It first works off what it was asked while it was silent.
        eventually(lambda: console_in_time(cloud, token).status_code == 201)
        client.close()

    def test_the_service_starts_without_it_and_finds_it_later(
        self, start_cloud: Callable[..., Cloud], keystone: Keystone, eventually: Eventually
    ) -> None:
        add_people(keystone)
        token = keystone.token(MEMBER, "alpha")
        keystone.stop()
        try:
            cloud = start_cloud()
            assert code(cloud.call("GET", "/v1/instances", token)) == (503, "identity-unavailable")
        finally:
            keystone.start()
        eventually(lambda: cloud.call("GET", "/v1/instances", token).status_code == 200)


def test_a_token_of_keystone_opens_no_console_by_itself(cloud: Cloud) -> None:
    """A console token is the service's own; Keystone's is never one."""
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        cloud.appliance.upgrade(cloud.token(MEMBER, "alpha"))
    assert refused.value.status_code == 403
