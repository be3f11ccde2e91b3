"""Security type VeNCrypt (19), version 0.2, with its subtype X509None: TLS with certificates on both sides.

The RFB Protocol (community version) 7.2.19. QEMU's side is ui/vnc-auth-vencrypt.c.
"""

from __future__ import annotations

from collections.abc import Sequence

from porthole.proxy.rfb.conversation import Read, Send, StartTls, Steps
from porthole.proxy.rfb.errors import PeerRefused, ProtocolBroken, SecurityMismatch
from porthole.proxy.rfb.reading import security_result
from porthole.proxy.rfb.wire import VeNCryptStart, VeNCryptSubtype, VeNCryptVersion, Version, named, u32, u32s

VERSION = (0, 2)

_PASSWORD = {VeNCryptSubtype.X509_VNC, VeNCryptSubtype.X509_PLAIN, VeNCryptSubtype.X509_SASL}


def with_server(version: Version) -> Steps[None]:
    """From the choice of the type to the security result, which is inside TLS.

    A SecurityResult is awaited in RFB 3.7 too, as QEMU and TigerVNC have it.

    :raises ProtocolBroken: it speaks no VeNCrypt 0.2
    :raises SecurityMismatch: it does not offer X509None
    :raises PeerRefused: it refuses what it has offered
    """
    theirs = yield Read(2, "its VeNCrypt version")
    if (theirs[0], theirs[1]) < VERSION:
        raise ProtocolBroken(f"it speaks VeNCrypt {theirs[0]}.{theirs[1]}, and 0.2 is spoken here")
    yield Send(bytes(VERSION))
    if (yield Read(1, "its answer to VeNCrypt 0.2"))[0] != VeNCryptVersion.ACCEPTED:
        raise PeerRefused(f"it speaks VeNCrypt {theirs[0]}.{theirs[1]}, and refuses version 0.2")
    count = (yield Read(1, "the number of its VeNCrypt subtypes"))[0]
    subtypes = u32s((yield Read(4 * count, "its VeNCrypt subtypes"))) if count else []
    if VeNCryptSubtype.X509_NONE not in subtypes:
        raise SecurityMismatch(_without_x509_none(subtypes))
    yield Send(u32(VeNCryptSubtype.X509_NONE))
    answer = yield Read(1, "its answer to X509_NONE")
    if answer[0] != VeNCryptStart.ACCEPTED:
        raise PeerRefused(f"it offers X509_NONE and answers it with {answer[0]}")
    yield StartTls()
    yield from security_result(version, "it refuses us after the TLS handshake")


def _without_x509_none(subtypes: Sequence[int]) -> str:
    what = f"it offers VeNCrypt with {named(subtypes, VeNCryptSubtype)} and not X509_NONE (260)"
    if _PASSWORD.intersection(subtypes):
        return f"{what}: the guest has a VNC password or SASL, not supported with TLS; take it away"
    return f"{what}: give its VNC server an x509 certificate (qemu.conf: vnc_tls_x509_cert_dir)"
