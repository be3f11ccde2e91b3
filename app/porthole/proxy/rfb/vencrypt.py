"""Security type VeNCrypt (19), version 0.2, with its subtypes X509None and X509Vnc: TLS with certificates.

The RFB Protocol (community version) 7.2.19. QEMU's side is ui/vnc-auth-vencrypt.c. The subtypes whose TLS is anonymous
are never chosen, nor those that send a name and a password.
"""

from __future__ import annotations

from collections.abc import Sequence

from porthole.config import AuthScheme
from porthole.proxy.rfb import vncauth
from porthole.proxy.rfb.conversation import Read, Send, StartTls, Steps
from porthole.proxy.rfb.errors import PasswordRefused, PeerRefused, ProtocolBroken, SecurityMismatch
from porthole.proxy.rfb.password import VncPassword
from porthole.proxy.rfb.policy import SecurityPolicy
from porthole.proxy.rfb.reading import security_result
from porthole.proxy.rfb.wire import VeNCryptStart, VeNCryptSubtype, VeNCryptVersion, Version, named, u32, u32s

VERSION = (0, 2)


def with_server(version: Version, policy: SecurityPolicy, password: VncPassword | None) -> Steps[None]:
    """From the choice of the type to the security result, which is inside TLS.

    A SecurityResult is awaited in RFB 3.7 too, as QEMU and TigerVNC have it.

    :param password: the guest's, None when nobody told
    :raises ProtocolBroken: it speaks no VeNCrypt 0.2
    :raises SecurityMismatch: it offers neither X509None nor X509Vnc
    :raises PasswordRefused: it offers X509Vnc alone and there is no password, or does not take it
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
    chosen = _choose(_preferred(policy), subtypes, password)
    yield Send(u32(chosen))
    answer = yield Read(1, f"its answer to {chosen.name}")
    if answer[0] != VeNCryptStart.ACCEPTED:
        raise PeerRefused(f"it offers {chosen.name} and answers it with {answer[0]}")
    yield StartTls()
    if chosen is VeNCryptSubtype.X509_VNC and password is not None:
        yield from vncauth.with_server(version, password)
    else:
        yield from security_result(version, "it refuses us after the TLS handshake")


def _preferred(policy: SecurityPolicy) -> tuple[VeNCryptSubtype, ...]:
    """What is taken, in our order: the password first, unless the operator has ``none`` first or alone."""
    inside = [scheme for scheme in policy.schemes if scheme is not AuthScheme.VENCRYPT]
    if inside[:1] == [AuthScheme.NONE]:
        return VeNCryptSubtype.X509_NONE, VeNCryptSubtype.X509_VNC
    return VeNCryptSubtype.X509_VNC, VeNCryptSubtype.X509_NONE


def _choose(
    preferred: Sequence[VeNCryptSubtype], offered: Sequence[int], password: VncPassword | None
) -> VeNCryptSubtype:
    """The first of ours that is offered and that we can do; the order of the offers says nothing.

    :raises SecurityMismatch, PasswordRefused: there is none
    """
    for subtype in preferred:
        if subtype in offered and (subtype is not VeNCryptSubtype.X509_VNC or password is not None):
            return subtype
    if VeNCryptSubtype.X509_VNC in offered:
        raise PasswordRefused(
            "it wants a VNC password, and libvirt tells none: set it with libvirt (passwd= in <graphics> of the "
            "guest), for one of QEMU's monitor or of vnc_password in qemu.conf is not known to this service"
        )
    raise SecurityMismatch(_without_ours(offered))


def _without_ours(offered: Sequence[int]) -> str:
    what = f"it offers VeNCrypt with {named(offered, VeNCryptSubtype)} and neither X509_NONE (260) nor X509_VNC (261)"
    if {VeNCryptSubtype.X509_PLAIN, VeNCryptSubtype.X509_SASL}.intersection(offered):
        return f"{what}: it wants a user's name and password, not supported; take SASL away (qemu.conf: vnc_sasl)"
    return f"{what}: give its VNC server an x509 certificate (qemu.conf: vnc_tls_x509_cert_dir)"
