"""Filters of the role pki: what is wrong with a certificate, in sentences.

They run on the controller, whose Ansible needs ``cryptography`` in any case. Nothing here reads or writes a file, and
no sentence holds any part of a private key.

The checks follow RFC 5280 (certificates) and RFC 6125, section 6.4.3 (a wildcard stands for one whole label).
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)

_USAGES = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}


class _Unreadable(ValueError):
    """A text is not what it should be; the message says how."""


def subject_alt_names(names: Iterable[str]) -> list[str]:
    """Give names and addresses the form in which OpenSSL and community.crypto write them.

    :param names: host names and IPv4 or IPv6 addresses; empty ones are passed over
    :return: ``DNS:`` and ``IP:`` entries, each once, in the order given; addresses in their shortest form
    """
    entries: list[str] = []
    for name in names:
        plain = str(name).strip().removeprefix("[").removesuffix("]")
        if not plain:
            continue
        try:
            entry = f"IP:{ipaddress.ip_address(plain)}"
        except ValueError:
            entry = f"DNS:{plain.lower().rstrip('.')}"
        if entry not in entries:
            entries.append(entry)
    return entries


def reissue_reasons(
    certificate: str,
    authority: str,
    *,
    names: Iterable[str],
    usages: Iterable[str],
    common_name: str,
    key_fingerprint: str,
    renew_before_days: int,
    organization: str | None = None,
) -> list[str]:
    """Say why an issued certificate has to be issued anew.

    :param certificate: what is on the host, in PEM; empty when there is nothing
    :param authority: the authority's certificate, in PEM
    :param key_fingerprint: SHA-256 of the host's public key, hexadecimal, with or without colons
    :return: the reasons; none when the certificate may stay
    """
    if not certificate.strip():
        return ["there is none yet"]
    try:
        leaf = _chain(certificate, "it")[0]
    except _Unreadable as error:
        return [str(error)]
    issuer = _chain(authority, "the authority's certificate")[0]
    reasons = []
    if _end(leaf) <= _now() + timedelta(days=renew_before_days):
        reasons.append(f"it ends on {_end(leaf):%Y-%m-%d}, in fewer than {renew_before_days} days")
    if not _issued_by(leaf, issuer):
        reasons.append("another authority issued it")
    if _fingerprint(leaf) != key_fingerprint.replace(":", "").lower():
        reasons.append("it belongs to another key")
    if _subject(leaf, NameOID.COMMON_NAME) != common_name:
        reasons.append("its common name is another")
    if organization is not None and _subject(leaf, NameOID.ORGANIZATION_NAME) != organization:
        reasons.append("its organisation is another")
    if set(_names(leaf)) != set(subject_alt_names(names)):
        reasons.append("its names are others")
    if set(_extended_usages(leaf)) != {_USAGES[usage] for usage in usages}:
        reasons.append("its usages are others")
    return reasons


def authority_renewal_reasons(
    certificate: str, *, common_name: str, key_fingerprint: str, renew_before_days: int
) -> list[str]:
    """Say why a generated authority has to get a new certificate. The arguments are those of `reissue_reasons`."""
    if not certificate.strip():
        return ["there is none yet"]
    try:
        own = _chain(certificate, "it")[0]
    except _Unreadable as error:
        return [str(error)]
    reasons = []
    if _end(own) <= _now() + timedelta(days=renew_before_days):
        reasons.append(f"it ends on {_end(own):%Y-%m-%d}, in fewer than {renew_before_days} days")
    if _fingerprint(own) != key_fingerprint.replace(":", "").lower():
        reasons.append("it belongs to another key")
    if _subject(own, NameOID.COMMON_NAME) != common_name:
        reasons.append("its common name is another")
    return reasons


def given_authority_problems(certificate: str, private_key: str = "") -> list[str]:
    """Say what is wrong with an authority that the operator has given.

    :param certificate: in PEM; empty when none is given
    :param private_key: in PEM; empty when the authority is not to sign
    """
    if not certificate.strip():
        return ["pki_given_ca_private_key is given without pki_given_ca_certificate."] if private_key.strip() else []
    try:
        authority = _chain(certificate, "pki_given_ca_certificate")[0]
        problems = _date_problems(authority, "The given authority")
        if not _may_sign(authority):
            problems.append("The given authority's certificate may not sign others: it is no CA certificate.")
        if private_key.strip() and _public(_key(private_key, "pki_given_ca_private_key")) != _public(authority):
            problems.append("pki_given_ca_private_key does not belong to pki_given_ca_certificate.")
    except _Unreadable as error:
        return [f"{error}."]
    return problems


def given_certificate_problems(
    given: Mapping[str, Any],
    *,
    name: str,
    names: Iterable[str],
    usages: Iterable[str] = ("server",),
    chain: bool = True,
    authority: str = "",
) -> list[str]:
    """Say what is wrong with a certificate and a key that the operator has given.

    :param given: ``certificate``, ``private_key`` and perhaps ``ca_certificate``, each in PEM
    :param name: what the certificate is called in the sentences
    :param names: the names and addresses that have to be in it
    :param chain: whether it has to come from ``authority``
    :param authority: the given authority's certificate in PEM, or empty
    """
    called = f"pki_given_certificates.{name}"
    unknown = sorted(set(given) - {"certificate", "private_key", "ca_certificate"})
    if unknown:
        return [f"{called} has {', '.join(unknown)}; known are certificate, private_key and ca_certificate."]
    missing = [part for part in ("certificate", "private_key") if not str(given.get(part) or "").strip()]
    if missing:
        return [f"{called} has no {' and no '.join(missing)}."]
    problems = []
    try:
        certificates = _chain(given["certificate"], f"{called}.certificate")
        leaf = certificates[0]
        problems += _date_problems(leaf, f"The given certificate {name}")
        if _public(_key(given["private_key"], f"{called}.private_key")) != _public(leaf):
            problems.append(f"{called}.private_key does not belong to the certificate.")
        problems += _usage_problems(leaf, usages, name)
        lacking = [entry for entry in subject_alt_names(names) if not _covers(leaf, entry)]
        if lacking:
            problems.append(
                f"The given certificate {name} is not for {', '.join(entry.partition(':')[2] for entry in lacking)}."
            )
        own_authority = str(given.get("ca_certificate") or "")
        if own_authority.strip() or authority.strip():
            roots = _chain(own_authority if own_authority.strip() else authority, "the authority's certificate")
            if (chain or own_authority.strip()) and not _chains(certificates, roots):
                problems.append(f"The given certificate {name} does not come from the given authority.")
        elif chain:
            problems.append(
                f"The given certificate {name} needs pki_given_ca_certificate: the other hosts would not trust it."
            )
    except _Unreadable as error:
        problems.append(f"{error}.")
    return problems


def _now() -> datetime:
    return datetime.now(UTC)


def _chain(pem: str, called: str) -> list[x509.Certificate]:
    """Read the certificates of a PEM text, of which there is at least one."""
    blocks = _PEM.findall(pem)
    if not blocks:
        raise _Unreadable(f"{called} holds no certificate in PEM")
    try:
        return [x509.load_pem_x509_certificate(block.encode()) for block in blocks]
    except ValueError:
        raise _Unreadable(f"{called} holds a broken certificate") from None


def _key(pem: str, called: str) -> Any:
    """Read a private key. What is wrong with it is said without any of its text."""
    try:
        return load_pem_private_key(str(pem).encode(), password=None).public_key()
    except TypeError:
        raise _Unreadable(f"{called} is protected by a passphrase; give it without one, from a vault") from None
    except Exception:  # whatever it is: its own words might quote the key
        raise _Unreadable(f"{called} holds no private key in PEM that can be read") from None


def _public(holder: Any) -> bytes:
    key = holder.public_key() if isinstance(holder, x509.Certificate) else holder
    return bytes(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def _fingerprint(certificate: x509.Certificate) -> str:
    return hashlib.sha256(_public(certificate)).hexdigest()


def _end(certificate: x509.Certificate) -> datetime:
    try:
        return certificate.not_valid_after_utc
    except AttributeError:  # cryptography before 42
        return certificate.not_valid_after.replace(tzinfo=UTC)


def _begin(certificate: x509.Certificate) -> datetime:
    try:
        return certificate.not_valid_before_utc
    except AttributeError:  # cryptography before 42
        return certificate.not_valid_before.replace(tzinfo=UTC)


def _subject(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> str | None:
    found = certificate.subject.get_attributes_for_oid(oid)
    return str(found[0].value) if found else None


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    dns = [f"DNS:{name.lower()}" for name in names.get_values_for_type(x509.DNSName)]
    return dns + [f"IP:{address}" for address in names.get_values_for_type(x509.IPAddress)]


def _covers(certificate: x509.Certificate, entry: str) -> bool:
    names = _names(certificate)
    _, _, parent = entry.removeprefix("DNS:").partition(".")
    return entry in names or (entry.startswith("DNS:") and bool(parent) and f"DNS:*.{parent}" in names)


def _extended_usages(certificate: x509.Certificate) -> list[x509.ObjectIdentifier]:
    try:
        return list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return []


def _usage_problems(leaf: x509.Certificate, usages: Iterable[str], name: str) -> list[str]:
    """A certificate without the extension may be used for anything (RFC 5280, 4.2.1.12)."""
    allowed = _extended_usages(leaf)
    if not allowed or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in allowed:
        return []
    lacking = [usage for usage in usages if _USAGES[usage] not in allowed]
    return [
        f"The given certificate {name} may not be used by a {usage}: its extended key usage lacks it."
        for usage in lacking
    ]


def _may_sign(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _date_problems(certificate: x509.Certificate, called: str) -> list[str]:
    if _end(certificate) <= _now():
        return [f"{called} expired on {_end(certificate):%Y-%m-%d %H:%M} UTC. Give one that is valid."]
    if _begin(certificate) > _now():
        return [f"{called} is valid only from {_begin(certificate):%Y-%m-%d %H:%M} UTC on.."]
    return []


def _issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether the issuer's key signed the certificate."""
    if certificate.issuer != issuer.subject:
        return False
    key = issuer.public_key()
    signature, signed, digest = (
        certificate.signature,
        certificate.tbs_certificate_bytes,
        certificate.signature_hash_algorithm,
    )
    try:
        if isinstance(key, rsa.RSAPublicKey) and digest is not None:
            key.verify(signature, signed, padding.PKCS1v15(), digest)
        elif isinstance(key, ec.EllipticCurvePublicKey) and digest is not None:
            key.verify(signature, signed, ec.ECDSA(digest))
        elif isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
            key.verify(signature, signed)
        else:
            return False
    except InvalidSignature:
        return False
    return True


def _chains(certificates: list[x509.Certificate], roots: list[x509.Certificate]) -> bool:
    """Whether the first certificate leads to a root, through those that follow it."""
    current, others = certificates[0], certificates[1:] + roots[1:]
    for _ in range(len(others) + 1):
        if any(_issued_by(current, root) for root in roots):
            return True
        above = next(
            (other for other in others if other != current and _may_sign(other) and _issued_by(current, other)), None
        )
        if above is None:
            return False
        current = above
    return False


class FilterModule:
    """The filters, by the names they have in templates."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name each filter."""
        return {
            "pki_subject_alt_names": subject_alt_names,
            "pki_reissue_reasons": reissue_reasons,
            "pki_authority_renewal_reasons": authority_renewal_reasons,
            "pki_given_authority_problems": given_authority_problems,
            "pki_given_certificate_problems": given_certificate_problems,
        }
