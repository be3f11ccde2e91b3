"""Bodies, parameters and headers of requests: taken and refused as Nova's own code does."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.openstack.judge import VERSIONS, ask, nova_says, question, refusal
from tests.service.consoles import Process
from tests.service.vnc import GUEST

GOOD = {"remote_console": {"protocol": "vnc", "type": "novnc"}}


def bodies() -> list[Any]:
    """Bodies for ``remote-consoles``: each protocol with each type, and each thing that can be wrong with one."""
    protocols = ["vnc", "spice", "serial", "rdp", "mks", "rfb", "", None, 1, ["vnc"]]
    types = ["novnc", "xvpvnc", "spice-html5", "spice-direct", "serial", "rdp-html5", "webmks", "vnc", "", None, 2]
    pairs = [{"remote_console": {"protocol": p, "type": t}} for p, t in itertools.product(protocols, types)]
    good = GOOD["remote_console"]
    others = [
        {}, {"remote_console": None}, {"remote_console": []}, {"remote_console": {}}, {"console": good},
        {"remote_console": {"protocol": "vnc"}}, {"remote_console": {"type": "novnc"}},
        {"remote_console": {**good, "mode": "view"}}, {"remote_console": good, "extra": 1},
    ]  # fmt: skip
    return [*pairs, *others]


def test_a_body_is_refused_where_novas_schema_refuses_it_and_with_its_words(judged: Process, tmp_path: Path) -> None:
    versions = ["2.6", "2.7", "2.8", "2.30", "2.98", "2.99", "2.104"]
    asked = list(itertools.product(versions, bodies()))
    says = nova_says(
        tmp_path, [question("body", "remote_consoles", "create", version, body) for version, body in asked]
    )

    assert any(says)
    assert not all(says)
    for (version, body), expected in zip(asked, says, strict=True):
        status, answer = ask(judged, "POST", f"/servers/{GUEST}/remote-consoles", version, body)
        assert refusal(answer) == expected, (version, body)
        assert status == (200 if body == GOOD else 400), (version, body, answer)


def test_the_same_for_the_actions_until_2_5(judged: Process, tmp_path: Path) -> None:
    actions = {
        "os-getVNCConsole": "get_vnc_console",
        "os-getSPICEConsole": "get_spice_console",
        "os-getSerialConsole": "get_serial_console",
    }
    types = ["novnc", "xvpvnc", "spice-html5", "spice-direct", "serial", "", None, 1]
    consoles: list[Any] = [*({"type": each} for each in types), None, {}, {"type": "novnc", "extra": 1}]
    asked = list(itertools.product(("2.1", "2.5"), actions, consoles))
    says = nova_says(
        tmp_path,
        [
            question("body", "remote_consoles", actions[action], version, {action: body})
            for version, action, body in asked
        ],
    )
    for (version, action, body), expected in zip(asked, says, strict=True):
        status, answer = ask(judged, "POST", f"/servers/{GUEST}/action", version, {action: body})
        assert refusal(answer) == expected, (version, action, body)
        is_good = action == "os-getVNCConsole" and body == {"type": "novnc"}
        assert status == (200 if is_good else 400), (version, action, body, answer)


def test_each_way_to_a_console_ends_where_the_other_begins(judged: Process) -> None:
    for version in VERSIONS:
        is_new = int(version[2:]) >= 6
        body: dict[str, Any] = {"os-getVNCConsole": {"type": "novnc"}}
        assert ask(judged, "POST", f"/servers/{GUEST}/action", version, body)[0] == (404 if is_new else 200)
        body = {"remote_console": {"protocol": "vnc", "type": "novnc"}}
        assert ask(judged, "POST", f"/servers/{GUEST}/remote-consoles", version, body)[0] == (200 if is_new else 404)


def parameters() -> list[tuple[str, str]]:
    """Parameters with values that are good for one kind and wrong for another."""
    names = ["name", "limit", "sort_key", "sort_dir", "changes-since", "tags"]
    values = ["1", "[", "asc", "uuid", "vcpus", "locked", "rxtx_factor", "2026-11-23T18:00:00Z", "-1", ""]
    others = [
        "status", "host", "changes-before", "not-tags-any", "locked", "flavor", "image", "uuid", "ip", "ip6",
        "hostname", "config_drive", "unknown", "minRam", "minDisk", "is_public", "availability_zone", "reservation_id",
    ]  # fmt: skip
    return [*itertools.product(names, values), *((name, value) for name in others for value in ("1", "["))]


def test_a_parameter_is_refused_where_novas_schema_refuses_it_and_with_its_words(
    judged: Process, tmp_path: Path
) -> None:
    borders = ["2.74", "2.75", "2.98", "2.99", "2.101", "2.102"]
    calls = [
        ("servers", "index", "/servers", ["2.1", "2.25", "2.26", "2.65", "2.66", "2.72", "2.73", *borders]),
        ("servers", "detail", "/servers/detail", ["2.1", "2.75"]),
        ("servers", "show", f"/servers/{GUEST}", borders),
        ("flavors", "index", "/flavors", borders),
        ("flavors", "detail", "/flavors/detail", ["2.1", "2.102"]),
        ("flavors", "show", "/flavors/2", borders),
        ("console_auth_tokens", "show", "/os-console-auth-tokens/x", borders),
    ]
    asked = [
        (controller, method, version, path, name, value)
        for controller, method, path, versions in calls
        for version in versions
        for name, value in parameters()
    ]
    says = nova_says(
        tmp_path,
        [
            question("query", controller, method, version, {name: [value]})
            for controller, method, version, _, name, value in asked
        ],
    )
    for (_, _, version, path, name, value), expected in zip(asked, says, strict=True):
        case = (path, version, name, value)
        status, answer = ask(judged, "GET", f"{path}?{urlencode({name: value})}", version)
        said = refusal(answer)
        # Values that the schema takes, and the code behind it does not, have words of their own.
        by_schema = None if said is not None and " It has to be true or false." in said else said
        assert (by_schema is None) == (expected is None), (case, answer, expected)
        assert status == 400 or expected is None, case
        # Nova lists the sort keys in an order of its own at each start.
        if expected is not None and "query parameters sort_key" not in expected:
            assert said == expected, case


def test_the_microversion_of_a_request_is_read_as_nova_reads_it(judged: Process, tmp_path: Path) -> None:
    texts = [
        "2.1", "2.6", "2.104", "2.105", "2.0", "1.1", "3.1", "latest", "Latest", "2", "2.", ".1", "2.01", "02.1",
        "2.1.1", "two", "2.-1", "+2.1", "2.1 ", " 2.1", "2. 1", "2.1e1", "", "2.99999", "0.0", "2,1",
    ]  # fmt: skip
    headers = [{"X-OpenStack-Nova-API-Version": text} for text in texts]
    headers += [{"OpenStack-API-Version": f"compute {text}"} for text in texts]
    headers += [{"OpenStack-API-Version": f"placement 1.9, compute {text}"} for text in texts]
    headers += [{"OpenStack-API-Version": f"compute {text}", "X-OpenStack-Nova-API-Version": "2.3"} for text in texts]
    headers += [
        {"OpenStack-API-Version": text} for text in ("compute", "2.6", "nova 2.6", "COMPUTE 2.6", "compute  2.6")
    ]
    headers += [{}]
    says = nova_says(tmp_path, [{"ask": "version", "headers": each} for each in headers])

    assert {"malformed", "beyond", "2.104"} <= set(says)
    for each, expected in zip(headers, says, strict=True):
        status, _, answered = judged.call("GET", "/v2.1/servers", user="ann", headers=each)
        assert status == {"malformed": 400, "beyond": 406}.get(expected, 200), (each, expected)
        if status == 200:
            assert answered["OpenStack-API-Version"] == f"compute {expected}", each
            assert answered["X-OpenStack-Nova-API-Version"] == expected
