"""Which guests keep an old VNC server, out of their XML and QEMU's command line."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.roles.loading import load

module = load("compute_vnc/library/compute_vnc_guests.py")


def xml(graphics: str) -> str:
    return f"<domain><name>vm</name><devices>{graphics}</devices></domain>"


@pytest.mark.parametrize(
    ("graphics", "expected"),
    [
        ("<graphics type='vnc' port='5901' listen='10.0.0.1'/>", {"listen": "10.0.0.1", "port": 5901}),
        (
            "<graphics type='vnc' port='-1'><listen type='address' address='::1'/></graphics>",
            {"listen": "::1", "port": 0},
        ),
        ("<graphics type='vnc' port='-1' autoport='yes'/>", {"listen": "", "port": 0}),
        ("<graphics type='vnc'><listen type='socket' socket='/run/vm'/></graphics>", None),
        ("<graphics type='vnc'><listen type='none'/></graphics>", None),
        ("<graphics type='spice' port='5901' listen='10.0.0.1'/>", None),
        ("", None),
    ],
)
def test_the_listener_out_of_the_xml(graphics: str, expected: dict[str, Any] | None) -> None:
    assert module.display(xml(graphics)) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["qemu", "-vnc", "10.0.0.1:0,tls-creds=vnc-tls-creds0,audiodev=a", "-x"], True),
        (["qemu", "-vnc", "10.0.0.1:0,audiodev=a", "-x"], False),
        (["qemu", "-nographic"], None),
        ([], None),
    ],
)
def test_tls_out_of_the_command_line(words: list[str], expected: bool | None) -> None:
    assert module.has_tls(words) is expected


def judge(live: Any, definition: Any = None, tls: bool | None = True, want_tls: bool = True) -> dict[str, list[str]]:
    verdict: dict[str, list[str]] = module.judge(
        live, definition, tls, listen="10.0.0.1", want_tls=want_tls, port_max=6923
    )
    return verdict


def test_nothing_is_said_of_a_guest_that_is_as_wanted() -> None:
    display = {"listen": "10.0.0.1", "port": 5900}
    assert judge(display, {"listen": "", "port": 0}) == {"problems": [], "advice": []}
    assert judge(None, None, None) == {"problems": [], "advice": []}
    assert judge(display, tls=False, want_tls=False)["problems"] == []


def test_each_flaw_is_named() -> None:
    verdict = judge({"listen": "127.0.0.1", "port": 7000}, tls=False)
    assert verdict["problems"] == [
        "listens on 127.0.0.1 instead of 10.0.0.1",
        "has no TLS",
        "has port 7000, which is above the guarded range",
    ]
    assert len(verdict["advice"]) == 1


def test_a_fixed_address_has_to_be_edited_before_a_new_start_helps() -> None:
    verdict = judge({"listen": "0.0.0.0", "port": 5900}, {"listen": "0.0.0.0", "port": 0})
    assert "for ever" in verdict["problems"][-1]
    assert verdict["advice"][0].startswith("take the address out")
