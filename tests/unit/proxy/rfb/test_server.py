"""The opening with VNC servers: those of every version, those that are not ours, and hostile ones."""

from __future__ import annotations

import struct
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from porthole.config import AuthScheme
from porthole.proxy.rfb.errors import PasswordRefused, PeerRefused, ProtocolBroken, RfbError, SecurityMismatch
from porthole.proxy.rfb.password import VncPassword
from porthole.proxy.rfb.policy import SecurityPolicy
from porthole.proxy.rfb.reading import MAX_REASON
from porthole.proxy.rfb.server import Opened, open_server
from porthole.proxy.rfb.wire import SecurityType, Version
from tests.unit.proxy.rfb.talk import TLS, talk

V3_3, V3_7, V3_8 = b"RFB 003.003\n", b"RFB 003.007\n", b"RFB 003.008\n"
OK, FAILED = bytes(4), b"\0\0\0\1"
REASON = b"\0\0\0\x08too many"
NONE, VNC_AUTH, VENCRYPT = b"\x01", b"\x02", b"\x13"

PLAIN = SecurityPolicy((AuthScheme.NONE,), "c1")
TLS_ONLY = SecurityPolicy((AuthScheme.VENCRYPT,), "c1")
PERMISSIVE = SecurityPolicy((AuthScheme.VENCRYPT, AuthScheme.NONE), "c1")
LAX = SecurityPolicy((AuthScheme.NONE, AuthScheme.VENCRYPT), "c1")
PASSWORDS = SecurityPolicy((AuthScheme.VNC,), "c1")
ANYHOW = SecurityPolicy((AuthScheme.VENCRYPT, AuthScheme.VNC, AuthScheme.NONE), "c1")

COW = VncPassword("COW")
CHALLENGE = bytes(range(16))
RESPONSE = COW.answer(CHALLENGE)


def types(*offered: bytes) -> bytes:
    """A list of security types (RFC 6143 7.1.2)."""
    return bytes([len(offered)]) + b"".join(offered)


def subtypes(*offered: int) -> bytes:
    """A list of VeNCrypt subtypes."""
    return bytes([len(offered)]) + b"".join(struct.pack("!I", number) for number in offered)


VENCRYPT_0_2 = b"\0\2" + b"\0" + subtypes(260) + b"\1"
"""QEMU's side of VeNCrypt up to TLS."""


def opened(
    policy: SecurityPolicy, said: bytes, *, rest: bytes = b"", password: VncPassword | None = None
) -> tuple[Opened, bytes]:
    """What came of it, and what was sent: the same however the VNC server's bytes come."""
    results = []
    for size in (0, 1, 3):
        conversation = open_server(policy, password)
        end = talk(conversation, said + rest, size)
        assert end.rest == rest
        results.append((conversation.outcome, end.sent))
    assert results[0] == results[1] == results[2]
    return results[0]


def refused(policy: SecurityPolicy, said: bytes, kind: type[RfbError], password: VncPassword | None = None) -> str:
    """Why it failed, likewise."""
    words = set()
    for size in (0, 1, 3):
        with pytest.raises(kind) as caught:
            talk(open_server(policy, password), said, size)
        words.add(str(caught.value))
    assert len(words) == 1
    return words.pop()


class TestVersions:
    def test_3_8_confirms_that_it_wants_nothing(self) -> None:
        result = opened(PLAIN, V3_8 + types(NONE) + OK, rest=b"early")
        assert result == (Opened(Version.V3_8, SecurityType.NONE), V3_8 + NONE)

    def test_3_7_does_not(self) -> None:
        result = opened(PLAIN, V3_7 + types(NONE), rest=b"early")
        assert result == (Opened(Version.V3_7, SecurityType.NONE), V3_7 + NONE)

    def test_in_3_3_the_server_decides(self) -> None:
        result = opened(PLAIN, V3_3 + b"\0\0\0\1", rest=b"early")
        assert result == (Opened(Version.V3_3, SecurityType.NONE), V3_3)

    @pytest.mark.parametrize(
        "greeting",
        [
            b"RFB 003.005\n",
            b"RFB 004.001\n",
            b"RFB 003.008\r",
            b"HTTP/1.1 400",
            b"SSH-2.0-Open",
            b"\x1b[31m\xff\0\0\0\0\0\0",
        ],
    )
    def test_others_are_refused_with_what_they_said(self, greeting: bytes) -> None:
        words = refused(PLAIN, greeting, ProtocolBroken)
        assert words.startswith(f"it greets with '{greeting[:3].decode()}" if greeting[0] > 31 else "it greets with '?")
        assert words.isprintable()
        assert "3.3, 3.7 and 3.8" in words


