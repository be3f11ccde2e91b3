"""What a libvirt URI of the configuration may be (libvirt: "Connection URIs", "Remote support")."""

from __future__ import annotations

import re
import urllib.parse


def problem(uri: str, name: str, *, allow_plain_tcp: bool) -> str:
    """What is wrong with a compute's URI, as the end of a sentence; empty when nothing is.

    Whoever answers a connection to libvirt says where screens are, and what their passwords are. So a connection over
    a network has to be encrypted, and the other side has to prove who it is.

    :param name: the compute's, for an example of what would be right
    :param allow_plain_tcp: ``[libvirt] allow_plain_tcp``
    """
    if not re.match(r"[a-z]+(\+[a-z0-9]+)?://", uri):
        return f"is {uri!r}, which is no libvirt URI, for example qemu+tls://{name}/system."
    try:
        parts = urllib.parse.urlsplit(uri)
    except ValueError as error:
        return f"is {uri!r}, which is no libvirt URI: {error}."
    if not _verifies(parts.query):
        return (
            f"is {uri!r}, and no_verify lets anybody answer in the place of the host. Take no_verify out, and give the "
            "host a certificate, or for SSH a known key, of the name in the URI."
        )
    if parts.scheme.endswith("+tcp") and not allow_plain_tcp:
        return (
            f"is {uri!r}, a connection without TLS in which neither side proves who it is. Use "
            f"qemu+tls://{name}/system with certificates ([libvirt] pkipath). Where that does not matter, as in a "
            "test, allow_plain_tcp = true in [libvirt] takes it."
        )
    return ""


def _verifies(query: str) -> bool:
    """Whether the query leaves libvirt's checks of the other side on.

    libvirt takes names in any case, and a semicolon as well as an ampersand between two (src/util/viruri.c).
    """
    pairs = urllib.parse.parse_qsl(query.replace(";", "&"), keep_blank_values=True)
    return all(value.strip() == "0" for key, value in pairs if key.strip().lower() == "no_verify")
