"""The opening with browsers: clients of every version, and those that choose what is not there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from porthole.proxy.errors import MAX_REASON_BYTES
from porthole.proxy.rfb.browser import open_browser
from porthole.proxy.rfb.errors import ProtocolBroken
from porthole.proxy.rfb.server import Opened
from porthole.proxy.rfb.wire import SecurityType, Version
from tests.unit.proxy.rfb.talk import Said, talk

V3_3, V3_7, V3_8 = b"RFB 003.003\n", b"RFB 003.007\n", b"RFB 003.008\n"
CLIENT_INIT = b"\x01"
OK = bytes(4)
LET_IN = [
    Opened(version, kind, answered=kind is SecurityType.VNC_AUTH)
    for version in Version
    for kind in (SecurityType.NONE, SecurityType.VNC_AUTH, SecurityType.VENCRYPT)
    if version.has_choice or kind is not SecurityType.VENCRYPT
]


def said(opened: Opened, given: bytes) -> Said:
    """What both sides said: the same however the browser's bytes come."""
    ends = {talk(open_browser(opened), given, size) for size in (0, 1, 5)}
    assert len(ends) == 1
    return ends.pop()


@pytest.mark.parametrize("opened", LET_IN, ids=str)
class TestLetIn:
    """Whatever was agreed on with the VNC server, the browser gets 3.8 and None: no challenge that was answered."""

    def test_3_8(self, opened: Opened) -> None:
        assert said(opened, V3_8 + b"\1" + CLIENT_INIT) == Said(V3_8 + b"\1\1" + OK, CLIENT_INIT)

    def test_3_7(self, opened: Opened) -> None:
        assert said(opened, V3_7 + b"\1" + CLIENT_INIT) == Said(V3_8 + b"\1\1", CLIENT_INIT)

    @pytest.mark.parametrize("version", [V3_3, b"RFB 003.005\n"])
    def test_3_3_and_what_counts_as_such(self, opened: Opened, version: bytes) -> None:
        assert said(opened, version + CLIENT_INIT) == Said(V3_8 + b"\0\0\0\1", CLIENT_INIT)


class TestPassword:
    """Type 2 is passed on from its choice; challenge, response and result are the VNC server's."""

    @pytest.mark.parametrize("version", list(Version))
    def test_the_version_is_the_vnc_servers(self, version: Version) -> None:
        conversation = open_browser(Opened(version, SecurityType.VNC_AUTH))
        assert conversation.outgoing() == version.value

    def test_3_8(self) -> None:
        opened = Opened(Version.V3_8, SecurityType.VNC_AUTH)
        assert said(opened, V3_8 + b"\2" + b"response") == Said(V3_8 + b"\1\2", b"response")

    def test_3_3(self) -> None:
        opened = Opened(Version.V3_3, SecurityType.VNC_AUTH)
        assert said(opened, V3_3 + b"response") == Said(V3_3 + b"\0\0\0\2", b"response")

    def test_a_newer_one_than_the_vnc_server_has(self) -> None:
        with pytest.raises(ProtocolBroken, match="newer"):
            said(Opened(Version.V3_7, SecurityType.VNC_AUTH), V3_8)

    def test_none_is_not_offered_then(self) -> None:
        with pytest.raises(ProtocolBroken, match="not offered"):
            said(Opened(Version.V3_8, SecurityType.VNC_AUTH), V3_8 + b"\1")


@pytest.mark.parametrize(
    "version", [b"RFB 004.000\n", b"rfb 003.008\n", b"GET / HTTP/1", b"RFB 003.00\xb2\n", bytes(12)]
)
def test_what_is_no_version(version: bytes) -> None:
    with pytest.raises(ProtocolBroken, match=r"3\.3, 3\.7 or 3\.8"):
        said(LET_IN[0], version)


@pytest.mark.parametrize("choice", [b"\0", b"\2", b"\x13", b"\xff"])
def test_a_type_that_was_not_offered(choice: bytes) -> None:
    with pytest.raises(ProtocolBroken, match="not offered"):
        said(LET_IN[0], V3_8 + choice)


@given(st.binary(max_size=64))
def test_whatever_it_says_the_end_is_one_that_is_documented(data: bytes) -> None:
    reasons = set()
    for opened in (LET_IN[-1], Opened(Version.V3_7, SecurityType.VNC_AUTH)):
        for start in (b"", V3_8, V3_7):
            conversation = open_browser(opened)
            try:
                rest = conversation.feed(start + data)
            except ProtocolBroken as error:
                reasons.add(str(error))
                continue
            assert conversation.over or not rest
            assert len(conversation._received) <= 12
    for reason in reasons:
        assert reason.endswith(".")
        assert len(reason) <= MAX_REASON_BYTES, "it becomes a close reason"