class TestPassword:
    """The challenge is answered here, with the password that libvirt has."""

    @pytest.mark.parametrize(
        ("said", "sent"),
        [
            (V3_8 + types(VNC_AUTH), V3_8 + VNC_AUTH),
            (V3_7 + types(VNC_AUTH), V3_7 + VNC_AUTH),
            (V3_3 + b"\0\0\0\2", V3_3),
        ],
    )
    def test_it_is_answered_in_every_version(self, said: bytes, sent: bytes) -> None:
        result = opened(PASSWORDS, said + CHALLENGE + OK, rest=b"early", password=COW)
        assert result == (Opened(Version(said[:12]), SecurityType.VNC_AUTH, answered=True), sent + RESPONSE)

    def test_what_follows_is_not_taken(self) -> None:
        conversation = open_server(PASSWORDS, COW)
        assert conversation.feed(V3_8 + types(VNC_AUTH) + CHALLENGE + OK + b"early") == b"early"

    def test_a_wrong_one(self) -> None:
        words = refused(PASSWORDS, V3_8 + types(VNC_AUTH) + CHALLENGE + FAILED + REASON, PasswordRefused, COW)
        assert words == (
            "it does not accept the VNC password that libvirt has for the guest, with the reason 'too many'"
        )
        assert "COW" not in words

    def test_one_that_is_over_by_what_libvirt_knows(self) -> None:
        over = VncPassword("COW", "2010-04-09T15:51:00")
        words = refused(PASSWORDS, V3_8 + types(VNC_AUTH) + CHALLENGE + FAILED + REASON, PasswordRefused, over)
        assert "(valid until 2010-04-09T15:51:00 UTC)" in words

    @pytest.mark.parametrize("version", [V3_7 + types(VNC_AUTH), V3_3 + b"\0\0\0\2"])
    def test_older_versions_give_no_reason(self, version: bytes) -> None:
        words = refused(PASSWORDS, version + CHALLENGE + FAILED, PasswordRefused, COW)
        assert words.endswith("without a reason")

    @pytest.mark.parametrize("result", [b"\0\0\0\2", b"\xff\xff\xff\xff"])
    def test_any_result_but_zero(self, result: bytes) -> None:
        assert refused(PASSWORDS, V3_8 + types(VNC_AUTH) + CHALLENGE + result + bytes(4), PasswordRefused, COW)

    def test_a_reason_of_4_gib_is_not_waited_for(self) -> None:
        said = V3_8 + types(VNC_AUTH) + CHALLENGE + FAILED + b"\xff\xff\xff\xff"
        assert "4294967295 bytes, of which none was read" in refused(PASSWORDS, said, PasswordRefused, COW)

    def test_an_empty_one_lets_nobody_in_and_answers_nothing(self) -> None:
        conversation = open_server(PASSWORDS, VncPassword(""))
        with pytest.raises(PasswordRefused, match="empty VNC password"):
            conversation.feed(V3_8 + types(VNC_AUTH) + CHALLENGE + OK)
        assert conversation.outgoing() == V3_8 + VNC_AUTH

    @pytest.mark.parametrize("policy", [PLAIN, TLS_ONLY, PERMISSIVE])
    def test_without_tls_it_is_used_only_where_the_operator_says_vnc(self, policy: SecurityPolicy) -> None:
        conversation = open_server(policy, COW)
        with pytest.raises(SecurityMismatch, match=r"auth_schemes = .*,vnc take it as it is"):
            conversation.feed(V3_8 + types(VNC_AUTH) + CHALLENGE)
        assert conversation.outgoing() == V3_8

    def test_one_that_is_not_asked_for_is_not_used(self) -> None:
        result = opened(PERMISSIVE, V3_8 + types(NONE) + OK, password=COW)
        assert result == (Opened(Version.V3_8, SecurityType.NONE), V3_8 + NONE)


