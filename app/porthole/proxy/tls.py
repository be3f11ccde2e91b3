"""TLS to VNC servers: our certificate, theirs, and what is wrong when they do not fit."""

from __future__ import annotations

from pathlib import Path

from gevent import ssl

from porthole.config import ConfigError


def make_context(ca_certs: Path, cert: Path | None, key: Path | None) -> ssl.SSLContext:
    """What every connection of TLS to a VNC server is made with; once for the process.

    A server's certificate has to come from one of these authorities, and has to carry the
    name among its alternative names: a common name alone does not count (RFC 9525 2).

    :param ca_certs: ``[vnc] vencrypt_ca_certs``
    :param cert: ``[vnc] vencrypt_client_cert``
    :param key: ``[vnc] vencrypt_client_key``
    :raises ConfigError: a file cannot be used
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.check_hostname = True
    context.hostname_checks_common_name = False
    # A write that waits for a read would be beyond the relay.
    context.options |= ssl.OP_NO_RENEGOTIATION
    try:
        ca_certs.read_bytes()
        context.load_verify_locations(ca_certs)
    except OSError as error:
        raise ConfigError(
            f"option vencrypt_ca_certs in [vnc] is {ca_certs}, which does not load ({_said(error)}). It has to have "
            "the certificates of authorities, in PEM."
        ) from None
    if cert is not None:
        _load_ours(context, cert, key or cert)
    return context


def _load_ours(context: ssl.SSLContext, cert: Path, key: Path) -> None:
    try:
        for path in (cert, key):
            path.read_bytes()
        context.load_cert_chain(cert, key, password=_refuse_password)
    except OSError as error:
        raise ConfigError(
            f"options vencrypt_client_cert and vencrypt_client_key in [vnc] are {cert} and {key}, which do not load "
            f"({_said(error)}). They have to be a certificate with its chain and the private key that belongs to it, "
            "without a password, in PEM."
        ) from None


def _refuse_password() -> str:
    raise OSError("the private key has a password, and nobody is there to type it")


def why(error: OSError) -> str:
    """What went wrong in a TLS handshake, as a part of a sentence."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message.rstrip('.')}"
    if isinstance(error, ssl.SSLEOFError | ConnectionError):
        return "it ended the connection in the middle"
    return _said(error)


def _said(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "no PEM in it").replace("_", " ").lower()
    return str(error.strerror or error).lower()
