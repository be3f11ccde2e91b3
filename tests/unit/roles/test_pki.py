"""What is wrong with a certificate, and why one is issued anew."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.unit.roles.loading import load

filters = load("pki/filter_plugins/pki.py")

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Pair:
    """A certificate and its key."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    @property
    def fingerprint(self) -> str:
        plain = filters._fingerprint(self.certificate)
        return ":".join(plain[at : at + 2] for at in range(0, len(plain), 2))


def make(
    common_name: str,
    issuer: Pair | None = None,
    *,
    ca: bool = False,
    days: float = 100,
    begins: float = -1,
    usages: tuple[x509.ObjectIdentifier, ...] = (ExtendedKeyUsageOID.SERVER_AUTH,),
) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + begins * DAY)
        .not_valid_after(NOW + days * DAY)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if not ca:
        names = [
            x509.DNSName("host.example"),
            x509.DNSName("*.wild.example"),
            x509.IPAddress(ipaddress.ip_address("fd00::1")),
        ]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    return Pair(key, builder.sign(issuer.key if issuer else key, hashes.SHA256()))


AUTHORITY = make("authority", ca=True)
OTHER = make("authority", ca=True)
LEAF = make("host", AUTHORITY)
NAMES = ["host.example", "*.wild.example", "FD00:0::1"]


def test_names_and_addresses_get_one_form_each() -> None:
    entries = filters.subject_alt_names(["Host.example.", "", "host.example", "FD00:0::1", "[fd00::1]", "10.0.0.1"])
    assert entries == ["DNS:host.example", "IP:fd00::1", "IP:10.0.0.1"]


def reasons(certificate: str = LEAF.pem, authority: str = AUTHORITY.pem, **changes: Any) -> list[str]:
    wanted: dict[str, Any] = {
        "names": NAMES,
        "usages": ["server"],
        "common_name": "host",
        "key_fingerprint": LEAF.fingerprint,
        "renew_before_days": 30,
    }
    found: list[str] = filters.reissue_reasons(certificate, authority, **(wanted | changes))
    return found


def test_a_good_certificate_stays() -> None:
    assert reasons() == []


@pytest.mark.parametrize(
    ("found", "word"),
    [
        (reasons(certificate=""), "none yet"),
        (reasons(certificate="nonsense"), "no certificate in PEM"),
        (reasons(renew_before_days=101), "in fewer than 101 days"),
        (reasons(authority=OTHER.pem), "another authority"),
        (reasons(key_fingerprint="00"), "another key"),
        (reasons(common_name="other"), "common name"),
        (reasons(organization="Other"), "organisation"),
        (reasons(names=[*NAMES, "10.0.0.9"]), "names"),
        (reasons(usages=["server", "client"]), "usages"),
    ],
)
def test_each_reason_to_issue_anew(found: list[str], word: str) -> None:
    assert len(found) == 1
    assert word in found[0]


def test_an_authority_is_renewed_with_its_key() -> None:
    good = {"common_name": "authority", "key_fingerprint": AUTHORITY.fingerprint}
    assert filters.authority_renewal_reasons(AUTHORITY.pem, **good, renew_before_days=30) == []
    assert filters.authority_renewal_reasons(AUTHORITY.pem, **good, renew_before_days=101) != []
    assert filters.authority_renewal_reasons("", **good, renew_before_days=30) == ["there is none yet"]


def test_a_given_authority() -> None:
    assert filters.given_authority_problems("") == []
    assert filters.given_authority_problems(AUTHORITY.pem, AUTHORITY.key_pem) == []
    assert "does not belong" in filters.given_authority_problems(AUTHORITY.pem, OTHER.key_pem)[0]
    assert "no CA certificate" in filters.given_authority_problems(LEAF.pem)[0]
    assert "without pki_given_ca_certificate" in filters.given_authority_problems("", OTHER.key_pem)[0]
    assert "expired on" in filters.given_authority_problems(make("old", ca=True, begins=-9, days=-1).pem)[0]


def problems(pair: Pair = LEAF, **changes: Any) -> list[str]:
    given = {"certificate": pair.pem, "private_key": pair.key_pem} | changes.pop("given", {})
    arguments: dict[str, Any] = {"name": "x", "names": ["host.example"], "authority": AUTHORITY.pem} | changes
    found: list[str] = filters.given_certificate_problems(given, **arguments)
    return found


def test_a_good_given_certificate() -> None:
    assert problems() == []
    assert problems(names=["a.wild.example", "fd00::1"]) == []
    assert problems(chain=False, authority="") == []


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (problems(make("host", AUTHORITY, begins=-9, days=-1)), "expired on"),
        (problems(make("host", AUTHORITY, begins=1)), "valid only from"),
        (problems(given={"private_key": OTHER.key_pem}), "does not belong"),
        (problems(given={"private_key": "nonsense"}), "no private key in PEM"),
        (problems(given={"private_key": ""}), "has no private_key"),
        (problems(given={"key": "x"}), "has key; known are"),
        (problems(names=["other.example", "10.0.0.1"]), "is not for other.example, 10.0.0.1"),
        (problems(names=["a.b.wild.example"]), "is not for a.b.wild.example"),
        (problems(usages=["client"]), "may not be used by a client"),
        (problems(authority=OTHER.pem), "does not come from the given authority"),
        (problems(given={"ca_certificate": OTHER.pem}), "does not come from the given authority"),
        (problems(authority=""), "needs pki_given_ca_certificate"),
    ],
)
def test_each_flaw_of_a_given_certificate_has_a_sentence(found: list[str], words: str) -> None:
    assert any(words in sentence for sentence in found)
    assert all("PRIVATE KEY" not in sentence for sentence in found)


def test_a_key_with_a_passphrase_is_refused() -> None:
    encryption = BestAvailableEncryption(b"secret")
    protected = LEAF.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption).decode()
    assert "passphrase" in problems(given={"private_key": protected})[0]


def test_a_chain_over_an_intermediate_authority() -> None:
    middle = make("middle", AUTHORITY, ca=True)
    leaf = make("host", middle)
    assert problems(leaf, given={"certificate": leaf.pem + middle.pem}) == []
    assert "does not come from" in problems(leaf)[0]
    # A certificate that may not sign makes no chain.
    wrong = make("middle", AUTHORITY)
    signed = make("host", wrong)
    assert "does not come from" in problems(signed, given={"certificate": signed.pem + wrong.pem})[0]