class TestPasswordThatNobodyTold:
    """Libvirt has none for a display that demands one: the person in front of the browser may know it."""

    @pytest.mark.parametrize("version", [V3_8, V3_7])
    def test_the_challenge_is_left_for_the_browser(self, version: bytes) -> None:
        result = opened(PASSWORDS, version + types(VNC_AUTH), rest=CHALLENGE)
        assert result == (Opened(Version(version), SecurityType.VNC_AUTH), version + VNC_AUTH)
        assert result[0].asks_browser

    def test_in_3_3_too(self) -> None:
        result = opened(PASSWORDS, V3_3 + b"\0\0\0\2", rest=CHALLENGE)
        assert result == (Opened(Version.V3_3, SecurityType.VNC_AUTH), V3_3)

    @pytest.mark.parametrize("policy", [PLAIN, PERMISSIVE])
    def test_only_where_the_operator_says_vnc(self, policy: SecurityPolicy) -> None:
        assert "offers VNC_AUTH (2)" in refused(policy, V3_8 + types(VNC_AUTH), SecurityMismatch)

    def test_inside_of_tls_it_is_refused(self) -> None:
        words = refused(TLS_ONLY, V3_8 + types(VENCRYPT) + b"\0\2\0" + subtypes(261), PasswordRefused)
        assert words.startswith("it wants a VNC password, and libvirt tells none: set it with libvirt")


class TestVeNCrypt:
    def test_x509_none(self) -> None:
        result = opened(TLS_ONLY, V3_8 + types(VENCRYPT) + VENCRYPT_0_2 + OK)
        sent = V3_8 + VENCRYPT + b"\0\2" + struct.pack("!I", 260) + TLS
        assert result == (Opened(Version.V3_8, SecurityType.VENCRYPT), sent)

    def test_nothing_is_read_before_tls_that_belongs_into_it(self) -> None:
        conversation = open_server(TLS_ONLY)
        rest = conversation.feed(V3_8 + types(VENCRYPT) + VENCRYPT_0_2 + b"\x16\x03\x03")
        assert rest == b"\x16\x03\x03"
        assert conversation.wants_tls

    @pytest.mark.parametrize("version", [b"\0\0", b"\0\1"])
    def test_an_older_version(self, version: bytes) -> None:
        words = refused(TLS_ONLY, V3_8 + types(VENCRYPT) + version, ProtocolBroken)
        assert words == f"it speaks VeNCrypt 0.{version[1]}, and 0.2 is spoken here"

    def test_a_newer_version_that_takes_0_2(self) -> None:
        assert opened(TLS_ONLY, V3_8 + types(VENCRYPT) + b"\1\0" + VENCRYPT_0_2[2:] + OK)

    def test_and_one_that_does_not(self) -> None:
        assert refused(TLS_ONLY, V3_8 + types(VENCRYPT) + b"\1\0\xff", PeerRefused).endswith("and refuses version 0.2")

    def test_no_subtypes(self) -> None:
        assert "offers VeNCrypt with nothing" in refused(
            TLS_ONLY, V3_8 + types(VENCRYPT) + b"\0\2\0" + subtypes(), SecurityMismatch
        )

    def test_tls_without_certificates(self) -> None:
        words = refused(TLS_ONLY, V3_8 + types(VENCRYPT) + b"\0\2\0" + subtypes(257, 258, 259), SecurityMismatch)
        assert "TLS_NONE (257), TLS_VNC (258), TLS_PLAIN (259) and neither X509_NONE (260) nor X509_VNC (261)" in words
        assert "vnc_tls_x509_cert_dir" in words

    def test_x509_vnc_answers_the_challenge_inside_of_tls(self) -> None:
        said = V3_8 + types(VENCRYPT) + b"\0\2\0" + subtypes(261) + b"\1" + CHALLENGE + OK
        result = opened(TLS_ONLY, said, rest=b"early", password=COW)
        sent = V3_8 + VENCRYPT + b"\0\2" + struct.pack("!I", 261) + TLS + RESPONSE
        assert result == (Opened(Version.V3_8, SecurityType.VENCRYPT), sent)

    def test_a_wrong_password_inside_of_tls(self) -> None:
        said = V3_8 + types(VENCRYPT) + b"\0\2\0" + subtypes(261) + b"\1" + CHALLENGE + FAILED + REASON
        assert "does not accept the VNC password" in refused(TLS_ONLY, said, PasswordRefused, COW)

    @pytest.mark.parametrize("offered", [(260, 261), (261, 260)])
    @pytest.mark.parametrize(
        ("schemes", "password", "chosen"),
        [
            (("vencrypt",), COW, 261),
            (("vencrypt",), None, 260),
            (("vencrypt", "vnc", "none"), COW, 261),
            (("vencrypt", "none", "vnc"), COW, 260),
            (("vencrypt", "none"), COW, 260),
            (("vnc", "vencrypt"), COW, 261),
        ],
    )
    def test_which_subtype_the_operators_order_decides(
        self, offered: tuple[int, ...], schemes: tuple[str, ...], password: VncPassword | None, chosen: int
    ) -> None:
        policy = SecurityPolicy(tuple(map(AuthScheme, schemes)), "c1")
        conversation = open_server(policy, password)
        conversation.feed(V3_8 + types(VENCRYPT) + b"\0\2\0" + subtypes(*offered))
        assert conversation.outgoing().endswith(struct.pack("!I", chosen))

    @pytest.mark.parametrize("password", [COW, None])
    @pytest.mark.parametrize("subtype", [256, 257, 258, 259, 262, 263, 264])
    def test_nothing_else_is_ever_chosen(self, subtype: int, password: VncPassword | None) -> None:
        conversation = open_server(TLS_ONLY, password)
        with pytest.raises(SecurityMismatch):
            conversation.feed(V3_8 + types(VENCRYPT) + b"\0\2\0" + subtypes(subtype))
        assert conversation.outgoing() == V3_8 + VENCRYPT + b"\0\2"
        assert not conversation.wants_tls

    def test_as_many_subtypes_as_there_can_be(self) -> None:
        many = range(300, 554)
        assert opened(TLS_ONLY, V3_8 + types(VENCRYPT) + b"\0\2\0" + subtypes(*many, 260) + b"\1" + OK)

    def test_it_offers_it_and_refuses_it(self) -> None:
        words = refused(TLS_ONLY, V3_8 + types(VENCRYPT) + b"\0\2\0" + subtypes(260) + b"\0", PeerRefused)
        assert words == "it offers X509_NONE and answers it with 0"

    def test_it_refuses_us_inside_tls(self) -> None:
        words = refused(TLS_ONLY, V3_8 + types(VENCRYPT) + VENCRYPT_0_2 + FAILED + REASON, PeerRefused)
        assert words == "it refuses us after the TLS handshake, with the reason 'too many'"


