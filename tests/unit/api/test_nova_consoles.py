"""Asking for a console as an OpenStack client does, before and after microversion 2.6."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from werkzeug.test import TestResponse

from tests.unit.api.conftest import (
    BASE_URL,
    DB,
    NO_ONE,
    TWIN_A,
    TWIN_B,
    WEB,
    Api,
    nova,
)

VNC = {"remote_console": {"protocol": "vnc", "type": "novnc"}}
OLD_VNC = {"os-getVNCConsole": {"type": "novnc"}}


def _action(api: Api, body: Any, version: str | None = None, server: str = WEB.id, user: str = "bob") -> TestResponse:
    return api.client.post(f"/v2.1/servers/{server}/action", json=body, headers=nova(user, version))


def _create(api: Api, body: Any, version: str | None = "2.6", server: str = WEB.id, user: str = "bob") -> TestResponse:
    return api.client.post(f"/v2.1/servers/{server}/remote-consoles", json=body, headers=nova(user, version))


def _token(url: str) -> str:
    assert url.startswith(f"{BASE_URL}?path=%3Ftoken%3D")
    path = parse_qs(urlsplit(url).query)["path"][0]
    return path.removeprefix("?token=")


def _fault(response: TestResponse) -> tuple[int, str, str]:
    ((name, fault),) = response.get_json().items()
    assert fault["code"] == response.status_code
    return response.status_code, name, fault["message"]


@pytest.mark.parametrize("version", [None, "2.1", "2.5"])
def test_until_2_5_it_is_an_action_of_the_server(api: Api, version: str | None) -> None:
    response = _action(api, OLD_VNC, version)

    assert response.status_code == 200
    assert set(response.get_json()) == {"console"}
    assert response.get_json()["console"]["type"] == "novnc"
    claims = api.console_auth.check(_token(response.get_json()["console"]["url"]))
    assert (claims.instance_id, claims.user_id, claims.project_id) == (WEB.id, "bob", "default")
    assert (claims.console_type, claims.mode) == ("novnc", "full")


@pytest.mark.parametrize("version", ["2.6", "2.7", "2.8", "2.31", "latest"])
def test_from_2_6_it_is_a_remote_console(api: Api, version: str) -> None:
    response = _create(api, VNC, version)

    assert response.status_code == 200
    console = response.get_json()["remote_console"]
    assert (console["protocol"], console["type"]) == ("vnc", "novnc")
    assert api.console_auth.check(_token(console["url"])).instance_id == WEB.id


def test_each_way_is_unknown_at_the_others_versions(api: Api) -> None:
    assert _fault(_action(api, OLD_VNC, "2.6")) == (404, "itemNotFound", "The resource could not be found.")
    for version in (None, "2.1", "2.5"):
        assert _fault(_create(api, VNC, version))[:2] == (404, "itemNotFound")


def test_a_body_that_cannot_be_read_comes_before_the_version(api: Api) -> None:
    path = f"/v2.1/servers/{WEB.id}/remote-consoles"
    headers = nova("bob", "2.5")
    cut_off = api.client.post(path, data=b"{", content_type="application/json", headers=headers)
    xml = api.client.post(path, data=b"<console/>", content_type="application/xml", headers=headers)

    assert _fault(cut_off) == (400, "badRequest", "Malformed request body")
    assert _fault(xml)[:2] == (415, "badMediaType")


def test_every_console_has_a_token_of_its_own(api: Api) -> None:
    urls = {_create(api, VNC).get_json()["remote_console"]["url"] for _ in range(5)}

    assert len(urls) == 5


def test_ids_are_taken_in_every_way_that_nova_takes_them(api: Api) -> None:
    for server in (WEB.id.upper(), WEB.id.replace("-", "")):
        assert _create(api, VNC, server=server).status_code == 200


def test_a_name_is_no_id_here(api: Api) -> None:
    assert _fault(_create(api, VNC, server=WEB.name))[:2] == (404, "itemNotFound")


class TestBodies:
    """Bodies are checked with Nova's own schemas and refused with its words."""

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            ({}, "'remote_console' is a required property"),
            ([], "[] is not of type 'object'"),
            ("vnc", "'vnc' is not of type 'object'"),
            (
                {"remote_console": None},
                "Invalid input for field/attribute remote_console. Value: None. None is not of type 'object'",
            ),
            (
                {"remote_console": {"protocol": "vnc"}},
                "Invalid input for field/attribute remote_console. Value: {'protocol': 'vnc'}. "
                "'type' is a required property",
            ),
            (
                {"remote_console": {"protocol": "vnc", "type": "novnc", "mode": "view"}},
                "Invalid input for field/attribute remote_console. Value: "
                "{'protocol': 'vnc', 'type': 'novnc', 'mode': 'view'}. "
                "Additional properties are not allowed ('mode' was unexpected)",
            ),
            (
                {"remote_console": {"protocol": "vnc", "type": "novnc"}, "a": 1, "b": 2},
                "Additional properties are not allowed ('a', 'b' were unexpected)",
            ),
            (
                {"remote_console": {"protocol": "rfb", "type": "novnc"}},
                "Invalid input for field/attribute protocol. Value: rfb. "
                "'rfb' is not one of ['vnc', 'spice', 'serial', 'rdp']",
            ),
            (
                {"remote_console": {"protocol": "vnc", "type": 1}},
                "Invalid input for field/attribute type. Value: 1. 1 is not of type 'string'",
            ),
        ],
    )
    def test_what_the_schema_does_not_have_is_400(self, api: Api, body: Any, message: str) -> None:
        assert _fault(_create(api, body)) == (400, "badRequest", message)

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            ({"os-getVNCConsole": {}}, "'type' is a required property"),
            ({"os-getVNCConsole": None}, "None is not of type 'object'"),
            ({"os-getVNCConsole": {"type": "vnc"}}, "'vnc' is not one of ['novnc', 'xvpvnc']"),
            ({"os-getVNCConsole": {"type": "novnc", "x": 1}},
             "Additional properties are not allowed ('x' was unexpected)"),
        ],
    )  # fmt: skip
    def test_the_same_for_the_action(self, api: Api, body: Any, message: str) -> None:
        status, name, said = _fault(_action(api, body))

        assert (status, name) == (400, "badRequest")
        assert said.endswith(message)

    def test_mks_is_known_from_2_8_on(self, api: Api) -> None:
        body = {"remote_console": {"protocol": "mks", "type": "webmks"}}

        assert "is not one of" in _fault(_create(api, body, "2.7"))[2]
        assert "Unavailable console type webmks." in _fault(_create(api, body, "2.8"))[2]

    def test_direct_spice_is_known_from_2_99_on(self, api: Api) -> None:
        body = {"remote_console": {"protocol": "spice", "type": "spice-direct"}}

        assert "is not one of" in _fault(_create(api, body, "2.98"))[2]
        assert "Unavailable console type spice-direct." in _fault(_create(api, body, "2.99"))[2]

    @pytest.mark.parametrize(
        "action", ["os-start", "reboot", "os-getConsoleOutput", "", "os-getVNCConsole ", "ä\ud800"]
    )
    def test_other_actions_do_not_exist(self, api: Api, action: str) -> None:
        assert _fault(_action(api, {action: {}})) == (400, "badRequest", f"There is no such action: {action}")

    @pytest.mark.parametrize("body", [{}, [], None, 1, "x", {"os-getVNCConsole": {"type": "novnc"}, "os-start": None}])
    def test_a_body_that_is_no_single_action_is_malformed(self, api: Api, body: Any) -> None:
        assert _fault(_action(api, body)) == (400, "badRequest", "Malformed request body")

    @pytest.mark.parametrize(
        "data",
        [
            b"", b"{", b"\xff\xfe", b"\0", b"{'a': 1}", b"[" * 60_000, b'{"a":' * 10_000, b"9" * 60_000, b"nul",
            b'{"os-getVNCConsole": {"type": "novnc"}} x',
        ],
    )  # fmt: skip
    def test_what_is_no_json_is_malformed(self, api: Api, data: bytes) -> None:
        response = api.client.post(
            f"/v2.1/servers/{WEB.id}/action", data=data, content_type="application/json", headers=nova("bob")
        )

        assert _fault(response)[:2] == (400, "badRequest")

    @pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "text/plain", None,
                                              "application/vnd.openstack.compute+json"])  # fmt: skip
    def test_novas_content_types_are_taken(self, api: Api, content_type: str | None) -> None:
        response = api.client.post(
            f"/v2.1/servers/{WEB.id}/action",
            data='{"os-getVNCConsole": {"type": "novnc"}}',
            content_type=content_type,
            headers=nova("bob"),
        )

        assert response.status_code == 200

    @pytest.mark.parametrize(
        "content_type", ["application/xml", "application/x-www-form-urlencoded", "multipart/form-data"]
    )
    def test_others_are_415(self, api: Api, content_type: str) -> None:
        response = api.client.post(
            f"/v2.1/servers/{WEB.id}/action", data="a=b", content_type=content_type, headers=nova("bob")
        )

        assert _fault(response) == (415, "badMediaType", "Unsupported Content-Type")

    def test_a_huge_body_is_413_and_is_not_parsed(self, api: Api) -> None:
        response = _create(api, {"remote_console": "x" * 70_000})

        assert _fault(response)[:2] == (413, "overLimit")

    def test_a_long_value_is_not_repeated_in_full(self, api: Api) -> None:
        response = _create(api, {"remote_console": {"protocol": "x" * 50_000, "type": "novnc"}})

        assert response.status_code == 400
        assert len(response.data) < 2_000


class TestOtherTypes:
    """Types of Nova that are not here: 400 as a Nova without them says, and a sentence that helps."""

    @pytest.mark.parametrize(
        ("protocol", "console_type"),
        [("vnc", "xvpvnc"), ("spice", "spice-html5"), ("rdp", "rdp-html5"), ("serial", "serial"), ("vnc", "serial"),
         ("serial", "novnc")],
    )  # fmt: skip
    def test_they_are_unavailable(self, api: Api, protocol: str, console_type: str) -> None:
        response = _create(api, {"remote_console": {"protocol": protocol, "type": console_type}})

        status, name, message = _fault(response)
        assert (status, name) == (400, "badRequest")
        assert message.startswith(f"Unavailable console type {console_type}.")
        assert "protocol vnc, type novnc" in message

    @pytest.mark.parametrize(
        ("action", "console_type"),
        [("os-getVNCConsole", "xvpvnc"), ("os-getSPICEConsole", "spice-html5"), ("os-getSerialConsole", "serial")],
    )
    def test_the_old_actions_too(self, api: Api, action: str, console_type: str) -> None:
        response = _action(api, {action: {"type": console_type}})

        assert _fault(response)[2].startswith(f"Unavailable console type {console_type}.")

    @pytest.mark.parametrize("body", [{"type": "rdp-html5"}, {}, None])
    def test_the_action_that_nova_has_removed_is_wrong_with_any_body_and_for_any_instance(
        self, api: Api, body: Any
    ) -> None:
        for server in (WEB.id, NO_ONE):
            status, name, message = _fault(_action(api, {"os-getRDPConsole": body}, server=server))
            assert (status, name) == (400, "badRequest")
            assert "os-getVNCConsole" in message
        assert _fault(_action(api, {"os-getRDPConsole": body}, "2.6"))[0] == 404

    def test_an_instance_that_does_not_exist_comes_first(self, api: Api) -> None:
        body = {"remote_console": {"protocol": "serial", "type": "serial"}}

        assert _create(api, body, server=NO_ONE).status_code == 404