class TestOrder:
    """Whoever sits in between can change the order and the number of the offers, and gains nothing by the order."""

    OFFERS = ((NONE, VNC_AUTH, VENCRYPT), (VENCRYPT, VNC_AUTH, NONE), (VNC_AUTH, VENCRYPT, NONE))

    @pytest.mark.parametrize("offer", OFFERS)
    @pytest.mark.parametrize("policy", [TLS_ONLY, PERMISSIVE])
    def test_tls_is_taken_wherever_it_stands(self, offer: tuple[bytes, ...], policy: SecurityPolicy) -> None:
        result, sent = opened(policy, V3_8 + types(*offer) + VENCRYPT_0_2 + OK)
        assert result.security is SecurityType.VENCRYPT
        assert sent.startswith(V3_8 + VENCRYPT)

    @pytest.mark.parametrize("offer", OFFERS)
    def test_the_other_way_round_when_we_have_it_so(self, offer: tuple[bytes, ...]) -> None:
        assert opened(LAX, V3_8 + types(*offer) + OK)[0].security is SecurityType.NONE

    @pytest.mark.parametrize("offer", [(NONE,), (VNC_AUTH,), (NONE, VNC_AUTH), (b"\x10", NONE)])
    def test_without_tls_where_tls_is_wanted(self, offer: tuple[bytes, ...]) -> None:
        words = refused(TLS_ONLY, V3_8 + types(*offer), SecurityMismatch)
        assert "and auth_schemes of the compute is vencrypt: this VNC server is without TLS" in words
        assert "vnc_tls" in words
        assert f"auth_schemes = vencrypt,{'none' if NONE in offer else 'vnc'} take it as it is" in words

    def test_nothing_was_chosen_then(self) -> None:
        conversation = open_server(TLS_ONLY)
        with pytest.raises(SecurityMismatch):
            conversation.feed(V3_8 + types(NONE))
        assert conversation.outgoing() == V3_8

    def test_without_tls_where_either_is_taken(self) -> None:
        assert opened(PERMISSIVE, V3_8 + types(NONE) + OK)[0].security is SecurityType.NONE
        assert opened(ANYHOW, V3_8 + types(VNC_AUTH))[0].security is SecurityType.VNC_AUTH

    @pytest.mark.parametrize("offer", OFFERS)
    @pytest.mark.parametrize(
        ("schemes", "chosen"),
        [
            (("vencrypt", "vnc", "none"), VENCRYPT),
            (("vnc", "none", "vencrypt"), VNC_AUTH),
            (("none", "vnc"), NONE),
            (("vnc", "none"), VNC_AUTH),
        ],
    )
    def test_of_three_the_first_of_the_operators_is_taken(
        self, offer: tuple[bytes, ...], schemes: tuple[str, ...], chosen: bytes
    ) -> None:
        conversation = open_server(SecurityPolicy(tuple(map(AuthScheme, schemes)), "c1"), COW)
        conversation.feed(V3_8 + types(*offer))
        assert conversation.outgoing() == V3_8 + chosen

    def test_once_tls_was_chosen_there_is_no_way_back(self) -> None:
        said = V3_8 + types(NONE, VENCRYPT) + b"\0\2\0" + subtypes(257)
        assert "neither X509_NONE" in refused(PERMISSIVE, said, SecurityMismatch)

    def test_3_3_has_no_tls(self) -> None:
        assert "without TLS" in refused(TLS_ONLY, V3_3 + b"\0\0\0\1", SecurityMismatch)
        assert opened(PERMISSIVE, V3_3 + b"\0\0\0\1")

    def test_tls_where_it_is_not_wanted(self) -> None:
        words = refused(PLAIN, V3_8 + types(VENCRYPT), SecurityMismatch)
        assert "offers VENCRYPT (19), and auth_schemes of the compute is none: put vencrypt into auth_schemes" in words

    def test_what_nobody_here_speaks(self) -> None:
        words = refused(PERMISSIVE, V3_8 + types(b"\x10", b"\x05", b"\x05"), SecurityMismatch)
        assert words == ("its VNC server offers type 5, TIGHT (16), and auth_schemes of the compute is vencrypt,none")