class TestStates:
    """What stands in the way of a console, by instance."""

    def test_no_such_instance_is_404(self, api: Api) -> None:
        status, name, message = _fault(_create(api, VNC, server=NO_ONE))

        assert (status, name) == (404, "itemNotFound")
        assert message.startswith(f"Instance {NO_ONE} could not be found.")

    def test_one_that_is_not_running_is_409_and_says_what_to_do(self, api: Api) -> None:
        status, name, message = _fault(_create(api, VNC, server=DB.id))

        assert (status, name) == (409, "conflictingRequest")
        assert "Start it" in message

    def test_a_paused_one_has_a_screen(self, api: Api) -> None:
        assert _create(api, VNC, server=TWIN_A.id).status_code == 200

    def test_one_without_a_display_is_400(self, api: Api) -> None:
        api.computes.headless.add(WEB.id)

        status, name, message = _fault(_create(api, VNC))
        assert (status, name) == (400, "badRequest")
        assert message.startswith("Unavailable console type novnc.")

    def test_vnc_switched_off_is_400(self, api: Api) -> None:
        api.settings.vnc_enabled = False

        assert _fault(_create(api, VNC))[2].startswith("Unavailable console type novnc.")

    def test_a_compute_that_is_down_is_503_with_its_name_for_administrators_only(self, api: Api) -> None:
        api.computes.down.add("compute-b")
        for server in (TWIN_B.id, NO_ONE):
            for user in ("bob", "alice"):
                response = _create(api, VNC, server=server, user=user)
                status, name, message = _fault(response)
                assert (status, name) == (503, "serviceUnavailable")
                assert int(response.headers["Retry-After"]) > 0
                assert ("compute-b" in message) == ("timed out" in message) == (user == "alice")

    def test_the_other_computes_consoles_go_on(self, api: Api) -> None:
        api.computes.down.add("compute-b")

        assert _create(api, VNC).status_code == 200

    def test_a_failed_request_issues_no_token(self, api: Api) -> None:
        api.computes.down.add("compute-b")
        for server in (NO_ONE, DB.id, TWIN_B.id):
            _create(api, VNC, server=server)
        _create(api, VNC, user="carol")

        assert b"porthole_console_tokens_total 0.0" in api.metrics.exposition()


class TestRoles:
    """Members and administrators open consoles; readers see that they may not."""

    @pytest.mark.parametrize("user", ["alice", "bob"])
    def test_may(self, api: Api, user: str) -> None:
        assert _create(api, VNC, user=user).status_code == 200

    @pytest.mark.parametrize("user", ["carol", "dave"])
    @pytest.mark.parametrize("server", [WEB.id, DB.id, NO_ONE, "no-uuid"])
    def test_may_not_and_learns_nothing_of_the_instance(self, api: Api, user: str, server: str) -> None:
        for response in (_create(api, VNC, server=server, user=user), _action(api, OLD_VNC, server=server, user=user)):
            status, name, message = _fault(response)
            assert (status, name) == (403, "forbidden")
            assert message.startswith("Policy doesn't allow os_compute_api:os-remote-consoles to be performed.")