class TestRefusals:
    def test_no_types_and_a_reason(self) -> None:
        words = refused(PLAIN, V3_8 + b"\0" + REASON, PeerRefused)
        assert words == "it refuses the connection, with the reason 'too many'"

    def test_no_type_in_3_3(self) -> None:
        words = refused(PLAIN, V3_3 + bytes(4) + bytes(4), PeerRefused)
        assert words == "it refuses the connection, without a reason"

    def test_after_none(self) -> None:
        assert "too many" in refused(PLAIN, V3_8 + types(NONE) + FAILED + REASON, PeerRefused)

    @pytest.mark.parametrize("result", [b"\0\0\0\2", b"\xff\xff\xff\xff"])
    def test_any_result_but_zero(self, result: bytes) -> None:
        assert refused(PLAIN, V3_8 + types(NONE) + result + bytes(4), PeerRefused)

    def test_a_reason_of_4_gib_is_not_waited_for(self) -> None:
        tracemalloc.start()
        try:
            words = refused(PLAIN, V3_8 + b"\0" + b"\xff\xff\xff\xff", PeerRefused)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert words.endswith("with a reason of 4294967295 bytes, of which none was read")
        assert peak < 1_000_000

    @pytest.mark.parametrize(("length", "read"), [(MAX_REASON, True), (MAX_REASON + 1, False)])
    def test_the_longest_reason(self, length: int, read: bool) -> None:
        words = refused(PLAIN, V3_8 + b"\0" + struct.pack("!I", length) + b"y" * length, PeerRefused)
        assert ("yyy" in words) is read
        assert len(words) < 300

    def test_a_reason_is_one_line_of_letters_in_a_log(self) -> None:
        evil = b'no\r\n{"event": "session admitted"}\x1b[2J\xff\xe2\x80\xae'
        words = refused(PLAIN, V3_8 + b"\0" + struct.pack("!I", len(evil)) + evil, PeerRefused)
        assert words.isascii()
        assert words.isprintable()


@given(st.binary(max_size=1200))
def test_whatever_it_says_the_end_is_one_that_is_documented(said: bytes) -> None:
    for start in (b"", V3_8, V3_8 + types(VENCRYPT), V3_8 + types(VENCRYPT) + b"\0\2\0", V3_3):
        for policy, password in ((PLAIN, None), (TLS_ONLY, None), (TLS_ONLY, COW), (PASSWORDS, COW), (ANYHOW, None)):
            ends: set[object] = set()
            for size in (0, 1):
                conversation = open_server(policy, password)
                try:
                    ends.add(talk(conversation, start + said, size))
                except RfbError as error:
                    ends.add(str(error))
                assert len(conversation._received) <= MAX_REASON
            assert len(ends) == 1
            assert str(ends).isprintable()
            assert "COW" not in str(ends)
